import { Damage } from '#journal/bytes.js'

/** Fewer states than 16 do not spread; more than 4,096 do not stay in the nearest cache. */
export const STATE_BITS_MIN = 4
export const STATE_BITS_MAX = 12
const STATES_MAX = 1 << STATE_BITS_MAX

/**
 * The states of a tabled asymmetric numeral system (Duda, arXiv 1311.2540; laid out as in Collet's finite state entropy): 2^bits states,
 * of which a bin has as many as its weight. A state tells the bin, how many bits to read, and what to add to them for the state that follows.
 */
export class BinStates {
  readonly bin = new Uint16Array(STATES_MAX)
  readonly bits = new Uint8Array(STATES_MAX)
  readonly base = new Uint16Array(STATES_MAX)
  readonly #next = new Uint16Array(STATES_MAX)

  /** `weights[i]` above 0 for each of `count` bins; they add up to 2^stateBits, else Damage. */
  build(weights: ArrayLike<number>, count: number, stateBits: number): void {
    const { bin, bits, base } = this
    const next = this.#next
    const states = 1 << stateBits
    const step = (states >> 1) + (states >> 3) + 3
    let at = 0
    let total = 0
    for (let index = 0; index < count; index++) {
      const weight = weights[index] as number
      total += weight
      if (weight < 1 || total > states) throw new Damage('the weights of a chunk are wrong')
      next[index] = weight
      for (let own = 0; own < weight; own++) {
        bin[at] = index
        at = (at + step) & (states - 1)
      }
    }
    if (total !== states) throw new Damage('the weights of a chunk are wrong')
    for (let state = 0; state < states; state++) {
      const own = bin[state] as number
      const rank = next[own] as number
      next[own] = rank + 1
      const width = stateBits - (31 - Math.clz32(rank))
      bits[state] = width
      base[state] = (rank << width) - states
    }
  }
}

/**
 * Makes weights of frequencies: at least 1 each, together 2^stateBits. `counts` are above 0; there are at most 2^stateBits of them.
 */
export function weigh(counts: ArrayLike<number>, count: number, total: number, stateBits: number, weights: Uint16Array): void {
  const states = 1 << stateBits
  let left = states
  for (let index = 0; index < count; index++) {
    const weight = Math.max(1, Math.round(((counts[index] as number) / total) * states))
    weights[index] = weight
    left -= weight
  }
  while (left !== 0) {
    // Where one more gains most, or one less costs least.
    let chosen = -1
    let most = -Infinity
    for (let index = 0; index < count; index++) {
      const weight = weights[index] as number
      if (left < 0 && weight === 1) continue
      const gain = (counts[index] as number) * Math.log2((weight + Math.sign(left)) / weight)
      if (gain <= most) continue
      most = gain
      chosen = index
    }
    weights[chosen] = (weights[chosen] as number) + Math.sign(left)
    left -= Math.sign(left)
  }
}
