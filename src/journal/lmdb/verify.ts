import type { EntityHead, EventType, Finding } from '#journal/journal.js'
import { LogVerifier, type VerifyStart } from '#journal/log-verifier.js'
import { HASH_BYTES } from '#journal/block-format.js'
import { checkSegmentFile } from '#journal/segments/check-segment.js'
import type { FencedEntry, ManifestEntry } from '#journal/segments/manifest.js'
import type { SegmentFile } from '#journal/segments/segment-file.js'
import { FileScan, type FoundBlock, isIntact, likeliest } from './file-scan.js'
import { RowChecks } from './row-checks.js'
import { SealedSegment } from './sealed-segment.js'
import type { Segment } from './segment.js'

/** All segments in order of position. */
export interface VerifyOptions {
  readonly types: readonly EventType[]
  /** What was saved of where entities are. */
  readonly heads: readonly EntityHead[]
  readonly manifest: readonly ManifestEntry[]
  /** The lowest position that was not dropped. */
  readonly firstPosition: number
  readonly sealed: readonly SealedSegment[]
  readonly unsealed: readonly UnsealedToVerify[]
  /** Where the log is known to end, when it is. */
  readonly endPosition?: number | undefined
  readonly progress?: ((done: number, total: number) => void) | undefined
}

export interface UnsealedToVerify {
  readonly segment: Segment
  /** What is wrong with the pages of its file, in words: then its blocks are looked for anywhere in it. */
  readonly wrong?: string | undefined
  readonly fileBytes: number
}

/**
 * Checks all of a log: every byte of sealed segments, and of the others every block that their index leads to, the chain, the positions, each entity's
 * versions and each value. What repair has fenced is a note. Progress is told in bytes.
 */
export async function* verifyLog(options: VerifyOptions): AsyncGenerator<Finding> {
  const { types, heads, manifest, endPosition } = options
  const [sealed, unsealed] = [[...options.sealed], [...options.unsealed]]
  const progress = new Progress(sealed, unsealed, options.progress)
  const fenced = manifest.filter((entry) => entry.kind === 'fenced')
  // What repair wrote is whole: what is wrong with it now is new.
  for (const segment of sealed) yield* await checkSealed(segment, types, progress)
  const verifier = new LogVerifier(heads, startBehind(options))
  for (const one of unsealed) {
    for await (const findings of checkUnsealed(one, verifier, types, progress)) yield* findings
  }
  yield* verifier.end(unsealed.at(-1)?.segment.name ?? 'log', endPosition)
  for (const entry of fenced) yield fencedNote(entry)
  progress.end()
}

async function checkSealed(segment: SealedSegment, types: readonly EventType[], progress: Progress): Promise<Finding[]> {
  const { name, entry } = segment
  let opened: SegmentFile | undefined
  const faults = await checkSegmentFile(
    () => (opened = new SealedSegment(entry, segment.path).file),
    types,
    entry,
    async () => {
      progress.within(entry.bytes, opened?.footer.blocks.length ?? 1)
      await nextTurn()
    },
  )
  progress.done(entry.bytes)
  return faults.map(({ block, what }) => ({ severity: 'damaged', segment: name, block, what, entities: [] }))
}

async function* checkUnsealed(
  { segment, wrong, fileBytes }: UnsealedToVerify,
  verifier: LogVerifier,
  types: readonly EventType[],
  progress: Progress,
): AsyncGenerator<Finding[]> {
  const { name } = segment
  if (wrong !== undefined)
    yield [{ severity: 'damaged', segment: name, block: undefined, what: `its index cannot be trusted, since ${wrong}`, entities: [] }]
  const checks = new RowChecks(name, types)
  let done = 0
  for (const { position, bytes } of wrong === undefined ? indexedBlocks(segment) : scannedBlocks(segment)) {
    const findings = verifier.block(name, position, bytes)
    yield findings
    if (isIntact(bytes) && findings.every((finding) => finding.block !== position)) await checks.add(position, bytes)
    yield checks.take()
    progress.at((done += bytes.length), fileBytes)
    await nextTurn()
  }
  yield await checks.end()
  progress.done(fileBytes)
}

interface FiledBlock {
  readonly position: number
  readonly bytes: Uint8Array
}

function* indexedBlocks(segment: Segment): Generator<FiledBlock> {
  const newest = segment.last()
  for (let from = 0; from <= newest; ) {
    const bases = segment.bases(from, newest, BASES_PER_STEP)
    if (bases.length === 0) return
    for (const position of bases) yield { position, bytes: segment.bytes(position) ?? new Uint8Array(0) }
    from = (bases.at(-1) as number) + 1
  }
}

/** Blocks found anywhere in the file, followed from one to the next. */
function* scannedBlocks(segment: Segment): Generator<FiledBlock> {
  const scan = new FileScan(segment.file)
  try {
    const found = scan.blocks()
    for (let end = segment.firstPosition; ; ) {
      const block = likeliest(found.get(end) ?? [], found, scan) ?? nextFound(found, end)
      if (block === undefined) return
      yield { position: block.basePosition, bytes: scan.read(block) }
      end = block.basePosition + block.rowCount
    }
  } finally {
    scan.close()
  }
}

function nextFound(found: ReadonlyMap<number, readonly FoundBlock[]>, after: number): FoundBlock | undefined {
  const bases = [...found.keys()].filter((base) => base > after)
  return bases.length === 0 ? undefined : found.get(bases.reduce((least, base) => Math.min(least, base)))?.[0]
}

/** What is known of the log before its first block that is not sealed. An entity's rows are counted, since its versions have no gaps. */
function startBehind({ sealed, manifest, firstPosition, unsealed }: VerifyOptions): VerifyStart {
  const position = unsealed[0]?.segment.firstPosition ?? firstPosition
  const before = manifest.find((entry) => entry.kind === 'sealed' && entry.endPosition === position)
  const lastHash = before?.kind === 'sealed' ? Buffer.from(before.lastHash, 'hex') : undefined
  if (position === 0) return { position, lastHash: new Uint8Array(HASH_BYTES), versionBefore: () => 0 }
  const versions = firstPosition === 0 ? sealedVersions(sealed) : undefined
  return {
    position,
    lastHash,
    versionBefore: (shard, number) => (versions === undefined ? undefined : (versions.get(shard)?.[number] ?? 0)),
  }
}

/** By shard and number; undefined where a sealed file cannot tell. */
function sealedVersions(sealed: readonly SealedSegment[]): Map<number, number[]> | undefined {
  const versions = new Map<number, number[]>()
  try {
    for (const { file } of sealed) {
      for (const { shard, number, rowCount } of file.entities()) {
        let own = versions.get(shard)
        if (own === undefined) versions.set(shard, (own = []))
        own[number] = (own[number] ?? 0) + rowCount
      }
    }
    return versions
  } catch {
    return undefined
  }
}

function fencedNote({ segment, firstPosition, endPosition, rowCount, entities, positions = [] }: FencedEntry): Finding {
  const where = positions.length > 1 ? 'between positions' : 'at positions'
  const what = `fenced, known: ${rowCount} rows ${where} ${firstPosition} ${positions.length > 1 ? 'and' : 'to'} ${endPosition - 1} are gone`
  return { severity: 'note', segment, block: firstPosition, what, entities: entities.map(({ entity }) => entity) }
}

class Progress {
  readonly #tell: ((done: number, total: number) => void) | undefined
  readonly #total: number
  #before = 0
  #steps = 0

  constructor(
    sealed: readonly SealedSegment[],
    unsealed: readonly UnsealedToVerify[],
    tell: ((done: number, total: number) => void) | undefined,
  ) {
    this.#tell = tell
    this.#total = sealed.reduce((sum, { entry }) => sum + entry.bytes, 0) + unsealed.reduce((sum, { fileBytes }) => sum + fileBytes, 0)
  }

  /** So many bytes of the present file. */
  at(bytes: number, bytesInFile: number): void {
    this.#tell?.(this.#before + Math.min(bytes, bytesInFile), this.#total)
  }

  /** One step more of so many over the present file. */
  within(bytesInFile: number, steps: number): void {
    this.at((bytesInFile * ++this.#steps) / steps, bytesInFile)
  }

  done(bytesInFile: number): void {
    this.#before += bytesInFile
    this.#steps = 0
    this.#tell?.(this.#before, this.#total)
  }

  end(): void {
    this.#tell?.(this.#total, this.#total)
  }
}

const BASES_PER_STEP = 256

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
