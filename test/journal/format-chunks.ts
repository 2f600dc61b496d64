import { brotliDecompressSync, inflateRawSync } from 'node:zlib'

/** Walks over bytes as docs/format.md has numbers in them. */
export class Reader {
  readonly bytes: Uint8Array
  readonly view: DataView
  at: number

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = at
  }

  varint(): number {
    let value = 0
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++] as number
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
  }

  u8 = () => this.bytes[this.at++] as number
  u32 = () => this.view.getUint32((this.at += 4) - 4, true)
  u64 = () => Number(this.view.getBigUint64((this.at += 8) - 8, true))
  f64 = () => this.view.getFloat64((this.at += 8) - 8, true)
  take = (count: number) => this.bytes.subarray(this.at, (this.at += count))
  /** So many bytes, as a varint before them says. */
  section = () => new Reader(this.take(this.varint()))
  rest = () => new Reader(this.bytes.subarray(this.at))
  list = <T>(read: () => T): T[] => Array.from({ length: this.varint() }, read)
}

/** A chunk: its entry, and where its data is. */
export interface Chunk {
  readonly column: number
  readonly encoding: number
  readonly bytes: number
  readonly codec: number
  at: number
}

export function readEntry(reader: Reader): Chunk {
  const [column, flags, bytes] = [reader.varint(), reader.u8(), reader.varint()]
  if (flags & 0x40) {
    reader.take(16)
    reader.varint()
  }
  const codec = flags & 0x80 ? reader.u8() : 0
  if (flags & 0x80) reader.varint()
  return { column, encoding: flags & 0x3f, bytes, codec, at: 0 }
}

/** The data of a chunk before its last stage. */
export function dataOf(group: Reader, { at, bytes, codec }: Chunk): Reader {
  const stored = group.bytes.subarray(at, at + bytes)
  if (codec === 0) return new Reader(stored)
  return new Reader(new Uint8Array(codec === 1 ? inflateRawSync(stored) : brotliDecompressSync(stored)))
}

export type ValueKind = 'wide' | 'narrow' | 'single'

/** The values of a chunk as the bits that they have; of a chunk that was left out, zeros. */
export function bitsOf(group: Reader, chunk: Chunk | undefined, count: number, kind: ValueKind): bigint[] {
  if (chunk === undefined) return new Array<bigint>(count).fill(0n)
  return decode(dataOf(group, chunk), chunk.encoding, count, kind)
}

export const asDouble = (bits: bigint) => new Float64Array(BigUint64Array.of(bits).buffer)[0] as number
export const asSingle = (bits: bigint) => new Float32Array(Uint32Array.of(Number(bits)).buffer)[0] as number
const bitsOfDouble = (value: number) => new BigUint64Array(Float64Array.of(value).buffer)[0] as bigint
const bitsOfSingle = (value: number) => BigInt(new Uint32Array(Float32Array.of(value).buffer)[0] as number)

function decode(data: Reader, encoding: number, count: number, kind: ValueKind): bigint[] {
  const isWide = kind === 'wide'
  const value = () => (isWide ? data.view.getBigUint64((data.at += 8) - 8, true) : BigInt(data.u32()))
  const whole = (numbers: number[]) => numbers.map((number) => (isWide ? bitsOfDouble(number) : BigInt(number >>> 0)))
  switch (encoding) {
    case 0:
      return Array.from({ length: count }, value)
    case 1:
      return new Array<bigint>(count).fill(value())
    case 2: {
      const lengths = data.list(() => data.varint())
      return lengths.flatMap((length) => new Array<bigint>(length).fill(value()))
    }
    case 3: {
      const lowest = isWide ? data.f64() : data.u32()
      const bytes = (data.bytes.length - data.at) / count
      return whole(Array.from({ length: count }, () => lowest + Buffer.from(data.take(bytes)).readUIntLE(0, bytes)))
    }
    case 4: {
      const [different, inner] = [data.varint(), data.u8()]
      const known = decode(data.section(), inner, different, kind)
      return wholeNumbers(data.rest(), count, 0).map((index) => known[index] as bigint)
    }
    case 5:
    case 6:
      return whole(wholeNumbers(data, count, encoding - 4))
    case 7: {
      const bits = decimals(data, count)
      return isWide ? bits : bits.map((one) => bitsOfSingle(asDouble(one)))
    }
    case 8:
      return xors(data, count)
    case 10:
      return whole(wholeNumbers(data, count, 0))
    default:
      throw new Error(`encoding ${encoding}`)
  }
}

function wholeNumbers(data: Reader, count: number, order: number): number[] {
  const first = order > 0 ? data.f64() : 0
  const firstDifference = order > 1 ? data.f64() : 0
  const lowest = data.f64()
  const steps = packed(data.rest(), count - order).map((step) => step + lowest)
  if (order === 0) return steps
  return sums(order === 1 ? steps : sums(steps, firstDifference), first)
}

function sums(steps: readonly number[], first: number): number[] {
  const values = [first]
  for (const step of steps) values.push((values.at(-1) as number) + step)
  return values
}

function packed(data: Reader, count: number): number[] {
  switch (data.u8()) {
    case 0: {
      const [lowest, width] = [data.varint(), data.u8()]
      const bits = new Bits(data.rest().bytes)
      return Array.from({ length: count }, () => lowest + bits.read(width))
    }
    case 1:
      return binned(data, count)
    case 2: {
      const runs = data.varint()
      const lengths = packed(data.section(), runs)
      const numbers = packed(data.rest(), runs)
      return numbers.flatMap((number, run) => new Array<number>((lengths[run] as number) + 1).fill(number))
    }
    default:
      throw new Error('packed in no known way')
  }
}

function binned(data: Reader, count: number): number[] {
  let next = 0
  const bins = data.list(() => {
    const lowest = next + data.varint()
    next = lowest + 1
    return { lowest, width: data.u8() }
  })
  const stateBits = data.u8()
  const weights = bins.map(() => data.varint())
  const size = 2 ** stateBits
  const binOf = new Array<number>(size)
  let state = 0
  weights.forEach((weight, bin) => {
    for (let own = 0; own < weight; own++) {
      binOf[state] = bin
      state = (state + size / 2 + size / 8 + 3) % size
    }
  })
  const ranks = [...weights]
  const states = binOf.map((bin) => {
    const rank = ranks[bin] as number
    ranks[bin] = rank + 1
    const bits = stateBits - Math.floor(Math.log2(rank))
    return { ...(bins[bin] as { lowest: number; width: number }), bits, base: rank * 2 ** bits - size }
  })
  const lane = (bytes: Uint8Array, length: number): number[] => {
    const bits = new Bits(bytes)
    let now = bits.read(stateBits)
    return Array.from({ length }, () => {
      const { lowest, width, bits: own, base } = states[now] as { lowest: number; width: number; bits: number; base: number }
      now = base + bits.read(own)
      return lowest + bits.read(width)
    })
  }
  if (count < 256) return lane(data.rest().bytes, count)
  const half = Math.ceil(count / 2)
  return [...lane(data.section().bytes, half), ...lane(data.rest().bytes, count - half)]
}

function decimals(data: Reader, count: number): bigint[] {
  const [exponent, order, near, far] = [data.u8(), data.u8(), data.varint(), data.varint()]
  const values = wholeNumbers(data.section(), count, order).map((whole) => bitsOfDouble(whole / Number(`1e${exponent}`)))
  if (near > 0) {
    const indexes = wholeNumbers(data.section(), near, 1)
    const steps = wholeNumbers(data.section(), near, 0)
    indexes.forEach((index, at) => {
      values[index] = (values[index] as bigint) + BigInt(steps[at] as number)
    })
  }
  if (far > 0) {
    for (const index of wholeNumbers(data.section(), far, 1)) values[index] = data.view.getBigUint64((data.at += 8) - 8, true)
  }
  return values
}

function xors(data: Reader, count: number): bigint[] {
  const bits = new Bits(data.bytes)
  const values = [bits.readBig(64)]
  let [shift, length] = [0, 64]
  while (values.length < count) {
    let differs = 0n
    if (bits.read(1) === 1) {
      if (bits.read(1) === 1) {
        const leading = bits.read(6)
        length = bits.read(6) + 1
        shift = 64 - leading - length
      }
      differs = bits.readBig(length) << BigInt(shift)
    }
    values.push((values.at(-1) as bigint) ^ differs)
  }
  return values
}

/** Bits of bytes, the lowest first. */
class Bits {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  readBig(width: number): bigint {
    let value = 0n
    for (let bit = 0; bit < width; bit++, this.#at++) {
      if (((this.#bytes[this.#at >> 3] as number) >> (this.#at & 7)) & 1) value |= 1n << BigInt(bit)
    }
    return value
  }

  read = (width: number) => Number(this.readBig(width))
}
