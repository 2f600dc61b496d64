import { BlockBuilder } from './block-builder.js'
import { HASH_BYTES } from './block-format.js'
import type { EventTypes } from './event-types.js'
import type { Memory } from './name-table.js'
import type { PendingRows } from './pending-rows.js'

/** Rows of several blocks that follow each other, as one block: the same rows, whose positions within the run are not told. */
export interface MergedBlock {
  readonly firstPosition: number
  readonly endPosition: number
  readonly bytes: Uint8Array
}

export interface MergedBlocksOptions {
  /** A block of so many rows or more stays as it is. By default 128. */
  readonly smallRowsMax?: number
  /** Of a merged block, at least, unless a large block follows. By default 2,048. */
  readonly mergedRowsMin?: number
  /** Of all merged blocks: those of the oldest rows go first. By default 32 MiB. */
  readonly bytesMax?: number
}

/** With more rows, those take longer than the opening of their block. */
const SMALL_ROWS_MAX = 128
const MERGED_ROWS_MIN = 2048
const BYTES_MAX = 32 * 2 ** 20
/** Of the rows that are not merged yet, to begin with. */
const OPEN_BYTES = 64 * 1024
const WORD_BYTES = 8
const NO_HASH = new Uint8Array(HASH_BYTES)

/**
 * The newest rows of the log once more, in memory and in large blocks, for whoever loads entities. Under light load a group commit has a handful of rows, and
 * opening a block of a handful takes as long as one of hundreds: recovery would take ten times as long. Nothing is lost with it; what is not here is read
 * as it was stored.
 */
export class MergedBlocks {
  readonly #builder: BlockBuilder
  readonly #smallRowsMax: number
  readonly #mergedRowsMin: number
  readonly #bytesMax: number
  /** By position. */
  #merged: MergedBlock[] = []
  #bytes = 0
  #memory: Memory
  #memoryEnd = 0
  /** Of the rows that are not merged yet. */
  #firstPosition = 0
  #endPosition = 0

  constructor(
    types: EventTypes,
    { smallRowsMax = SMALL_ROWS_MAX, mergedRowsMin = MERGED_ROWS_MIN, bytesMax = BYTES_MAX }: MergedBlocksOptions = {},
  ) {
    this.#builder = new BlockBuilder(types, OPEN_BYTES)
    this.#smallRowsMax = smallRowsMax
    this.#mergedRowsMin = mergedRowsMin
    this.#bytesMax = bytesMax
    this.#memory = memoryOf(OPEN_BYTES)
    this.#builder.rows.memories = [this.#memory]
  }

  get byteCount(): number {
    return this.#bytes
  }

  /** The rows of the block at `basePosition`, before it is encoded. Those of small ones are copied. */
  add(basePosition: number, rows: PendingRows): void {
    const { rowCount } = rows
    const own = this.#builder.rows
    if (own.rowCount > 0 && (basePosition !== this.#endPosition || rowCount >= this.#smallRowsMax)) this.#merge()
    if (rowCount >= this.#smallRowsMax) return
    if (own.rowCount === 0) this.#firstPosition = basePosition
    rows.forEachAppend((bytes, offset, length, count, shard, entity) => {
      own.add(0, this.#copy(bytes, offset, length), length, count, shard, entity)
    })
    this.#endPosition = basePosition + rowCount
  }

  /** Merges what has come together. To be called when there is time. */
  mergeWhenDue(): void {
    if (this.#builder.rows.rowCount >= this.#mergedRowsMin) this.#merge()
  }

  /** What comes now stands in another segment. */
  endRun(): void {
    if (this.#builder.rows.rowCount > 0) this.#merge()
  }

  /** Those with rows from `from` on that end at or before `end`, in order. */
  between(from: number, end: number): readonly MergedBlock[] {
    return this.#merged.filter((one) => one.endPosition > from && one.endPosition <= end)
  }

  /** What stands before this position is not asked for any more. */
  forget(position: number): void {
    const kept = this.#merged.filter((one) => one.endPosition > position)
    if (kept.length === this.#merged.length) return
    this.#merged = kept
    this.#bytes = kept.reduce((sum, { bytes }) => sum + bytes.length, 0)
  }

  #merge(): void {
    const block = this.#builder.finish({ basePosition: this.#firstPosition, previousHash: NO_HASH, marks: [], newEntities: [] })
    const bytes = new Uint8Array(block)
    this.#memoryEnd = 0
    this.#merged.push({ firstPosition: this.#firstPosition, endPosition: this.#endPosition, bytes })
    this.#bytes += bytes.length
    while (this.#bytes > this.#bytesMax && this.#merged.length > 0) this.#bytes -= (this.#merged.shift() as MergedBlock).bytes.length
  }

  /** Where the frame lies now. */
  #copy(bytes: Uint8Array, offset: number, length: number): number {
    const at = this.#memoryEnd
    const end = at + length
    if (end > this.#memory.bytes.length) this.#grow(end)
    this.#memory.bytes.set(bytes.subarray(offset, offset + length), at)
    this.#memoryEnd = Math.ceil(end / WORD_BYTES) * WORD_BYTES
    return at
  }

  #grow(byteCount: number): void {
    const grown = memoryOf(Math.max(byteCount, 2 * this.#memory.bytes.length))
    grown.bytes.set(this.#memory.bytes)
    this.#memory = grown
    this.#builder.rows.memories = [grown]
  }
}

function memoryOf(byteCount: number): Memory {
  const bytes = new Uint8Array(byteCount)
  return { bytes, view: new DataView(bytes.buffer) }
}
