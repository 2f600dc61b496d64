import { messageOf } from '#base/errors.js'
import { sha256 } from '#base/hash.js'
import { BlockReader } from '#journal/block-reader.js'
import type { EntityHead, EventType, Finding } from '#journal/journal.js'
import { LogVerifier } from '#journal/log-verifier.js'
import { FileScan, type FoundBlock, likeliest } from './file-scan.js'
import { RowChecks } from './row-checks.js'
import type { Segment } from './segment.js'

export interface VerifyOptions {
  readonly segment: Segment
  /** The segment's data file. */
  readonly file: string
  readonly types: readonly EventType[]
  /** What was saved of where entities are. */
  readonly heads: readonly EntityHead[]
  readonly progress?: (done: number, total: number) => void
}

/**
 * Two passes over a segment. The first reads the file as plain bytes, follows the log from position 0 and checks all of it; nothing in it
 * depends on LMDB's pages, so it says what it finds even if the second one kills the process. The second asks LMDB for each block and compares.
 */
export async function* verifyLog(options: VerifyOptions): AsyncGenerator<Finding> {
  const { segment, file, types, heads, progress } = options
  const newest = segment.last()
  const verifier = new LogVerifier(heads)
  const scan = new FileScan(file)
  const checks = new RowChecks(segment.name, types)
  try {
    const found = scan.blocks(progress)
    const walk = new Map<number, FoundBlock>()
    const named = new Set<number | undefined>()
    let end = 0
    while (end <= newest) {
      const block = likeliest(found.get(end) ?? [], found, scan)
      if (block === undefined) {
        verifier.lost(segment.name, end, 'its header is damaged or gone')
        named.add(end)
        end = nextKnown(found, end, newest)
        continue
      }
      walk.set(end, block)
      const bytes = scan.read(block)
      for (const finding of verifier.block(segment.name, end, bytes)) {
        named.add(finding.block)
        yield finding
      }
      if (block.isIntact && !named.has(end)) await checks.add(end, bytes)
      else named.add(end)
      for (const finding of checks.take()) {
        named.add(finding.block)
        yield finding
      }
      end += block.rowCount
      await nextTurn()
    }
    for (const finding of await checks.end()) {
      named.add(finding.block)
      yield finding
    }
    yield* verifier.end(segment.name)
    if (segment.last() === newest && (found.get(end) ?? []).some((block) => block.isIntact)) {
      const what = 'behind the last block the file has another: written and never committed, or cut off by damage to the index'
      yield { severity: 'note', segment: segment.name, block: end, what, entities: [] }
    }
    yield* compare(segment, newest, walk, named, scan, verifier)
  } finally {
    scan.close()
  }
}

/** What LMDB says of the blocks, against what the file has. Blocks that are `named` as damaged are not named again. */
async function* compare(
  segment: Segment,
  newest: number,
  walk: ReadonlyMap<number, FoundBlock>,
  named: ReadonlySet<number | undefined>,
  scan: FileScan,
  verifier: LogVerifier,
): AsyncGenerator<Finding> {
  const damaged = (block: number, what: string, entities: readonly string[]): Finding => ({
    severity: 'damaged',
    segment: segment.name,
    block,
    what,
    entities,
  })
  const reachable = new Set<number>()
  for (let from = 0; from <= newest; ) {
    const bases = segment.bases(from, newest, BASES_PER_STEP)
    if (bases.length === 0) break
    for (const base of bases) {
      reachable.add(base)
      from = base + 1
      if (named.has(base)) continue
      const block = walk.get(base)
      const bytes = readOrWhy(segment, base)
      if (block === undefined) {
        yield damaged(base, 'it is filed at a position that no other block leads to', [])
        continue
      }
      const expected = scan.read(block)
      if (typeof bytes !== 'string' && Buffer.compare(sha256(bytes), sha256(expected)) === 0) continue
      yield damaged(base, typeof bytes === 'string' ? bytes : whatIsWrongWith(bytes), verifier.entitiesIn(expected))
    }
    await nextTurn()
  }
  for (const [base, block] of walk) {
    if (reachable.has(base) || named.has(base)) continue
    yield damaged(base, 'the index of the segment has lost it, though its bytes are in the file', verifier.entitiesIn(scan.read(block)))
  }
}

const BASES_PER_STEP = 256

function readOrWhy(segment: Segment, base: number): Uint8Array | string {
  try {
    return segment.bytes(base) ?? 'the index of the segment names it and does not have it'
  } catch (error) {
    return `the index of the segment cannot be read there, since ${messageOf(error)}`
  }
}

function whatIsWrongWith(bytes: Uint8Array): string {
  try {
    new BlockReader(bytes).check()
    return 'the index of the segment has another block there than the log goes on with'
  } catch (error) {
    return messageOf(error)
  }
}

/** The next position at which a block is found, or behind the newest. */
function nextKnown(found: ReadonlyMap<number, readonly FoundBlock[]>, after: number, newest: number): number {
  let next = newest + 1
  for (const base of found.keys()) if (base > after && base < next) next = base
  return next
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
