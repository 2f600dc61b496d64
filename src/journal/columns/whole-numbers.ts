import { type ByteReader, type ByteWriter, Damage } from '#journal/bytes.js'
import { PackedReader, PackedWriter } from './packed.js'

/**
 * Safe integers, packed as they are, as differences, or as differences of differences:
 *
 *   plain           f64 lowest, then packed: value - lowest
 *   delta           f64 first value, f64 lowest difference, then packed: difference - lowest, one less than there are values
 *   delta of delta  f64 first value, f64 first difference, f64 lowest, then packed: second difference - lowest, two less
 *
 * Encoded by who checked with `fits` that no step leaves the safe integers: sums and differences of doubles are exact there.
 */
export const PLAIN = 0
export const DELTA = 1
export const DELTA_OF_DELTA = 2
export type Order = typeof PLAIN | typeof DELTA | typeof DELTA_OF_DELTA
export const ORDERS: readonly Order[] = [PLAIN, DELTA, DELTA_OF_DELTA]

const SAFE = Number.MAX_SAFE_INTEGER
/** Differences of numbers up to this are exact, and differences of these too. */
const NEAR = 2 ** 51

/** Packed to be short, or in whole bytes for a last stage to work on. */
export type Packing = 'short' | 'bytes'

export class WholeNumberWriter {
  readonly #packed = new PackedWriter()
  #steps = new Float64Array(0)
  #lowest = 0
  #firstDifference = 0

  /** Estimates the bytes that `write` would take for `total` numbers, of which these are a sample; Infinity when they cannot be written so. */
  estimate(values: Float64Array, count: number, total: number, order: Order): number {
    return this.#prepare(values, count, order) ? 8 * (1 + order) + this.#packed.estimate(this.#steps, count - order, total) : Infinity
  }

  /** Returns false, having written nothing, when a step would leave the safe integers or there are too few values. */
  write(values: Float64Array, count: number, order: Order, packing: Packing, out: ByteWriter): boolean {
    if (!this.#prepare(values, count, order)) return false
    if (order > PLAIN) out.f64(values[0] as number)
    if (order === DELTA_OF_DELTA) out.f64(this.#firstDifference)
    out.f64(this.#lowest)
    if (packing === 'short') this.#packed.write(this.#steps, count - order, out)
    else this.#packed.writeBytes(this.#steps, count - order, out)
    return true
  }

  /** Fills #steps with what is packed. */
  #prepare(values: Float64Array, count: number, order: Order): boolean {
    if (count < order) return false
    if (this.#steps.length < count) this.#steps = new Float64Array(2 * count)
    const steps = this.#steps
    const left = count - order
    let lowest = Infinity
    let highest = -Infinity
    let isNear = true
    this.#firstDifference = order === DELTA_OF_DELTA ? (values[1] as number) - (values[0] as number) : 0
    for (let index = 0; index < left; index++) {
      let step = values[index + order] as number
      if (order === DELTA) step -= values[index] as number
      else if (order === DELTA_OF_DELTA) {
        const middle = values[index + 1] as number
        if (!(Math.abs(step) <= NEAR && Math.abs(middle) <= NEAR)) isNear = false
        step = step - middle - (middle - (values[index] as number))
      }
      steps[index] = step
      if (step < lowest) lowest = step
      if (step > highest) highest = step
    }
    if (left === 0) lowest = highest = 0
    this.#lowest = lowest
    if (!(isNear && Math.abs(this.#firstDifference) <= 2 * NEAR)) return false
    if (!(lowest >= -SAFE && highest <= SAFE && highest - lowest <= SAFE)) return false
    for (let index = 0; index < left; index++) steps[index] = (steps[index] as number) - lowest
    return true
  }
}

export class WholeNumberReader {
  readonly #packed = new PackedReader()

  /** Decodes `count` numbers from `reader` up to its end into `out`. Throws Damage. Of hostile bytes it makes some numbers, safe or not. */
  read(reader: ByteReader, count: number, order: Order, out: Float64Array): void {
    if (count < order) throw new Damage('a chunk has the wrong length')
    const first = order > PLAIN ? reader.f64() : 0
    const firstDifference = order === DELTA_OF_DELTA ? reader.f64() : 0
    const lowest = reader.f64()
    const left = count - order
    this.#packed.read(reader, left, out)
    if (order === PLAIN) for (let index = 0; index < left; index++) out[index] = (out[index] as number) + lowest
    else if (order === DELTA) accumulate(out, left, first, lowest)
    else {
      accumulate(out, left, firstDifference, lowest)
      accumulate(out, left + 1, first, 0)
    }
  }
}

/** Makes `count` steps in `values`, each less `lowest`, into the `count` + 1 numbers that they lead to from `first`. */
function accumulate(values: Float64Array, count: number, first: number, lowest: number): void {
  let value = first
  for (let index = 0; index < count; index++) {
    const step = values[index] as number
    values[index] = value
    value += step + lowest
  }
  values[count] = value
}
