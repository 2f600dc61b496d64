import { brotliDecompressSync, inflateRawSync } from 'node:zlib'
import { Bits, Bytes, type Plan, planOf, readPacked, varint, writePacked } from './packed.js'

/**
 * The slow twin of chunks of numbers: what the page about the format tells, in BigInt, value by value. A value is its bits: 64 of a double, 32
 * of a narrow one.
 */
const view = new DataView(new ArrayBuffer(8))

export function bitsOfDouble(value: number): bigint {
  view.setFloat64(0, value)
  return view.getBigUint64(0)
}

function doubleOfBytes(bytes: readonly number[]): number {
  for (const [index, byte] of bytes.entries()) view.setUint8(7 - index, byte)
  return view.getFloat64(0)
}

function bigOf(bytes: readonly number[]): bigint {
  return bytes.reduceRight((value, byte) => (value << 8n) | BigInt(byte), 0n)
}

/** Undoes the last stage. */
export function undone(codec: number, bytes: Uint8Array): number[] {
  return [...(codec === 0 ? bytes : codec === 1 ? inflateRawSync(bytes) : brotliDecompressSync(bytes))]
}

/** The bits of `count` wide values. */
export function readWide(encoding: number, bytes: readonly number[], count: number): bigint[] {
  switch (encoding) {
    case 0:
      return Array.from({ length: count }, (_, index) => bigOf(bytes.slice(8 * index, 8 * index + 8)))
    case 1:
      return Array.from({ length: count }, () => bigOf(bytes))
    case 2:
      return readRuns(bytes, 8)
    case 4: {
      const reader = new Bytes(bytes)
      const different = Number(reader.varint())
      const nested = reader.next()
      const values = readWide(nested, reader.take(Number(reader.varint())), different)
      return readWhole(0, reader.rest(), count).map((index) => values[Number(index)] as bigint)
    }
    case 5:
    case 6:
    case 10:
      return readWhole(orderOf(encoding), bytes, count).map((whole) => bitsOfDouble(Number(whole)))
    case 7:
      return readDecimal(bytes, count)
    case 8:
      return readXor(bytes, count)
    default:
      throw new Error(`what is encoding ${encoding}?`)
  }
}

/** The bits of `count` narrow values; `isSingle`: of singles. */
export function readNarrow(encoding: number, bytes: readonly number[], count: number): bigint[] {
  switch (encoding) {
    case 0:
      return Array.from({ length: count }, (_, index) => bigOf(bytes.slice(4 * index, 4 * index + 4)))
    case 1:
      return Array.from({ length: count }, () => bigOf(bytes))
    case 2:
      return readRuns(bytes, 4)
    case 7:
      return readDecimal(bytes, count).map((bits) => {
        view.setBigUint64(0, bits)
        view.setFloat32(0, view.getFloat64(0))
        return BigInt(view.getUint32(0))
      })
    default:
      return readWhole(orderOf(encoding), bytes, count).map((whole) => BigInt.asUintN(32, whole))
  }
}

function orderOf(encoding: number): number {
  const order = { 10: 0, 5: 1, 6: 2 }[encoding]
  if (order === undefined) throw new Error(`what is encoding ${encoding}?`)
  return order
}

function readRuns(bytes: readonly number[], valueBytes: number): bigint[] {
  const reader = new Bytes(bytes)
  const runs = Number(reader.varint())
  const lengths = Array.from({ length: runs }, () => Number(reader.varint()))
  return lengths.flatMap((length) => {
    const value = bigOf(reader.take(valueBytes))
    return Array.from({ length }, () => value)
  })
}

export function readWhole(order: number, bytes: readonly number[], count: number): bigint[] {
  const reader = new Bytes(bytes)
  const starts = Array.from({ length: order }, () => BigInt(doubleOfBytes(reader.take(8))))
  const lowest = BigInt(doubleOfBytes(reader.take(8)))
  let numbers = readPacked(reader.rest(), count - order).map((number) => number + lowest)
  for (const start of starts.reverse()) {
    let value = start
    numbers = [start, ...numbers.map((step) => (value += step))]
  }
  return numbers
}

function readDecimal(bytes: readonly number[], count: number): bigint[] {
  const reader = new Bytes(bytes)
  const exponent = reader.next()
  const order = reader.next()
  const near = Number(reader.varint())
  const far = Number(reader.varint())
  const section = (): number[] => reader.take(Number(reader.varint()))
  const values = readWhole(order, section(), count).map((whole) => bitsOfDouble(Number(whole) / Number(`1e${exponent}`)))
  if (near > 0) {
    const indexes = readWhole(1, section(), near)
    for (const [patch, steps] of readWhole(0, section(), near).entries()) {
      const at = Number(indexes[patch])
      values[at] = BigInt.asUintN(64, (values[at] as bigint) + steps)
    }
  }
  if (far > 0) for (const index of readWhole(1, section(), far)) values[Number(index)] = bigOf(reader.take(8))
  return values
}

function readXor(bytes: readonly number[], count: number): bigint[] {
  const bits = new Bits(bytes)
  let value = bits.take(64)
  let [leading, length] = [0, 64]
  return Array.from({ length: count }, (_, index) => {
    if (index === 0 || bits.take(1) === 0n) return value
    if (bits.take(1) === 1n) {
      leading = Number(bits.take(6))
      length = Number(bits.take(6)) + 1
    }
    value ^= bits.take(length) << BigInt(64 - leading - length)
    return value
  })
}

/** XOR as a writer does it that opens a window when that is not longer than to go on in the last one. */
export function writeXor(values: readonly bigint[]): number[] {
  const text: string[] = []
  const put = (value: bigint, width: number): void => void text.push(value.toString(2).padStart(width, '0').split('').reverse().join(''))
  let window: { leading: number; trailing: number } | undefined
  for (const [index, value] of values.entries()) {
    if (index === 0) {
      put(value, 64)
      continue
    }
    const differing = value ^ (values[index - 1] as bigint)
    if (differing === 0n) {
      put(0n, 1)
      continue
    }
    const digits = differing.toString(2).padStart(64, '0')
    const leading = digits.indexOf('1')
    const trailing = 63 - digits.lastIndexOf('1')
    const isInside = window !== undefined && leading >= window.leading && trailing >= window.trailing
    if (window !== undefined && isInside && leading + trailing < window.leading + window.trailing + 12) put(1n, 2)
    else {
      put(3n, 2)
      put(BigInt(leading), 6)
      put(BigInt(63 - leading - trailing), 6)
      window = { leading, trailing }
    }
    put(differing >> BigInt(window.trailing), 64 - window.leading - window.trailing)
  }
  const all = text.join('')
  return Array.from({ length: Math.ceil(all.length / 8) }, (_, byte) =>
    Number.parseInt(
      all
        .slice(8 * byte, 8 * byte + 8)
        .split('')
        .reverse()
        .join(''),
      2,
    ),
  )
}

function bytesOfDouble(value: bigint): number[] {
  view.setFloat64(0, Number(value))
  return Array.from({ length: 8 }, (_, index) => view.getUint8(7 - index))
}

/** Whole numbers, packed as `plan` says. */
export function writeWhole(numbers: readonly bigint[], order: number, plan: (packed: bigint[]) => Plan): number[] {
  let steps = [...numbers]
  const starts: bigint[] = []
  for (let round = 0; round < order; round++) {
    starts.push(steps[0] as bigint)
    steps = steps.slice(1).map((step, index) => step - (steps[index] as bigint))
  }
  const lowest = steps.reduce((least, step) => (step < least ? step : least), steps[0] ?? 0n)
  const packed = steps.map((step) => step - lowest)
  return [...[...starts, lowest].flatMap(bytesOfDouble), ...writePacked(packed, plan(packed))]
}

/** The same chunk written again from what is in it, with nothing but the writer's own choices taken over. */
export function writtenAgain(encoding: number, bytes: readonly number[], count: number): number[] {
  switch (encoding) {
    case 4: {
      const reader = new Bytes(bytes)
      const different = Number(reader.varint())
      const nested = reader.next()
      const values = reader.take(Number(reader.varint()))
      const again = writtenAgain(nested, values, different)
      return [...varint(BigInt(different)), nested, ...varint(BigInt(again.length)), ...again, ...wholeAgain(0, reader.rest(), count)]
    }
    case 5:
    case 6:
    case 10:
      return wholeAgain(orderOf(encoding), bytes, count)
    case 7: {
      const reader = new Bytes(bytes)
      const exponent = reader.next()
      const order = reader.next()
      const near = Number(reader.varint())
      const far = Number(reader.varint())
      const section = (own: number, length: number): number[] => {
        const again = wholeAgain(own, reader.take(Number(reader.varint())), length)
        return [...varint(BigInt(again.length)), ...again]
      }
      const again = [exponent, order, ...varint(BigInt(near)), ...varint(BigInt(far)), ...section(order, count)]
      if (near > 0) again.push(...section(1, near), ...section(0, near))
      if (far > 0) again.push(...section(1, far))
      return [...again, ...reader.rest()]
    }
    case 8:
      return writeXor(readXor(bytes, count))
    default:
      return [...bytes]
  }
}

function wholeAgain(order: number, bytes: readonly number[], count: number): number[] {
  return writeWhole(readWhole(order, bytes, count), order, () => planOf(bytes.slice(8 * (order + 1)), count - order))
}
