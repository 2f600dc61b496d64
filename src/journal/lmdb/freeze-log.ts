import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { isMillraceError } from '#base/errors.js'
import type { FrozenFile, FrozenLog, FrozenRecord, FrozenSegment } from '#journal/frozen-log.js'
import { BlockReader } from '#journal/block-reader.js'
import { readManifest } from '#journal/segments/manifest.js'
import { planOpening } from '#journal/segments/opening-plan.js'
import { type Catalog, KIND_BASE, KIND_BASE_HEADS, KIND_BASE_MARKS, KIND_SNAPSHOT } from './catalog.js'
import { logPaths } from './directory.js'
import type { LogSegments } from './log-segments.js'
import { keyOf, type Segment } from './segment.js'

/** Many, and no other record depends on them being as of the same moment, as long as retention waits. Snapshots of later rows are passed over. */
const LATER_KINDS: readonly number[] = [KIND_SNAPSHOT, KIND_BASE, KIND_BASE_HEADS, KIND_BASE_MARKS]
const RECORDS_PER_TURN = 256

export interface FreezeOptions {
  /** Of the log. */
  readonly directory: string
  readonly catalog: Catalog
  readonly segments: LogSegments
  readonly endPosition: number
  /** Lets retention go on. */
  readonly onRelease: () => void
}

/** Everything that must be of one moment is read before this returns, and every file that could go is held open. */
export function freezeLog({ directory, catalog, segments, endPosition, onRelease }: FreezeOptions): FrozenLog {
  const paths = logPaths(directory)
  catalog.refresh()
  const records = catalog.kinds().flatMap((kind) => (LATER_KINDS.includes(kind) ? [] : [...catalog.records(kind)]))
  // As stored, which may be a step ahead of what the segments know: a segment counts as sealed from then on.
  const { entries: manifest } = readManifest(catalog.manifest())
  const plan = planOpening(readdirSync(paths.log), manifest)
  const descriptors: number[] = []
  const sealed = plan.sealed.map(({ segment, bytes, fileHash }): FrozenFile => {
    const descriptor = openSync(join(paths.log, segment), 'r')
    descriptors.push(descriptor)
    // Leads to the file also when its name is gone.
    return { name: segment, path: `/proc/self/fd/${descriptor}`, bytes, fileHash }
  })
  const held = segments.unsealed.filter(({ name, firstPosition }) => plan.unsealed.includes(name) && firstPosition <= endPosition)
  for (const segment of held) segment.retain()
  const unsealed = held.map((segment, index): FrozenSegment => {
    const end = held[index + 1]?.firstPosition ?? endPosition
    return { name: segment.name, firstPosition: segment.firstPosition, endPosition: end, blocks: () => blocksOf(segment, end) }
  })
  return {
    format: readFileSync(paths.format, 'utf8'),
    firstPosition: plan.firstPosition,
    endPosition,
    sealed,
    unsealed,
    catalog: () => recordsOf(records, catalog),
    release: () => {
      for (const segment of held) segment.release()
      for (const descriptor of descriptors) closeSync(descriptor)
      onRelease()
    },
  }
}

async function* recordsOf(first: readonly FrozenRecord[], catalog: Catalog): AsyncGenerator<FrozenRecord> {
  yield* first
  let count = 0
  for (const kind of LATER_KINDS) {
    for (const record of catalog.records(kind)) {
      yield record
      if (++count % RECORDS_PER_TURN === 0) await turn()
    }
  }
}

/** As they are filed. A gap is told with the block behind it, at the end with an empty one. */
async function* blocksOf(segment: Segment, end: number): AsyncGenerator<FrozenRecord> {
  let next = segment.firstPosition
  let lookFrom = next
  for (;;) {
    const bases = segment.bases(lookFrom, end - 1, RECORDS_PER_TURN)
    for (const base of bases) {
      const value = segment.bytes(base) ?? new Uint8Array(0)
      const damage = base === next ? undefined : missing(segment.name, next, base)
      yield { key: keyOf(base), value, ...(damage === undefined ? {} : { damage }) }
      next = endOf(value, segment.name, base)
      lookFrom = base + 1
    }
    if (bases.length < RECORDS_PER_TURN) break
    await turn()
  }
  if (next < end) yield { key: keyOf(next), value: new Uint8Array(0), damage: missing(segment.name, next, end) }
}

function missing(segment: string, from: number, to: number): string {
  return `segment ${segment}: blocks from ${from} to ${to} are missing`
}

/** What a damaged block leaves open is told when it is checked. */
function endOf(value: Uint8Array, segment: string, base: number): number {
  try {
    return base + new BlockReader(value, segment, base).header.rowCount
  } catch (error) {
    if (isMillraceError(error)) return base
    throw error
  }
}

/** Copies of the log that are being made: retention waits for their end. */
export class Freezes {
  #count = 0
  #waiting: (() => void)[] = []

  /** What it returns ends this one. */
  begin(): () => void {
    this.#count++
    return () => {
      this.#count--
      if (this.#count > 0) return
      for (const go of this.#waiting) go()
      this.#waiting = []
    }
  }

  /** Resolves when none is under way. */
  async over(): Promise<void> {
    while (this.#count > 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
}
