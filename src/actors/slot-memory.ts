/** In a slot's row of numbers. */
export const LATEST_AT = 0
export const WAIT_POSITION = 1
export const USED_MS = 2
const ROW_NUMBERS = 4

/**
 * What slots keep outside of their objects: numbers in rows, half a cache line each, and the bytes of ids and sources, those of one entity mostly side
 * by side. Only grows, as slots do.
 */
export class SlotMemory {
  /** Replaced when it grows. */
  numbers = new Float64Array(1024 * ROW_NUMBERS)
  /** Over ids and sources. Replaced when they grow. */
  bytes: DataView
  /** The same. */
  #octets = new Uint8Array(1 << 16)
  #rowsEnd = 0
  #bytesEnd = 0

  constructor() {
    this.bytes = new DataView(this.#octets.buffer)
  }

  /** Index of a new row in `numbers`. */
  addRow(): number {
    if (this.#rowsEnd === this.numbers.length) {
      const grown = new Float64Array(this.numbers.length * 2)
      grown.set(this.numbers)
      this.numbers = grown
    }
    const row = this.#rowsEnd
    this.#rowsEnd += ROW_NUMBERS
    return row
  }

  /** Where the copy of an id or a source begins in `bytes`. */
  add(own: Uint8Array): number {
    const at = this.#bytesEnd
    if (at + own.length > this.bytes.byteLength) {
      const grown = new Uint8Array(this.#octets.length * 2)
      grown.set(this.#octets)
      this.#octets = grown
      this.bytes = new DataView(grown.buffer)
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
