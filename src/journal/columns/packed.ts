import { assert } from '#base/assert.js'
import { type ByteReader, type ByteWriter, Damage } from '#journal/bytes.js'
import { BinChoice, BINS_MAX } from './bin-choice.js'
import { BinStates, STATE_BITS_MAX, STATE_BITS_MIN, weigh } from './bin-states.js'
import { BITS_MAX, BitInput, bitsOf, BitWriter, LOAD_BITS } from './bits.js'

/**
 * Packed whole numbers from 0 to 2^53 - 1: what most encodings come down to. Numbers lie in bins; a number is its bin, and its distance from
 * the bin's lowest number in as many bits as the bin has.
 *
 *   varint bins - 1, from 0 to 255
 *   per bin: varint lowest - (lowest of the bin before + 1; of the first bin: 0), u8 width, 0 to 53
 *   with one bin: the distances, each `width` bits, and zeros up to a byte
 *   with more:    u8 state bits, 4 to 12; per bin varint weight; they add up to 2^(state bits)
 *                 the first state in that many bits; then per number the bits of its state's step and the distance; zeros up to a byte
 *
 * Bits stand lowest first. The states are those of BinStates: a number's bin is its state's, and its state's base plus the bits that follow
 * is the state of the next number.
 */
export class PackedWriter {
  readonly #choice = new BinChoice()
  readonly #states = new BinStates()
  readonly #bits = new BitWriter()
  readonly #counts = new Float64Array(BINS_MAX)
  readonly #farthest = new Float64Array(BINS_MAX)
  readonly #lowest = new Float64Array(BINS_MAX)
  readonly #widths = new Uint8Array(BINS_MAX)
  readonly #weights = new Uint16Array(BINS_MAX)
  /** By bin: where its states begin in #statesOf, less its weight. */
  readonly #statesFrom = new Int32Array(BINS_MAX)
  readonly #statesOf = new Uint16Array(1 << STATE_BITS_MAX)
  #bins = new Uint8Array(0)
  #steps = new Uint16Array(0)
  #stepBits = new Uint8Array(0)

  /** Estimates the bytes of `entropyCoded` for `total` numbers, of which these `count` are a sample. */
  estimate(values: Float64Array, count: number, total: number): number {
    return count === 0 ? 0 : this.#choice.choose(values, count, total) / 8
  }

  /** One bin: every number in the same bits, a multiple of `widthStep` or all there are. */
  fixedWidth(values: Float64Array, count: number, widthStep: number, out: ByteWriter): void {
    let lowest = Infinity
    let highest = 0
    for (let index = 0; index < count; index++) {
      const value = values[index] as number
      if (value < lowest) lowest = value
      if (value > highest) highest = value
    }
    if (count === 0) lowest = 0
    const width = Math.min(BITS_MAX, Math.ceil(bitsOf(highest - lowest) / widthStep) * widthStep)
    out.varint(0)
    out.varint(lowest)
    out.u8(width)
    this.#distances(values, count, lowest, width, out)
  }

  /** As many bins as make it short. */
  entropyCoded(values: Float64Array, count: number, out: ByteWriter): void {
    if (count === 0) return this.fixedWidth(values, count, 1, out)
    this.#choice.choose(values, count, count)
    const bins = this.#assign(values, count)
    const lowest = this.#lowest
    out.varint(bins - 1)
    let next = 0
    for (let bin = 0; bin < bins; bin++) {
      const first = lowest[bin] as number
      out.varint(first - next)
      out.u8(this.#widths[bin] as number)
      next = first + 1
    }
    if (bins === 1) return this.#distances(values, count, lowest[0] as number, this.#widths[0] as number, out)

    const stateBits = Math.min(STATE_BITS_MAX, Math.max(STATE_BITS_MIN, bitsOf(bins - 1) + 1, Math.min(11, bitsOf(count) - 2)))
    const weights = this.#weights
    weigh(this.#counts, bins, count, stateBits, weights)
    out.u8(stateBits)
    for (let bin = 0; bin < bins; bin++) out.varint(weights[bin] as number)
    const first = this.#step(count, bins, stateBits)
    const stream = this.#bits.begin(out)
    stream.write(first, stateBits)
    for (let index = 0; index < count; index++) {
      const bin = this.#bins[index] as number
      stream.write(this.#steps[index] as number, this.#stepBits[index] as number)
      const width = this.#widths[bin] as number
      if (width > 0) stream.write((values[index] as number) - (lowest[bin] as number), width)
    }
    stream.end()
  }

  #distances(values: Float64Array, count: number, lowest: number, width: number, out: ByteWriter): void {
    if (width === 0) return
    const stream = this.#bits.begin(out)
    for (let index = 0; index < count; index++) stream.write((values[index] as number) - lowest, width)
    stream.end()
  }

  /** Finds the bin of every number, and of every bin how many it has and how far they reach. Leaves out bins that nothing is in. Returns how many there are. */
  #assign(values: Float64Array, count: number): number {
    const choice = this.#choice
    const starts = choice.lowest
    const last = choice.count - 1
    if (this.#bins.length < count) {
      this.#bins = new Uint8Array(2 * count)
      this.#steps = new Uint16Array(2 * count)
      this.#stepBits = new Uint8Array(2 * count)
    }
    const own = this.#bins
    const counts = this.#counts.fill(0)
    const farthest = this.#farthest.fill(0)
    const lowest = this.#lowest.fill(Infinity)
    for (let index = 0; index < count; index++) {
      const value = values[index] as number
      let low = 0
      let high = last
      while (low < high) {
        const middle = (low + high + 1) >> 1
        if ((starts[middle] as number) <= value) low = middle
        else high = middle - 1
      }
      own[index] = low
      counts[low] = (counts[low] as number) + 1
      if (value > (farthest[low] as number)) farthest[low] = value
      if (value < (lowest[low] as number)) lowest[low] = value
    }
    for (let bin = 0; bin <= last; bin++) {
      assert((counts[bin] as number) > 0, 'a bin has what it was made of')
      this.#widths[bin] = bitsOf((farthest[bin] as number) - (lowest[bin] as number))
    }
    return last + 1
  }

  /** Walks the states from the last number to the first and keeps what each step reads. Returns the state to begin with. */
  #step(count: number, bins: number, stateBits: number): number {
    const states = this.#states
    const weights = this.#weights
    const from = this.#statesFrom
    const statesOf = this.#statesOf
    states.build(weights, bins, stateBits)
    let sum = 0
    for (let bin = 0; bin < bins; bin++) {
      from[bin] = sum
      sum += weights[bin] as number
    }
    const size = 1 << stateBits
    for (let state = 0; state < size; state++) {
      const bin = states.bin[state] as number
      statesOf[from[bin] as number] = state
      from[bin] = (from[bin] as number) + 1
    }
    for (let bin = 0; bin < bins; bin++) from[bin] = (from[bin] as number) - 2 * (weights[bin] as number)
    let state = size
    for (let index = count - 1; index >= 0; index--) {
      const bin = this.#bins[index] as number
      const weight = weights[bin] as number
      // As many low bits as leave a number from weight to 2 × weight - 1.
      let width = Math.clz32(weight) - Math.clz32(state)
      if (state >>> width < weight) width--
      this.#steps[index] = state & ((1 << width) - 1)
      this.#stepBits[index] = width
      state = size + (statesOf[(from[bin] as number) + (state >>> width)] as number)
    }
    return state - size
  }
}

/** Reads what PackedWriter wrote. */
export class PackedReader {
  readonly #states = new BinStates()
  readonly #input = new BitInput()
  readonly #lowest = new Float64Array(BINS_MAX)
  readonly #widths = new Uint8Array(BINS_MAX)
  readonly #weights = new Uint16Array(BINS_MAX)

  /** Decodes `count` numbers from `reader` up to its end into `out`, which has room for them. Throws Damage. */
  read(reader: ByteReader, count: number, out: Float64Array): void {
    const bins = reader.varint() + 1
    if (bins > BINS_MAX) throw new Damage('a chunk has too many bins')
    const lowest = this.#lowest
    const widths = this.#widths
    let next = 0
    let widest = 0
    for (let bin = 0; bin < bins; bin++) {
      next += reader.varint()
      const width = reader.u8()
      if (width > BITS_MAX) throw new Damage('a bin of a chunk is too wide')
      if (width > widest) widest = width
      lowest[bin] = next++
      widths[bin] = width
    }
    if (bins === 1) return this.#distances(reader, count, lowest[0] as number, widest, out)
    const stateBits = reader.u8()
    if (stateBits < STATE_BITS_MIN || stateBits > STATE_BITS_MAX) throw new Damage('the states of a chunk are wrong')
    for (let bin = 0; bin < bins; bin++) {
      const weight = reader.varint()
      if (weight > 1 << stateBits) throw new Damage('the weights of a chunk are wrong')
      this.#weights[bin] = weight
    }
    this.#states.build(this.#weights, bins, stateBits)
    this.#input.load(reader.bytes, reader.at, reader.end)
    if (this.#input.count < stateBits) throw new Damage('a chunk has the wrong length')
    const end = stateBits + widest <= LOAD_BITS ? this.#narrowSteps(count, stateBits, out) : this.#wideSteps(count, stateBits, out)
    if ((end + 7) >>> 3 !== this.#input.count >>> 3) throw new Damage('a chunk has the wrong length')
  }

  #distances(reader: ByteReader, count: number, lowest: number, width: number, out: Float64Array): void {
    const input = this.#input.load(reader.bytes, reader.at, reader.end)
    const { view } = input
    if (Math.ceil((count * width) / 8) !== input.count >>> 3) throw new Damage('a chunk has the wrong length')
    let at = 0
    if (width === 0) out.fill(lowest, 0, count)
    else if (width <= LOAD_BITS) {
      const mask = (1 << width) - 1
      for (let index = 0; index < count; index++, at += width) out[index] = lowest + ((view.getUint32(at >>> 3, true) >>> (at & 7)) & mask)
    } else for (let index = 0; index < count; index++, at += width) out[index] = lowest + input.read(at, width)
  }

  /** One load for a step and its distance. */
  #narrowSteps(count: number, stateBits: number, out: Float64Array): number {
    const { bin, bits, base } = this.#states
    const lowest = this.#lowest
    const widths = this.#widths
    const { view, count: bitCount } = this.#input
    let state = view.getUint32(0, true) & ((1 << stateBits) - 1)
    let at = stateBits
    for (let index = 0; index < count; index++) {
      if (at > bitCount) throw new Damage('a chunk has the wrong length')
      const loaded = view.getUint32(at >>> 3, true) >>> (at & 7)
      const own = bin[state] as number
      const step = bits[state] as number
      const width = widths[own] as number
      out[index] = (lowest[own] as number) + ((loaded >>> step) & ((1 << width) - 1))
      state = (base[state] as number) + (loaded & ((1 << step) - 1))
      at += step + width
    }
    return at
  }

  #wideSteps(count: number, stateBits: number, out: Float64Array): number {
    const { bin, bits, base } = this.#states
    const lowest = this.#lowest
    const widths = this.#widths
    const input = this.#input
    const { view, count: bitCount } = input
    let state = view.getUint32(0, true) & ((1 << stateBits) - 1)
    let at = stateBits
    for (let index = 0; index < count; index++) {
      if (at > bitCount) throw new Damage('a chunk has the wrong length')
      const loaded = view.getUint32(at >>> 3, true) >>> (at & 7)
      const own = bin[state] as number
      const step = bits[state] as number
      const width = widths[own] as number
      state = (base[state] as number) + (loaded & ((1 << step) - 1))
      at += step
      if (at > bitCount) throw new Damage('a chunk has the wrong length')
      out[index] = (lowest[own] as number) + input.read(at, width)
      at += width
    }
    return at
  }
}
