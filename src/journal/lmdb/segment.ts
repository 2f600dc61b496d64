import { rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { type MillraceError, messageOf } from '#base/errors.js'
import { type BlockEntry, entryOf } from '#journal/block-entry.js'
import { isWanted } from '#journal/block-range.js'
import { BlockReader, blockDamaged } from '#journal/block-reader.js'
import { Damage } from '#journal/bytes.js'
import { rowsOf } from '#journal/block-rows.js'
import type { BlockRange, EntityHead, Row } from '#journal/journal.js'
import { unlessDamaged } from '#journal/log-damage.js'
import type { LogState } from '#journal/log-state.js'
import { firstPositionOf } from '#journal/segments/opening-plan.js'
import { EntityBlocks } from './entity-blocks.js'
import type { LogPart, WantedRows } from './log-part.js'
import { type Database, diskFailed, type Key, readValue, unreadable } from './environment.js'

/** A segment that is not sealed: blocks by base position in an LMDB environment. The newest of a log is the one being written. */
export class Segment implements LogPart {
  readonly name: string
  readonly #database: Database
  readonly #file: string
  /** The directory as far as it was asked for. */
  #entries: BlockEntry[] = []
  #entitiesIn: EntityBlocks | undefined
  readonly #cache = new Map<number, Uint8Array>()
  #cacheBytes = 0
  #readers = 0
  #isRetired = false

  constructor(name: string, database: Database, file: string) {
    this.name = name
    this.#database = database
    this.#file = file
  }

  get firstPosition(): number {
    return firstPositionOf(this.name)
  }

  get file(): string {
    return this.#file
  }

  retain(): void {
    this.#readers++
  }

  release(): void {
    this.#readers--
    if (this.#isRetired && this.#readers === 0) void this.close()
  }

  /** Takes the environment away, since it was sealed. Whoever reads it goes on until it lets go. */
  async retire(): Promise<void> {
    this.#isRetired = true
    if (this.#readers === 0) await this.close()
    await rm(dirname(this.#file), { recursive: true, force: true })
  }

  /** As `blocks`, without a look at the directory, which takes a look at every block. */
  *blocksBetween(range: BlockRange, end: number, state: LogState): Generator<BlockReader> {
    for (const reader of this.walk(range.from, end)) if (isWanted(reader.header, range, state)) yield reader
  }

  async *blocks(range: BlockRange, end: number, state: LogState): AsyncGenerator<BlockReader> {
    const entries = this.entries(end)
    if (range.entity === undefined) {
      for (const entry of entries) if (isWanted(entry, range, state)) yield this.block(entry.id)
      return
    }
    const index = state.entities.findId(range.entity)
    if (index < 0) return
    this.#entitiesIn ??= new EntityBlocks(this)
    for (const at of await this.#entitiesIn.of(index, entries, state)) {
      const entry = entries[at]
      if (entry !== undefined && entry.endPosition > range.from) yield this.block(entry.id)
    }
  }

  *readableBlocks(range: BlockRange, end: number, state: LogState, onDamaged: (damage: MillraceError) => void): Generator<BlockReader> {
    this.#database.resetReadTxn()
    let next = Math.max(this.firstPosition, unlessDamaged(() => this.atOrBefore(range.from), onDamaged) ?? 0)
    // Undefined behind a damaged block, which does not tell where it ends.
    let expected: number | undefined = next
    for (;;) {
      const bases = unlessDamaged(() => this.bases(next, end - 1, BASES_PER_STEP), onDamaged) ?? []
      for (const base of bases) {
        if (expected !== undefined && base !== expected) onDamaged(this.#missing(expected))
        const reader: BlockReader | undefined = unlessDamaged(() => this.block(base), onDamaged)
        expected = reader?.header.endPosition
        next = expected ?? base + 1
        if (reader !== undefined && isWanted(reader.header, range, state)) yield reader
      }
      if (bases.length === 0) break
    }
    if (expected !== undefined && expected < end) onDamaged(this.#missing(expected))
  }

  async lastRows({ shard, number }: EntityHead, { versionMin, versionMax, end, names, state }: WantedRows): Promise<Row[]> {
    const entries = this.entries(end)
    this.#entitiesIn ??= new EntityBlocks(this)
    const found: Row[][] = []
    let left = versionMax - versionMin + 1
    const blocks = await this.#entitiesIn.of(state.entities.at(shard, number), entries, state)
    for (let index = blocks.length - 1; index >= 0 && left > 0; index--) {
      const { id } = entries[blocks[index] as number] as BlockEntry
      const rows = rowsOf(this.#cached(id), names, { entity: { shard, number }, versionMin }, this.name)
      found.push(rows)
      left -= rows.length
    }
    return found.reverse().flat()
  }

  async blocksOf({ shard, number }: EntityHead, end: number, state: LogState): Promise<ReadonlySet<number>> {
    const entries = this.entries(end)
    this.#entitiesIn ??= new EntityBlocks(this)
    const places = await this.#entitiesIn.of(state.entities.at(shard, number), entries, state)
    return new Set(places.map((at) => (entries[at] as BlockEntry).id))
  }

  async *ordered(range: { readonly from: number; readonly to: number }): AsyncGenerator<Uint8Array> {
    // Not by the directory, which knows nothing behind a block whose header is damaged.
    for (const reader of this.walk(range.from, range.to)) yield reader.check().bytes
  }

  entries(end: number): readonly BlockEntry[] {
    const known = this.#entries.at(-1)?.endPosition ?? this.firstPosition
    if (known < end) for (const { header } of this.walk(known, end)) this.#entries.push(entryOf(this.name, header))
    return this.#entries.at(-1)?.endPosition === end ? this.#entries : this.#entries.filter((entry) => entry.endPosition <= end)
  }

  readBlock(id: number): Uint8Array | undefined {
    return this.block(id).check().bytes
  }

  /** Base position of the last block that begins at or before `position`, or -1. */
  atOrBefore(position: number): number {
    const [key] = this.#read(() => [...this.#database.getKeys({ start: keyOf(position), reverse: true, limit: 1 })])
    return key === undefined ? -1 : positionOf(key)
  }

  /** Base positions from `from` up to and including `to`, at most `limit`. */
  bases(from: number, to: number, limit: number): number[] {
    if (from > to) return []
    return this.#read(() => [...this.#database.getKeys({ start: keyOf(from), end: keyOf(to + 1), limit })]).map(positionOf)
  }

  /** Base position of the newest block, or -1. */
  last(): number {
    this.#database.resetReadTxn()
    return this.atOrBefore(Number.MAX_SAFE_INTEGER)
  }

  /** The first position behind its last. Throws ERR_BLOCK_DAMAGED where the newest block does not tell. */
  end(): number {
    const last = this.last()
    return last < 0 ? this.firstPosition : last + this.block(last).header.rowCount
  }

  /** The bytes filed under a position, unchecked. */
  bytes(base: number): Uint8Array | undefined {
    return this.#read(() => readValue(this.#database, keyOf(base)))
  }

  /** The block at a base position, its header checked. Throws ERR_BLOCK_DAMAGED. */
  block(base: number): BlockReader {
    return new BlockReader(this.bytes(base) ?? new Uint8Array(0), this.name, base)
  }

  /**
   * Blocks from the one with the row at `from` on, up to the row before `end`, their headers checked. None is passed over: throws
   * ERR_BLOCK_DAMAGED naming the first that should be there and is not, since a damaged page of LMDB can lose keys in silence.
   */
  *walk(from: number, end: number): Generator<BlockReader> {
    // A read transaction from earlier in this turn would not see what was appended since.
    this.#database.resetReadTxn()
    let next = Math.max(this.firstPosition, this.atOrBefore(from))
    while (next < end) {
      const bases = this.bases(next, end - 1, BASES_PER_STEP)
      if (bases.length === 0) throw this.#missing(next)
      for (const base of bases) {
        if (base !== next) throw this.#missing(next)
        const reader = this.block(base)
        yield reader
        next = base + reader.header.rowCount
      }
    }
  }

  /** The bytes of a block, kept for when rows of other entities are asked for: an entity has few in each block. */
  #cached(id: number): Uint8Array {
    let bytes = this.#cache.get(id)
    if (bytes !== undefined) return bytes
    bytes = this.block(id).bytes
    if (this.#cacheBytes + bytes.length > CACHE_BYTES_MAX) {
      this.#cache.clear()
      this.#cacheBytes = 0
    }
    this.#cache.set(id, bytes)
    this.#cacheBytes += bytes.length
    return bytes
  }

  /** As BlockStore.put. LMDB begins to write in the next immediate, so what is to be done meanwhile comes in the one behind it. */
  async put(base: number, block: Buffer, whileBusy: () => void): Promise<void> {
    try {
      const durable = this.#database.put(keyOf(base), block)
      await Promise.all([durable, new Promise((resolve) => setImmediate(resolve)).then(whileBusy)])
    } catch (error) {
      throw diskFailed(error, this.#file)
    }
  }

  async close(): Promise<void> {
    await this.#database.close()
  }

  #missing(base: number): MillraceError {
    return blockDamaged(new Damage('it is not where the block before it ends'), this.name, base)
  }

  #read<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      throw unreadable(this.#file, messageOf(error), error)
    }
  }
}

/** As large as a segment is by default. */
const CACHE_BYTES_MAX = 64 * 2 ** 20
/** Keys looked up at once while reading. */
const BASES_PER_STEP = 256

/** Under which a block is filed. */
export function keyOf(position: number): Key {
  const key = new Uint8Array(8)
  const view = new DataView(key.buffer)
  view.setUint32(0, Math.floor(position / 0x100000000))
  view.setUint32(4, position % 0x100000000)
  return key
}

function positionOf(key: Key): number {
  const view = new DataView(key.buffer, key.byteOffset, 8)
  return view.getUint32(0) * 0x100000000 + view.getUint32(4)
}
