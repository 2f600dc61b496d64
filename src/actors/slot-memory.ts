import type { KnownEntities } from './known-entities.js'
import { ROW_NUMBERS, ROW_WORDS, SOURCE_SIZE, WAIT_POSITION } from './slot-layout.js'
import { SlotSources } from './slot-sources.js'

const ROWS_MIN = 1024

/**
 * What slots keep outside of their objects, where a number takes its own size and none has a box of its own: rows of doubles and of 32-bit words, and the bytes of their sources. There are as many rows
 * as slots, without gaps: where one goes, the last one takes its place. Grows and shrinks with them.
 */
export class SlotMemory {
  readonly known: KnownEntities
  readonly shardCount: number
  /** Replaced when it grows or shrinks. */
  numbers = new Float64Array(ROWS_MIN * ROW_NUMBERS)
  /** The same. */
  words = new Uint32Array(ROWS_MIN * ROW_WORDS)
  readonly sources = new SlotSources()
  /** The first one is NO_ROW. */
  #rows = 1

  constructor(known: KnownEntities, shardCount: number) {
    this.known = known
    this.shardCount = shardCount
    this.numbers[WAIT_POSITION] = Number.NEGATIVE_INFINITY
  }

  /** The number of a new row of both, the last one, with nothing but zeros in it. */
  addRow(): number {
    const rows = this.#rows++
    if (rows * ROW_WORDS === this.words.length) this.#resize(rows + Math.ceil(rows / 4))
    return rows
  }

  setSource(row: number, source: Uint8Array): void {
    this.sources.set(this.words, row, source)
    this.sources.tidyUp(this.words, this.#rows)
  }

  /** Gives a row up, and the source in it; the last one takes its number. */
  removeRow(row: number): void {
    const { numbers, words } = this
    this.sources.giveUp((words[row * ROW_WORDS + SOURCE_SIZE] as number) >>> 16)
    const last = --this.#rows
    move(numbers, last * ROW_NUMBERS, row * ROW_NUMBERS, ROW_NUMBERS)
    move(words, last * ROW_WORDS, row * ROW_WORDS, ROW_WORDS)
    this.sources.tidyUp(this.words, this.#rows)
    if (last >= ROWS_MIN && last * 4 * ROW_WORDS <= words.length) this.#resize(last * 2)
  }

  #resize(rows: number): void {
    const { numbers, words } = this
    this.numbers = new Float64Array(rows * ROW_NUMBERS)
    this.words = new Uint32Array(rows * ROW_WORDS)
    this.numbers.set(numbers.subarray(0, this.numbers.length))
    this.words.set(words.subarray(0, this.words.length))
  }
}

/** Leaves zeros. So few that a loop takes less than a call. */
function move(items: Float64Array | Uint32Array, from: number, to: number, count: number): void {
  for (let index = 0; index < count; index++) {
    items[to + index] = items[from + index] as number
    items[from + index] = 0
  }
}
