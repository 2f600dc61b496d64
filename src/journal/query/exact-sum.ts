import { assert } from '#base/assert.js'

/**
 * Sums of doubles that come out as if they were added in real numbers and rounded once, to nearest, ties to even: so a sum does not depend on how
 * rows lie in blocks, and is the same before and after sealing. Infinities sum as in IEEE 754; NaN is the caller's to leave out.
 *
 * One number per sum would lose bits, so each has three that do not overlap (Shewchuk, Adaptive Precision Floating-Point Arithmetic, 1997: grow
 * expansion), and a list in the rare case that three do not hold it. Values near the largest double are kept apart, scaled down, so that nothing overflows.
 */
export class ExactSums {
  #high = new Float64Array(0)
  #middle = new Float64Array(0)
  #low = new Float64Array(0)
  /** What fits none of the three, and values too large for them: by sum. */
  readonly #rest = new Map<number, number[]>()
  readonly #huge = new Map<number, number[]>()
  /** Bit 0: +infinity was added, bit 1: -infinity. */
  #infinite = new Uint8Array(0)
  readonly #bins = new ExponentBins()

  /** Makes room for sums 0 to `count` - 1; new ones are 0. */
  fit(count: number): void {
    if (count <= this.#high.length) return
    const room = 2 ** Math.ceil(Math.log2(Math.max(4, count)))
    const grown = (from: Float64Array): Float64Array<ArrayBuffer> => {
      const to = new Float64Array(room)
      to.set(from)
      return to
    }
    this.#high = grown(this.#high)
    this.#middle = grown(this.#middle)
    this.#low = grown(this.#low)
    const infinite = new Uint8Array(room)
    infinite.set(this.#infinite)
    this.#infinite = infinite
  }

  add(sum: number, value: number): void {
    if (value >= HUGE || value <= -HUGE) return this.#addHuge(sum, value)
    // Three two-sums: what falls out of one place goes into the next. Each keeps high + low = a + b exactly.
    const high = this.#high[sum] as number
    const a = high + value
    const aBack = a - high
    const aLow = high - (a - aBack) + (value - aBack)
    this.#high[sum] = a
    if (aLow === 0) return
    const middle = this.#middle[sum] as number
    const b = middle + aLow
    const bBack = b - middle
    const bLow = middle - (b - bBack) + (aLow - bBack)
    this.#middle[sum] = b
    if (bLow === 0) return
    const low = this.#low[sum] as number
    const c = low + bLow
    const cBack = c - low
    const cLow = low - (c - cBack) + (bLow - cBack)
    this.#low[sum] = c
    if (cLow !== 0) addTo(this.#rest, sum, cLow)
  }

  /** Adds the values of many rows to one sum, faster than one by one: `values[at[picks[i]]]` for i < count; NaN is left out. Answers how many were numbers. */
  addMany(sum: number, values: Float64Array, picks: Uint32Array | undefined, at: Uint32Array | undefined, count: number): number {
    const bins = this.#bins
    let numbers = 0
    for (let done = 0; done < count; ) {
      const end = Math.min(count, done + bins.roomFor)
      numbers += bins.add(values, picks, at, done, end, (value) => this.#addHuge(sum, value))
      bins.drain((part) => this.add(sum, part))
      done = end
    }
    return numbers
  }

  /** The sum, rounded once. */
  value(sum: number): number {
    const infinite = this.#infinite[sum] as number
    if (infinite !== 0) return infinite === 3 ? Number.NaN : infinite === 1 ? Infinity : -Infinity
    const parts = [this.#high[sum] as number, this.#middle[sum] as number, this.#low[sum] as number, ...(this.#rest.get(sum) ?? [])]
    const huge = this.#huge.get(sum) ?? []
    const some = parts.filter((part) => part !== 0)
    if (huge.length === 0 && some.length < 2) return some[0] ?? 0
    const total = [...some.map((part) => integerOf(part)), ...huge.map((part) => integerOf(part) << BigInt(HUGE_SCALE_BITS))]
    return rounded(total.reduce((left, right) => left + right, 0n))
  }

  #addHuge(sum: number, value: number): void {
    if (value === Infinity || value === -Infinity) {
      this.#infinite[sum] = (this.#infinite[sum] as number) | (value > 0 ? 1 : 2)
      return
    }
    addTo(this.#huge, sum, value / 2 ** HUGE_SCALE_BITS)
  }
}

/** From here on doubles are kept apart; below, 2^63 of them cannot overflow. */
const HUGE = 2 ** 960
const HUGE_SCALE_BITS = 128
const DENORMAL_BITS = 1074

/** Grow expansion: adds a value to a list of parts that do not overlap, and keeps the list short. */
function addTo(lists: Map<number, number[]>, sum: number, value: number): void {
  const parts = lists.get(sum) ?? []
  let kept = 0
  let carry = value
  for (const part of parts) {
    const total = carry + part
    const back = total - carry
    const low = carry - (total - back) + (part - back)
    if (low !== 0) parts[kept++] = low
    carry = total
  }
  parts.length = kept
  if (carry !== 0) parts.push(carry)
  lists.set(sum, parts)
}

/**
 * Partial sums by exponent: a value is cut into two halves of 26 bits, and halves of one exponent add up exactly 2^26 times over. Costs two additions per
 * value, where grow expansion costs eighteen.
 */
class ExponentBins {
  /** So many values fit before `drain`. */
  readonly roomFor = 1 << 22
  readonly #high = new Float64Array(2048)
  readonly #low = new Float64Array(2048)
  readonly #isUsed = new Uint8Array(2048)
  readonly #used: number[] = []

  add(
    values: Float64Array,
    picks: Uint32Array | undefined,
    at: Uint32Array | undefined,
    start: number,
    end: number,
    huge: (value: number) => void,
  ): number {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2)
    let exponent = 0
    let high = this.#high[0] as number
    let low = this.#low[0] as number
    let numbers = 0
    this.#use(0)
    for (let index = start; index < end; index++) {
      const pick = picks === undefined ? index : (picks[index] as number)
      const place = at === undefined ? pick : (at[pick] as number)
      const value = values[place] as number
      if (value !== value) continue
      numbers++
      const own = ((words[2 * place + 1] as number) >>> 20) & 0x7ff
      if (own !== exponent) {
        if (own >= HUGE_EXPONENT) {
          huge(value)
          continue
        }
        this.#high[exponent] = high
        this.#low[exponent] = low
        this.#use(own)
        exponent = own
        high = this.#high[own] as number
        low = this.#low[own] as number
      }
      // Veltkamp's cut: the upper 26 bits, and the rest.
      const scaled = value * 134_217_729
      const upper = scaled - (scaled - value)
      high += upper
      low += value - upper
    }
    this.#high[exponent] = high
    this.#low[exponent] = low
    return numbers
  }

  /** Hands on what there is and starts over. */
  drain(part: (value: number) => void): void {
    for (const exponent of this.#used) {
      part(this.#high[exponent] as number)
      part(this.#low[exponent] as number)
      this.#isUsed[exponent] = 0
      this.#high[exponent] = 0
      this.#low[exponent] = 0
    }
    this.#used.length = 0
  }

  #use(exponent: number): void {
    if (this.#isUsed[exponent] === 1) return
    this.#isUsed[exponent] = 1
    this.#used.push(exponent)
  }
}

/** The exponent field of HUGE. */
const HUGE_EXPONENT = 960 + 1023

const scratch = new DataView(new ArrayBuffer(8))

/** A finite double times 2^1074, which makes every one of them whole. */
function integerOf(value: number): bigint {
  scratch.setFloat64(0, value)
  const bits = scratch.getBigUint64(0)
  const exponent = Number((bits >> 52n) & 0x7ffn)
  const fraction = bits & 0xfffffffffffffn
  const magnitude = exponent === 0 ? fraction : (fraction | 0x10000000000000n) << BigInt(exponent - 1)
  return bits >> 63n === 1n ? -magnitude : magnitude
}

/** A whole number times 2^-1074, rounded to nearest, ties to even. */
function rounded(total: bigint): number {
  const isNegative = total < 0n
  const magnitude = isNegative ? -total : total
  const excess = magnitude.toString(2).length - 64
  // Number() rounds right; one sticky bit stands for all that is cut off. A short one is exact, denormals too.
  const cut = excess > 0 ? BigInt(excess) : 0n
  const top = magnitude >> cut
  const sticky = top << cut === magnitude ? 0n : 1n
  const number = Number(top | sticky)
  assert(Number.isFinite(number), 'sixty-four bits are a finite double')
  const scaled = scale(number, Number(cut) - DENORMAL_BITS)
  return isNegative ? -scaled : scaled
}

/** `value * 2^exponent` in steps that are each exact as long as the result is. */
function scale(value: number, exponent: number): number {
  let left = exponent
  let scaled = value
  while (left < -1000) {
    scaled *= 2 ** -1000
    left += 1000
  }
  return scaled * 2 ** left
}
