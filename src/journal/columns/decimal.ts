import { type ByteReader, ByteWriter, Damage } from '#journal/bytes.js'
import { DELTA_OF_DELTA, type Order, type Packing, PLAIN, type WholeNumberReader, type WholeNumberWriter } from './whole-numbers.js'

/**
 * Doubles that were once decimal numbers, as most measured values were: value = whole number / 10^exponent, which is exact where both are, and
 * rounded as the parser of the number rounded it (the idea is ALP's: Afroozeh, Kuffó, Boncz, SIGMOD 2023). Others are patched:
 *
 *   u8 exponent, 0 to 22; u8 order of the whole numbers (0 plain, 1 delta, 2 delta of delta)
 *   varint near, varint far
 *   varint bytes, whole numbers of all values
 *   with near values: varint bytes, their indexes as whole numbers (delta); varint bytes, as whole numbers (plain): steps
 *   with far values:  varint bytes, their indexes as whole numbers (delta); per value its 8 bytes
 *
 * A near value lies some doubles away from its decimal number, as sums and products of such numbers do: its 64 bits, seen as an integer, are
 * those of the quotient plus `steps`. A far value is anything else: NaN, infinities, -0, what has too many digits.
 */
const EXPONENT_MAX = 22
/** Digits are asked of so many values. */
const DIGITS_VALUES = 100
const SINGLE_DIGITS_MAX = 10
const STEPS_MAX = 2 ** 40
/** What a patch costs, about. */
const NEAR_BYTES = 2.5
const FAR_BYTES = 9.5
const TWO_32 = 0x100000000

const POWERS = Float64Array.from({ length: EXPONENT_MAX + 1 }, (_, exponent) => Number(`1e${exponent}`))

/** Turns doubles into whole numbers and patches, once per exponent that is tried. */
export class DecimalWriter {
  readonly #numbers: WholeNumberWriter
  readonly #section = new ByteWriter(4096)
  readonly #one = new Float64Array(1)
  readonly #oneWords = new Uint32Array(this.#one.buffer)
  #whole = new Float64Array(0)
  #nearIndexes = new Float64Array(0)
  #steps = new Float64Array(0)
  #farIndexes = new Float64Array(0)
  #near = 0
  #far = 0
  #exponent = 0

  constructor(numbers: WholeNumberWriter) {
    this.#numbers = numbers
  }

  /** The fewest digits behind the point that say exactly what the value is; -1 when no whole number of up to 53 bits does. */
  #digitsOf(value: number): number {
    for (let exponent = 0; exponent <= EXPONENT_MAX; exponent++) {
      const power = POWERS[exponent] as number
      const whole = Math.round(value * power)
      if (!(Math.abs(whole) <= Number.MAX_SAFE_INTEGER)) return -1
      if (whole / power === value) return whole === 0 && Object.is(value, -0) ? -1 : exponent
    }
    return -1
  }

  /** How many digits to try: what all of a sample get by with, what nearly all do, and what most do. Empty when few do. */
  exponentsOf(values: Float64Array, count: number): number[] {
    const digits: number[] = []
    const step = Math.max(1, count / DIGITS_VALUES)
    let asked = 0
    for (let index = 0; index < count; index += step, asked++) {
      const own = this.#digitsOf(values[Math.floor(index)] as number)
      if (own >= 0) digits.push(own)
    }
    if (digits.length < asked / 4) return []
    digits.sort((a, b) => a - b)
    const at = (part: number): number => digits[Math.floor((digits.length - 1) * part)] as number
    return [...new Set([at(0.98), at(1), at(0.8)])]
  }

  /** The power of ten that nearly all of the singles are whole multiples of, as singles. */
  powerOfSingles(single: Float32Array, count: number): number {
    const digits: number[] = []
    for (let index = 0; index < count; index += Math.max(1, count / DIGITS_VALUES)) {
      const value = single[Math.floor(index)] as number
      let exponent = 0
      while (
        exponent < SINGLE_DIGITS_MAX &&
        Math.fround(Math.round(value * (POWERS[exponent] as number)) / (POWERS[exponent] as number)) !== value
      )
        exponent++
      digits.push(exponent)
    }
    digits.sort((a, b) => a - b)
    return POWERS[digits[Math.floor((digits.length - 1) * 0.98)] ?? 0] as number
  }

  /** Turns the first `count` doubles, in `values` and as words in `words`, into what `estimate` and `write` are about. */
  prepare(values: Float64Array, words: Uint32Array, count: number, exponent: number): void {
    if (this.#whole.length < count) {
      this.#whole = new Float64Array(2 * count)
      this.#nearIndexes = new Float64Array(2 * count)
      this.#steps = new Float64Array(2 * count)
      this.#farIndexes = new Float64Array(2 * count)
    }
    const whole = this.#whole
    const one = this.#one
    const oneWords = this.#oneWords
    const power = POWERS[exponent] as number
    let last = 0
    this.#exponent = exponent
    this.#near = 0
    this.#far = 0
    for (let index = 0; index < count; index++) {
      const value = values[index] as number
      // Adding 0 makes 0 of -0.
      const rounded = Math.round(value * power) + 0
      if (Math.abs(rounded) <= Number.MAX_SAFE_INTEGER) {
        one[0] = rounded / power
        const low = words[2 * index] as number
        const high = words[2 * index + 1] as number
        if (oneWords[0] === low && oneWords[1] === high) {
          whole[index] = last = rounded
          continue
        }
        const steps = (high - (oneWords[1] as number)) * TWO_32 + (low - (oneWords[0] as number))
        if (Math.abs(steps) <= STEPS_MAX) {
          whole[index] = last = rounded
          this.#nearIndexes[this.#near] = index
          this.#steps[this.#near++] = steps
          continue
        }
      }
      whole[index] = last
      this.#farIndexes[this.#far++] = index
    }
  }

  /** Estimates the bytes that `write` would take for `total` values, of which what was prepared is a sample. */
  estimate(count: number, total: number, order: Order): number {
    return this.#numbers.estimate(this.#whole, count, total, order) + ((this.#near * NEAR_BYTES + this.#far * FAR_BYTES) * total) / count
  }

  /** Writes what was prepared. Returns false, having written nothing, when whole numbers of this order cannot be. */
  write(words: Uint32Array, count: number, order: Order, packing: Packing, out: ByteWriter): boolean {
    const section = this.#section.clear()
    if (!this.#numbers.write(this.#whole, count, order, packing, section)) return false
    out.u8(this.#exponent)
    out.u8(order)
    out.varint(this.#near)
    out.varint(this.#far)
    this.#endSection(out)
    if (this.#near > 0) {
      this.#indexes(this.#nearIndexes, this.#near, out)
      this.#numbers.write(this.#steps, this.#near, PLAIN, 'short', section)
      this.#endSection(out)
    }
    if (this.#far === 0) return true
    this.#indexes(this.#farIndexes, this.#far, out)
    for (let index = 0; index < this.#far; index++) {
      const far = this.#farIndexes[index] as number
      out.u32(words[2 * far] as number)
      out.u32(words[2 * far + 1] as number)
    }
    return true
  }

  #indexes(indexes: Float64Array, count: number, out: ByteWriter): void {
    this.#numbers.write(indexes, count, 1, 'short', this.#section)
    this.#endSection(out)
  }

  #endSection(out: ByteWriter): void {
    out.varint(this.#section.length)
    out.copy(this.#section.bytes, 0, this.#section.length)
    this.#section.clear()
  }
}

export class DecimalReader {
  readonly #numbers: WholeNumberReader
  #indexes = new Float64Array(0)
  #steps = new Float64Array(0)

  constructor(numbers: WholeNumberReader) {
    this.#numbers = numbers
  }

  /** Decodes `count` values from `reader` up to its end into `out`, which `words` shows as words. Throws Damage. */
  read(reader: ByteReader, count: number, out: Float64Array, words: Uint32Array): void {
    const exponent = reader.u8()
    const order = reader.u8()
    const near = reader.varint()
    const far = reader.varint()
    if (exponent > EXPONENT_MAX || order > DELTA_OF_DELTA) throw new Damage('a decimal chunk is none')
    if (near > count || far > count) throw new Damage('a chunk has more patches than values')
    this.#section(reader, count, order as Order, out)
    const power = POWERS[exponent] as number
    for (let index = 0; index < count; index++) out[index] = (out[index] as number) / power
    if (near > 0) this.#patchNear(reader, count, near, words)
    if (far > 0) this.#patchFar(reader, count, far, words)
    if (reader.left > 0) throw new Damage('a chunk has the wrong length')
  }

  #patchNear(reader: ByteReader, count: number, near: number, words: Uint32Array): void {
    if (this.#steps.length < near) this.#steps = new Float64Array(2 * near)
    const indexes = this.#readIndexes(reader, near)
    this.#section(reader, near, PLAIN, this.#steps)
    for (let index = 0; index < near; index++) {
      const at = indexes[index] as number
      const low = (words[2 * at] as number) + (this.#steps[index] as number)
      if (!(at >= 0 && at < count)) throw new Damage('a patch of a chunk lies outside')
      const carry = Math.floor(low / TWO_32)
      words[2 * at] = low - carry * TWO_32
      words[2 * at + 1] = (words[2 * at + 1] as number) + carry
    }
  }

  #patchFar(reader: ByteReader, count: number, far: number, words: Uint32Array): void {
    const indexes = this.#readIndexes(reader, far)
    for (let index = 0; index < far; index++) {
      const at = indexes[index] as number
      const low = reader.u32()
      const high = reader.u32()
      if (!(at >= 0 && at < count)) throw new Damage('a patch of a chunk lies outside')
      words[2 * at] = low
      words[2 * at + 1] = high
    }
  }

  #readIndexes(reader: ByteReader, count: number): Float64Array {
    if (this.#indexes.length < count) this.#indexes = new Float64Array(2 * count)
    this.#section(reader, count, 1, this.#indexes)
    return this.#indexes
  }

  #section(reader: ByteReader, count: number, order: Order, out: Float64Array): void {
    const { end } = reader
    const bytes = reader.varint()
    const start = reader.skip(bytes)
    reader.at = start
    reader.end = start + bytes
    this.#numbers.read(reader, count, order, out)
    reader.at = start + bytes
    reader.end = end
  }
}
