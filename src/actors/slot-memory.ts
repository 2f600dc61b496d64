/** In a slot's row of numbers. */
export const LATEST_AT = 0
export const WAIT_POSITION = 1
export const USED_MS = 2
export const ROW_NUMBERS = 3

/** In a slot's row of words. */
export const VERSION = 0
export const TERM = 1
export const APPEND_NUMBER = 2
export const SNAPSHOT_VERSION = 3
export const SNAPSHOT_TRIED_VERSION = 4
export const LOST_VERSION = 5
export const FLAGS = 6
export const HASH = 7
export const SHARD = 8
export const ID_AT = 9
export const ID_LENGTH = 10
export const SOURCE_AT = 11
export const SOURCE_LENGTH = 12
export const SOURCE_ROOM = 13
export const ROW_WORDS = 14

const ROWS_MIN = 1024

/**
 * What slots keep outside of their objects, where a number takes its own size and none has a box of its own: rows of doubles and of 32-bit words, and the bytes of ids
 * and sources, those of one entity mostly side by side. Only grows, as slots do.
 */
export class SlotMemory {
  /** Replaced when it grows. */
  numbers = new Float64Array(ROWS_MIN * ROW_NUMBERS)
  /** The same. */
  words = new Uint32Array(ROWS_MIN * ROW_WORDS)
  /** Over ids and sources. Replaced when they grow. */
  bytes: DataView
  /** The same. */
  #octets = new Uint8Array(1 << 16)
  #rows = 0
  #bytesEnd = 0

  constructor() {
    this.bytes = new DataView(this.#octets.buffer)
  }

  /** The number of a new row of both. */
  addRow(): number {
    if ((this.#rows + 1) * ROW_WORDS > this.words.length) {
      this.numbers = grown(this.numbers, new Float64Array(this.numbers.length * 2))
      this.words = grown(this.words, new Uint32Array(this.words.length * 2))
    }
    return this.#rows++
  }

  /** Where the copy of an id or a source begins in `bytes`. */
  add(own: Uint8Array): number {
    const at = this.#bytesEnd
    if (at + own.length > this.bytes.byteLength) {
      this.#octets = grown(this.#octets, new Uint8Array(this.#octets.length * 2))
      this.bytes = new DataView(this.#octets.buffer)
    }
    this.replace(at, own)
    this.#bytesEnd = at + own.length
    return at
  }

  /** Over one that was added and is at least as long. */
  replace(at: number, own: Uint8Array): void {
    for (let index = 0; index < own.length; index++) this.#octets[at + index] = own[index] as number
  }

  at(start: number, length: number): Uint8Array {
    return this.#octets.subarray(start, start + length)
  }
}

function grown<T extends Float64Array | Uint32Array | Uint8Array>(former: T, larger: T): T {
  larger.set(former)
  return larger
}
