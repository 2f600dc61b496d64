import { assert } from '#base/assert.js'
import { type ByteReader, ByteWriter, Damage } from '#journal/bytes.js'
import { BinChoice, BINS_MAX } from './bin-choice.js'
import { BinStates, STATE_BITS_MAX, STATE_BITS_MIN, weigh } from './bin-states.js'
import { BITS_MAX, BitInput, bitsOf, BitWriter, LOAD_BITS } from './bits.js'

/**
 * Whole numbers in bins, each as its bin, coded by how frequent the bin is, and its distance from the bin's lowest number:
 *
 *   varint bins, 1 to 256; per bin: varint lowest - (lowest of the bin before + 1; of the first bin: 0), u8 width, 0 to 53
 *   u8 state bits, 4 to 12; per bin varint weight; they add up to 2^(state bits)
 *   from 256 numbers on: varint bytes of the first lane
 *   lanes, two from 256 numbers on, of which the first has half of the numbers, rounded up: the first state in so many bits; then per number the
 *   bits of its state's step and its distance in `width` bits; zeros up to a byte
 *
 * Bits stand lowest first. The states are those of BinStates: a number's bin is its state's, and its state's base plus the bits that follow
 * is the state of the next number. Two lanes are read at a time, so that one need not wait for the other.
 */
const LANES_FROM = 256
/** More tell frequencies better, and take longer to prepare for reading. */
const WANTED_STATE_BITS = 11

export class BinnedWriter {
  readonly #choice = new BinChoice()
  readonly #states = new BinStates()
  readonly #bits = new BitWriter()
  readonly #lane = new ByteWriter(4096)
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

  /** Estimates the bytes of `total` numbers, of which these `count` are a sample. At least one. */
  estimate(values: Float64Array, count: number, total: number): number {
    return this.#choice.estimate(values, count, total) / 8
  }

  /** At least one number. */
  write(values: Float64Array, count: number, out: ByteWriter): void {
    this.#choice.choose(values, count)
    const bins = this.#assign(values, count)
    const lowest = this.#lowest
    out.varint(bins)
    let next = 0
    for (let bin = 0; bin < bins; bin++) {
      const first = lowest[bin] as number
      out.varint(first - next)
      out.u8(this.#widths[bin] as number)
      next = first + 1
    }
    const stateBits = Math.min(
      STATE_BITS_MAX,
      Math.max(STATE_BITS_MIN, bitsOf(bins - 1) + 1, Math.min(WANTED_STATE_BITS, bitsOf(count) - 3)),
    )
    weigh(this.#counts, bins, count, stateBits, this.#weights)
    out.u8(stateBits)
    for (let bin = 0; bin < bins; bin++) out.varint(this.#weights[bin] as number)
    this.#prepareStates(bins, stateBits)
    const middle = count < LANES_FROM ? count : (count + 1) >> 1
    const lane = this.#lane.clear()
    this.#writeLane(values, 0, middle, stateBits, lane)
    if (middle < count) out.varint(lane.length)
    out.copy(lane.bytes, 0, lane.length)
    if (middle < count) this.#writeLane(values, middle, count, stateBits, out)
  }

  /** Finds the bin of every number, and of every bin how many it has and how far they reach. Returns how many bins there are. */
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
    let half = 1
    while (2 * half <= last) half *= 2
    for (let index = 0; index < count; index++) {
      const value = values[index] as number
      let low = 0
      for (let step = half; step > 0; step >>= 1) {
        const next = low + step
        if (next <= last && (starts[next] as number) <= value) low = next
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

  #prepareStates(bins: number, stateBits: number): void {
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
    for (let state = 0; state < 1 << stateBits; state++) {
      const bin = states.bin[state] as number
      statesOf[from[bin] as number] = state
      from[bin] = (from[bin] as number) + 1
    }
    for (let bin = 0; bin < bins; bin++) from[bin] = (from[bin] as number) - 2 * (weights[bin] as number)
  }

  #writeLane(values: Float64Array, start: number, end: number, stateBits: number, out: ByteWriter): void {
    const lowest = this.#lowest
    const bins = this.#bins
    const widths = this.#widths
    const steps = this.#steps
    const stepBits = this.#stepBits
    let bitCount = stateBits
    const first = this.#step(start, end, stateBits)
    for (let index = start; index < end; index++) bitCount += (stepBits[index] as number) + (widths[bins[index] as number] as number)
    const stream = this.#bits.begin(out, bitCount)
    stream.write(first, stateBits)
    for (let index = start; index < end; index++) {
      const bin = bins[index] as number
      const step = stepBits[index] as number
      const width = widths[bin] as number
      if (step > 0) stream.write(steps[index] as number, step)
      if (width > 0) stream.write((values[index] as number) - (lowest[bin] as number), width)
    }
    stream.end()
  }

  /** Walks the states from the last number to the first and keeps what each step reads. Returns the state to begin with. */
  #step(start: number, end: number, stateBits: number): number {
    const weights = this.#weights
    const from = this.#statesFrom
    const statesOf = this.#statesOf
    const size = 1 << stateBits
    let state = size
    for (let index = end - 1; index >= start; index--) {
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

/** Reads what BinnedWriter wrote. */
export class BinnedReader {
  readonly #states = new BinStates()
  readonly #input = new BitInput()
  readonly #second = new BitInput()
  readonly #lowest = new Float64Array(BINS_MAX)
  readonly #widths = new Uint8Array(BINS_MAX)
  readonly #weights = new Uint16Array(BINS_MAX)
  /** By state: base in bits 0 to 11, bits of the step in 12 to 15, width of the distance in 16 to 21. */
  readonly #moves = new Int32Array(1 << STATE_BITS_MAX)
  readonly #lowestOf = new Float64Array(1 << STATE_BITS_MAX)

  /** Decodes `count` numbers from `reader` up to its end into `out`. Throws Damage. */
  read(reader: ByteReader, count: number, out: Float64Array): void {
    const bins = reader.varint()
    if (bins === 0 || bins > BINS_MAX) throw new Damage('a chunk has a wrong number of bins')
    let next = 0
    let widest = 0
    for (let bin = 0; bin < bins; bin++) {
      next += reader.varint()
      const width = reader.u8()
      if (width > BITS_MAX) throw new Damage('a bin of a chunk is too wide')
      if (width > widest) widest = width
      this.#lowest[bin] = next++
      this.#widths[bin] = width
    }
    const stateBits = reader.u8()
    if (stateBits < STATE_BITS_MIN || stateBits > STATE_BITS_MAX) throw new Damage('the states of a chunk are wrong')
    for (let bin = 0; bin < bins; bin++) {
      const weight = reader.varint()
      if (weight > 1 << stateBits) throw new Damage('the weights of a chunk are wrong')
      this.#weights[bin] = weight
    }
    this.#prepareMoves(bins, stateBits)
    const isNarrow = stateBits + widest <= LOAD_BITS
    if (count < LANES_FROM) {
      const input = this.#load(this.#input, reader, reader.end, stateBits)
      this.#check(
        input,
        isNarrow ? this.#narrow(input, stateBits, stateBits, 0, 0, count, out) : this.#wide(input, stateBits, 0, count, out),
      )
      return
    }
    const bytes = reader.varint()
    const start = reader.skip(bytes)
    reader.at = start
    const first = this.#load(this.#input, reader, start + bytes, stateBits)
    reader.at = start + bytes
    const second = this.#load(this.#second, reader, reader.end, stateBits)
    const middle = (count + 1) >> 1
    if (isNarrow) this.#narrowLanes(first, second, stateBits, middle, count, out)
    else {
      this.#check(first, this.#wide(first, stateBits, 0, middle, out))
      this.#check(second, this.#wide(second, stateBits, middle, count, out))
    }
  }

  #load(input: BitInput, reader: ByteReader, end: number, stateBits: number): BitInput {
    input.load(reader.bytes, reader.at, end)
    if (input.count < stateBits) throw new Damage('a chunk has the wrong length')
    return input
  }

  #check(input: BitInput, end: number): void {
    if ((end + 7) >>> 3 !== input.count >>> 3) throw new Damage('a chunk has the wrong length')
  }

  #prepareMoves(bins: number, stateBits: number): void {
    const states = this.#states
    states.build(this.#weights, bins, stateBits)
    const { bin: binOf, bits, base } = states
    const moves = this.#moves
    const lowestOf = this.#lowestOf
    const lowest = this.#lowest
    const widths = this.#widths
    for (let state = 0; state < 1 << stateBits; state++) {
      const bin = binOf[state] as number
      moves[state] = (base[state] as number) | ((bits[state] as number) << 12) | ((widths[bin] as number) << 16)
      lowestOf[state] = lowest[bin] as number
    }
  }

  /** Both lanes, number by number in turns. */
  #narrowLanes(first: BitInput, second: BitInput, stateBits: number, middle: number, count: number, out: Float64Array): void {
    const moves = this.#moves
    const lowestOf = this.#lowestOf
    const { view: view1, count: bits1 } = first
    const { view: view2, count: bits2 } = second
    let state1 = view1.getUint32(0, true) & ((1 << stateBits) - 1)
    let state2 = view2.getUint32(0, true) & ((1 << stateBits) - 1)
    let at1 = stateBits
    let at2 = stateBits
    const pairs = count - middle
    for (let index = 0; index < pairs; index++) {
      if (at1 > bits1 || at2 > bits2) throw new Damage('a chunk has the wrong length')
      const loaded1 = view1.getUint32(at1 >>> 3, true) >>> (at1 & 7)
      const loaded2 = view2.getUint32(at2 >>> 3, true) >>> (at2 & 7)
      const move1 = moves[state1] as number
      const move2 = moves[state2] as number
      const step1 = (move1 >>> 12) & 15
      const step2 = (move2 >>> 12) & 15
      const width1 = move1 >>> 16
      const width2 = move2 >>> 16
      out[index] = (lowestOf[state1] as number) + ((loaded1 >>> step1) & ((1 << width1) - 1))
      out[middle + index] = (lowestOf[state2] as number) + ((loaded2 >>> step2) & ((1 << width2) - 1))
      state1 = (move1 & 0xfff) + (loaded1 & ((1 << step1) - 1))
      state2 = (move2 & 0xfff) + (loaded2 & ((1 << step2) - 1))
      at1 += step1 + width1
      at2 += step2 + width2
    }
    this.#check(second, at2)
    this.#check(first, this.#narrow(first, stateBits, at1, state1, pairs, middle, out))
  }

  /** One load for a step and its distance. Goes on in `state` from bit `at`; at the first one the state is what stands before. */
  #narrow(input: BitInput, stateBits: number, from: number, state: number, start: number, end: number, out: Float64Array): number {
    const moves = this.#moves
    const lowestOf = this.#lowestOf
    const { view, count: bitCount } = input
    let now = start === 0 ? view.getUint32(0, true) & ((1 << stateBits) - 1) : state
    let at = from
    for (let index = start; index < end; index++) {
      if (at > bitCount) throw new Damage('a chunk has the wrong length')
      const loaded = view.getUint32(at >>> 3, true) >>> (at & 7)
      const move = moves[now] as number
      const step = (move >>> 12) & 15
      const width = move >>> 16
      out[index] = (lowestOf[now] as number) + ((loaded >>> step) & ((1 << width) - 1))
      now = (move & 0xfff) + (loaded & ((1 << step) - 1))
      at += step + width
    }
    return at
  }

  #wide(input: BitInput, stateBits: number, start: number, end: number, out: Float64Array): number {
    const moves = this.#moves
    const lowestOf = this.#lowestOf
    const { view, count: bitCount } = input
    let state = view.getUint32(0, true) & ((1 << stateBits) - 1)
    let at = stateBits
    for (let index = start; index < end; index++) {
      if (at > bitCount) throw new Damage('a chunk has the wrong length')
      const loaded = view.getUint32(at >>> 3, true) >>> (at & 7)
      const move = moves[state] as number
      const step = (move >>> 12) & 15
      const width = move >>> 16
      at += step
      if (at > bitCount) throw new Damage('a chunk has the wrong length')
      out[index] = (lowestOf[state] as number) + input.read(at, width)
      state = (move & 0xfff) + (loaded & ((1 << step) - 1))
      at += width
    }
    return at
  }
}
