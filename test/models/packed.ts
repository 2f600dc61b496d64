/**
 * The slow twin of packed numbers: the format as its page tells it, in BigInt and plain loops, one bit at a time. A reader for all forms, and a
 * writer that leaves to its caller what the format leaves open (form, bins, weights).
 */
export interface Bin {
  readonly lowest: bigint
  readonly width: number
  readonly weight: number
}

export type Plan =
  | { readonly form: 'same bits'; readonly lowest: bigint; readonly width: number }
  | { readonly form: 'binned'; readonly stateBits: number; readonly bins: readonly Bin[] }
  | { readonly form: 'runs'; readonly lengths: Plan; readonly numbers: Plan }

const LANES_FROM = 256

export class Bytes {
  at = 0
  readonly bytes: readonly number[]

  constructor(bytes: readonly number[]) {
    this.bytes = bytes
  }

  next(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw new Error('too few bytes')
    return byte
  }

  varint(): bigint {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.next()
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }

  take(count: number): number[] {
    return Array.from({ length: count }, () => this.next())
  }

  rest(): number[] {
    return this.take(this.bytes.length - this.at)
  }
}

/** Bits of bytes, the lowest of the first byte first. */
export class Bits {
  readonly #bits: number[]
  #at = 0

  constructor(bytes: readonly number[]) {
    this.#bits = bytes.flatMap((byte) => Array.from({ length: 8 }, (_, bit) => (byte >> bit) & 1))
  }

  take(width: number): bigint {
    let value = 0n
    for (let bit = 0; bit < width; bit++) {
      const one = this.#bits[this.#at++]
      if (one === undefined) throw new Error('too few bits')
      value |= BigInt(one) << BigInt(bit)
    }
    return value
  }
}

export function varint(value: bigint): number[] {
  return value < 0x80n ? [Number(value)] : [Number(value & 0x7fn) | 0x80, ...varint(value >> 7n)]
}

/** Bits, lowest first, as bytes. */
function bytesOf(bits: readonly number[]): number[] {
  const bytes: number[] = []
  for (let at = 0; at < bits.length; at += 8) bytes.push(bits.slice(at, at + 8).reduce((byte, bit, place) => byte | (bit << place), 0))
  return bytes
}

function bitsOf(value: bigint, width: number): number[] {
  return Array.from({ length: width }, (_, bit) => Number((value >> BigInt(bit)) & 1n))
}

interface State {
  readonly bin: number
  readonly stepBits: number
  readonly base: number
}

/** The states of finite state entropy: bins are spread over them by a step that meets each once. */
function statesOf(bins: readonly Bin[], stateBits: number): State[] {
  const count = 2 ** stateBits
  const owner: number[] = Array.from({ length: count }, () => -1)
  let place = 0
  for (const [bin, { weight }] of bins.entries())
    for (let own = 0; own < weight; own++) {
      owner[place] = bin
      place = (place + Math.floor(count / 2) + Math.floor(count / 8) + 3) % count
    }
  const seen = bins.map(({ weight }) => weight)
  return owner.map((bin) => {
    const rank = seen[bin] as number
    seen[bin] = rank + 1
    let stepBits = 0
    while (rank * 2 ** (stepBits + 1) < 2 * count) stepBits++
    return { bin, stepBits, base: rank * 2 ** stepBits - count }
  })
}

function lanesOf(count: number): number[] {
  return count < LANES_FROM ? [count] : [Math.ceil(count / 2), Math.floor(count / 2)]
}

export function readPacked(bytes: readonly number[], count: number): bigint[] {
  const reader = new Bytes(bytes)
  const form = reader.next()
  if (form === 0) {
    const lowest = reader.varint()
    const width = reader.next()
    const bits = new Bits(reader.rest())
    return Array.from({ length: count }, () => lowest + bits.take(width))
  }
  if (form === 1) return readBinned(reader, count)
  const runs = Number(reader.varint())
  const lengths = readPacked(reader.take(Number(reader.varint())), runs)
  const numbers = readPacked(reader.rest(), runs)
  return numbers.flatMap((number, run) => Array.from({ length: Number(lengths[run] as bigint) + 1 }, () => number))
}

function readBins(reader: Bytes): { stateBits: number; bins: Bin[] } {
  const binCount = Number(reader.varint())
  let next = 0n
  const bare = Array.from({ length: binCount }, () => {
    const lowest = next + reader.varint()
    next = lowest + 1n
    return { lowest, width: reader.next() }
  })
  const stateBits = reader.next()
  return { stateBits, bins: bare.map((bin) => ({ ...bin, weight: Number(reader.varint()) })) }
}

function readBinned(reader: Bytes, count: number): bigint[] {
  const { stateBits, bins } = readBins(reader)
  const states = statesOf(bins, stateBits)
  const lanes = lanesOf(count)
  const parts = lanes.length === 1 ? [reader.rest()] : [reader.take(Number(reader.varint())), reader.rest()]
  return lanes.flatMap((own, lane) => {
    const bits = new Bits(parts[lane] as number[])
    let state = Number(bits.take(stateBits))
    return Array.from({ length: own }, () => {
      const { bin, stepBits, base } = states[state] as State
      state = base + Number(bits.take(stepBits))
      const { lowest, width } = bins[bin] as Bin
      return lowest + bits.take(width)
    })
  })
}

export function writePacked(numbers: readonly bigint[], plan: Plan): number[] {
  if (plan.form === 'same bits') {
    const bits = numbers.flatMap((number) => bitsOf(number - plan.lowest, plan.width))
    return [0, ...varint(plan.lowest), plan.width, ...bytesOf(bits)]
  }
  if (plan.form === 'binned') return [1, ...writeBinned(numbers, plan.bins, plan.stateBits)]
  const starts = numbers.flatMap((number, index) => (index > 0 && numbers[index - 1] === number ? [] : [index]))
  const lengths = starts.map((start, run) => BigInt((starts[run + 1] ?? numbers.length) - start - 1))
  const first = writePacked(lengths, plan.lengths)
  const second = writePacked(
    starts.map((start) => numbers[start] as bigint),
    plan.numbers,
  )
  return [2, ...varint(BigInt(starts.length)), ...varint(BigInt(first.length)), ...first, ...second]
}

function writeBinned(numbers: readonly bigint[], bins: readonly Bin[], stateBits: number): number[] {
  const states = statesOf(bins, stateBits)
  const header = bins.flatMap(({ lowest, width }, bin) => [
    ...varint(lowest - (bin === 0 ? 0n : (bins[bin - 1] as Bin).lowest + 1n)),
    width,
  ])
  const weights = bins.flatMap(({ weight }) => varint(BigInt(weight)))
  let done = 0
  const lanes = lanesOf(numbers.length).map((own) => {
    const part = numbers.slice(done, done + own)
    done += own
    return writeLane(part, bins, states, stateBits)
  })
  const [first = [], second] = lanes
  const body = second === undefined ? first : [...varint(BigInt(first.length)), ...first, ...second]
  return [...varint(BigInt(bins.length)), ...header, stateBits, ...weights, ...body]
}

/** From the last number to the first: the state before a number is the one of its bin whose step reaches the state after it. The last state is 0. */
function writeLane(numbers: readonly bigint[], bins: readonly Bin[], states: readonly State[], stateBits: number): number[] {
  let after = 0
  const bits: number[][] = []
  for (const number of [...numbers].reverse()) {
    const bin = bins.findLastIndex(({ lowest }) => lowest <= number)
    const state = states.findIndex((one) => one.bin === bin && after >= one.base && after < one.base + 2 ** one.stepBits)
    const { base, stepBits } = states[state] as State
    const { lowest, width } = bins[bin] as Bin
    bits.unshift([...bitsOf(BigInt(after - base), stepBits), ...bitsOf(number - lowest, width)])
    after = state
  }
  return bytesOf([...bitsOf(BigInt(after), stateBits), ...bits.flat()])
}

/** What a writer chose for these bytes, so that `writePacked` can be asked for the same. */
export function planOf(bytes: readonly number[], count: number): Plan {
  const reader = new Bytes(bytes)
  const form = reader.next()
  if (form === 0) return { form: 'same bits', lowest: reader.varint(), width: reader.next() }
  if (form === 1) return { form: 'binned', ...readBins(reader) }
  const runs = Number(reader.varint())
  const lengths = reader.take(Number(reader.varint()))
  if (runs > count) throw new Error('more runs than numbers')
  return { form: 'runs', lengths: planOf(lengths, runs), numbers: planOf(reader.rest(), runs) }
}
