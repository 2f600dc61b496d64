import { bitsOf } from './bits.js'

/** More bins would cost more in the header than they save, and make the table of states long. */
export const BINS_MAX = 256
const CUTS = 128
/** For an estimate. */
const FEW_CUTS = 48
const SAMPLE = 2048
const SAMPLE_MIN = 512
const SAMPLE_PART = 4
/** What a bin takes in the header: lowest value, width, weight. */
const BIN_BITS = 30

const LOGS = Float64Array.from({ length: SAMPLE + 1 }, (_, count) => Math.log2(count))

/** Whole numbers from 0 on, seen as bins: runs of numbers that are told apart by `widths` bits behind the bin's number. */
export class BinChoice {
  count = 0
  /** Ascending, by bin. */
  readonly lowest = new Float64Array(BINS_MAX)
  readonly #sample = new Float64Array(SAMPLE)
  readonly #sampleWords = new Uint32Array(SAMPLE)
  readonly #cutLowest = new Float64Array(CUTS * 2 + 2)
  readonly #cutHighest = new Float64Array(CUTS * 2 + 2)
  /** How many numbers of the sample lie below the cut. */
  readonly #cutBelow = new Float64Array(CUTS * 2 + 2)
  readonly #best = new Float64Array(CUTS * 2 + 2)
  readonly #from = new Int32Array(CUTS * 2 + 2)

  /**
   * Chooses where bins begin, so that the values take few bits: their bin's number by its frequency (as entropy coding makes it), the distance
   * from its lowest number in the bits that the farthest takes. Looks at a quarter of them, but at 512 at least and 2,048 at most.
   */
  choose(values: Float64Array, count: number): void {
    const sample = this.#takeSample(values, count)
    this.#merge(this.#cut(sample, CUTS), sample.length, count)
  }

  /** About how many bits `total` numbers would take, of which these are a sample. */
  estimate(values: Float64Array, count: number, total: number): number {
    const sample = this.#takeSample(values, count)
    return this.#merge(this.#cut(sample, FEW_CUTS), sample.length, total)
  }

  /** Sorted. */
  #takeSample(values: Float64Array, count: number): Float64Array {
    const length = Math.min(count, SAMPLE, Math.max(SAMPLE_MIN, Math.ceil(count / SAMPLE_PART)))
    const sample = this.#sample.subarray(0, length)
    const step = count / length
    for (let index = 0; index < length; index++) sample[index] = values[Math.floor(index * step)] as number
    // The ends of the range are in it, so that what lies far off gets bins of its own.
    let lowest = Infinity
    let highest = 0
    for (let index = 0; index < count; index++) {
      const value = values[index] as number
      if (value < lowest) lowest = value
      if (value > highest) highest = value
    }
    if (length < count) {
      sample[0] = lowest
      sample[length - 1] = highest
    }
    if (highest >= 0x100000000) return sample.sort()
    // Sorting integers takes a quarter of the time.
    const words = this.#sampleWords.subarray(0, length)
    words.set(sample)
    sample.set(words.sort())
    return sample
  }

  /** Cuts the sorted sample into parts of about the same number, and values that are frequent into parts of their own. */
  #cut(sample: Float64Array, wanted: number): number {
    const enough = Math.max(1, sample.length / wanted)
    let cuts = 0
    let index = 0
    let partStart = 0
    while (index < sample.length) {
      const value = sample[index] as number
      let end = index + 1
      while (end < sample.length && sample[end] === value) end++
      const isFrequent = end - index >= enough
      if (isFrequent && partStart < index) cuts = this.#endPart(cuts, sample, partStart, index)
      if (isFrequent) partStart = index
      if (isFrequent || end - partStart >= enough || end === sample.length) {
        cuts = this.#endPart(cuts, sample, partStart, end)
        partStart = end
      }
      index = end
    }
    return cuts
  }

  #endPart(cuts: number, sample: Float64Array, start: number, end: number): number {
    this.#cutLowest[cuts] = sample[start] as number
    this.#cutHighest[cuts] = sample[end - 1] as number
    this.#cutBelow[cuts] = start
    this.#cutBelow[cuts + 1] = end
    return cuts + 1
  }

  /** The cheapest way to make bins of neighbouring parts, by dynamic programming. */
  #merge(cuts: number, sampleCount: number, total: number): number {
    const lowest = this.#cutLowest
    const highest = this.#cutHighest
    const below = this.#cutBelow
    const best = this.#best
    const from = this.#from
    const logAll = LOGS[sampleCount] as number
    const header = (BIN_BITS * sampleCount) / total
    best[0] = 0
    for (let end = 1; end <= cuts; end++) {
      let least = Infinity
      let leastStart = 0
      const top = highest[end - 1] as number
      const last = below[end] as number
      for (let start = end - 1; start >= 0; start--) {
        const own = last - (below[start] as number)
        const width = bitsOf(top - (lowest[start] as number))
        const cost = (best[start] as number) + header + own * (logAll - (LOGS[own] as number) + width)
        if (cost >= least) continue
        least = cost
        leastStart = start
      }
      best[end] = least
      from[end] = leastStart
    }
    let bins = 0
    for (let end = cuts; end > 0; end = from[end] as number) bins++
    this.count = bins
    for (let end = cuts; end > 0; end = from[end] as number) this.lowest[--bins] = lowest[from[end] as number] as number
    return ((best[cuts] as number) * total) / sampleCount
  }
}
