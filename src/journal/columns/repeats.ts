import { type Order, PLAIN } from './whole-numbers.js'

const SLOTS = 1 << 14
/** Sequences of about so many bits are looked for: what a compressor needs for a match that pays. */
const MATCH_BITS = 26
const LENGTH_MAX = 4
/** Below this part of them a compressor finds too little that repeats to be better than bins. */
const FREQUENT = 0.2

/** Tells whether sequences of values come again, from a table of the hashes of those that were there. */
export class Repeats {
  readonly #seen = new Int32Array(SLOTS)

  /** `order` above PLAIN: sequences of differences. `bitsPerValue`: what a value takes without a last stage. */
  areFrequent(values: Float64Array, count: number, order: Order, bitsPerValue: number): boolean {
    const length = Math.min(LENGTH_MAX, Math.max(1, Math.round(MATCH_BITS / bitsPerValue)))
    const seen = this.#seen.fill(0)
    let again = 0
    let before = 0
    let [first, second, third] = [0, 0, 0]
    for (let index = 0; index < count; index++) {
      const value = values[index] as number
      const step = order === PLAIN ? value : value - before
      before = value
      const own = Math.imul(step | 0, 0x9e3779b1) ^ Math.imul((step * 4096) | 0, 0x85ebca6b)
      let hash = own
      if (length > 1) hash = Math.imul(hash, 31) + first
      if (length > 2) hash = Math.imul(hash, 31) + second
      if (length > 3) hash = Math.imul(hash, 31) + third
      third = second
      second = first
      first = own
      const slot = (Math.imul(hash, 0xc2b2ae35) >>> 16) & (SLOTS - 1)
      if (seen[slot] === hash) again++
      seen[slot] = hash
    }
    return again > count * FREQUENT
  }
}
