import { type ByteReader, Damage } from '#journal/bytes.js'
import {
  type ChunkEntry,
  ENCODING_CONSTANT,
  ENCODING_DECIMAL,
  ENCODING_DELTA,
  ENCODING_DELTA_OF_DELTA,
  ENCODING_DICTIONARY,
  ENCODING_OFFSET,
  ENCODING_PACKED,
  ENCODING_RAW,
  ENCODING_RUN_LENGTH,
  ENCODING_XOR,
  newerEncoding,
  openChunk,
} from './chunk-entry.js'
import { ColumnBuffer } from './column-buffer.js'
import { DecimalReader } from './decimal.js'
import { DELTA, DELTA_OF_DELTA, type Order, PLAIN, WholeNumberReader } from './whole-numbers.js'
import { XorReader } from './xor.js'

const numbers = new WholeNumberReader()
const decimals = new DecimalReader(numbers)
const xors = new XorReader()
/** What narrow columns and dictionaries pass through. */
const passing = new ColumnBuffer()
const different = new ColumnBuffer()

/** Decodes `count` wide values into `column` from index 0. Throws Damage, or ERR_FORMAT_NEWER. */
export function decodeWide(chunk: ChunkEntry, block: ByteReader, count: number, column: ColumnBuffer): void {
  readWide(chunk.encoding, openChunk(chunk, block), count, column.fit(count))
}

/** Decodes `count` narrow values into `column` from index 0. Throws Damage, or ERR_FORMAT_NEWER. */
export function decodeNarrow(chunk: ChunkEntry, block: ByteReader, count: number, column: ColumnBuffer): void {
  readNarrow(chunk.encoding, openChunk(chunk, block), count, column.fit(count))
}

function readWide(encoding: number, reader: ByteReader, count: number, column: ColumnBuffer): void {
  const { wide: out, bytes: outBytes } = column
  const { view, bytes, at: offset, left: length } = reader
  switch (encoding) {
    case ENCODING_RAW:
      checkLength(length, count * 8)
      outBytes.set(bytes.subarray(offset, offset + length))
      break
    case ENCODING_CONSTANT:
      checkLength(length, 8)
      fillWide(bytes, offset, outBytes, 0, count)
      break
    case ENCODING_OFFSET: {
      const width = widthOf(length - 8, count)
      const base = view.getFloat64(offset, true)
      let at = offset + 8
      if (width === 1) for (let index = 0; index < count; index++) out[index] = base + (bytes[at++] as number)
      else if (width === 2) for (let index = 0; index < count; index++, at += 2) out[index] = base + view.getUint16(at, true)
      else for (let index = 0; index < count; index++, at += 4) out[index] = base + view.getUint32(at, true)
      break
    }
    case ENCODING_RUN_LENGTH: {
      let done = 0
      eachRun(reader, count, 8, (run, at) => {
        fillWide(bytes, at, outBytes, done, run)
        done += run
      })
      break
    }
    case ENCODING_DICTIONARY:
      readDictionary(reader, count, column)
      break
    case ENCODING_DECIMAL:
      decimals.read(reader, count, out, column.words)
      break
    case ENCODING_XOR:
      xors.read(reader, count, column.words)
      break
    default:
      numbers.read(reader, count, orderOf(encoding), out)
  }
}

function readNarrow(encoding: number, reader: ByteReader, count: number, column: ColumnBuffer): void {
  const { words: out } = column
  const { view, bytes, at: offset, left: length } = reader
  switch (encoding) {
    case ENCODING_RAW:
      checkLength(length, count * 4)
      for (let index = 0; index < count; index++) out[index] = view.getUint32(offset + 4 * index, true)
      break
    case ENCODING_CONSTANT:
      checkLength(length, 4)
      out.fill(view.getUint32(offset, true), 0, count)
      break
    case ENCODING_OFFSET: {
      const width = widthOf(length - 4, count)
      const base = view.getUint32(offset, true)
      let at = offset + 4
      if (width === 1) for (let index = 0; index < count; index++) out[index] = base + (bytes[at++] as number)
      else if (width === 2) for (let index = 0; index < count; index++, at += 2) out[index] = base + view.getUint16(at, true)
      else throw new Damage('a chunk has the wrong length')
      break
    }
    case ENCODING_RUN_LENGTH: {
      let done = 0
      eachRun(reader, count, 4, (run, at) => {
        out.fill(view.getUint32(at, true), done, done + run)
        done += run
      })
      break
    }
    case ENCODING_DECIMAL: {
      const { wide, words } = passing.fit(count)
      decimals.read(reader, count, wide, words)
      const { single } = column
      for (let index = 0; index < count; index++) single[index] = wide[index] as number
      break
    }
    default: {
      const { wide } = passing.fit(count)
      numbers.read(reader, count, orderOf(encoding), wide)
      for (let index = 0; index < count; index++) out[index] = wide[index] as number
    }
  }
}

function orderOf(encoding: number): Order {
  if (encoding === ENCODING_PACKED) return PLAIN
  if (encoding === ENCODING_DELTA) return DELTA
  if (encoding === ENCODING_DELTA_OF_DELTA) return DELTA_OF_DELTA
  throw newerEncoding(encoding)
}

function readDictionary(reader: ByteReader, count: number, column: ColumnBuffer): void {
  const differentCount = reader.varint()
  if (differentCount > count) throw new Damage('a dictionary has more values than its chunk')
  const encoding = reader.u8()
  if (encoding === ENCODING_DICTIONARY) throw new Damage('a dictionary has a dictionary')
  const { end } = reader
  const bytes = reader.varint()
  const start = reader.skip(bytes)
  reader.at = start
  reader.end = start + bytes
  readWide(encoding, reader, differentCount, different.fit(differentCount))
  reader.at = start + bytes
  reader.end = end
  const indexes = passing.fit(count).wide
  numbers.read(reader, count, PLAIN, indexes)
  const wrong = hasNaN(different.wide, differentCount)
    ? pickWords(different.words, indexes, differentCount, count, column.words)
    : pick(different.wide, indexes, differentCount, count, column.wide)
  if (wrong > 0) throw new Damage('a chunk names a value that its dictionary lacks')
}

function hasNaN(values: Float64Array, count: number): boolean {
  let sum = 0
  for (let index = 0; index < count; index++) sum += values[index] === values[index] ? 0 : 1
  return sum > 0
}

/** Returns how many indexes are beyond the dictionary. */
function pick(known: Float64Array, indexes: Float64Array, limit: number, count: number, out: Float64Array): number {
  let wrong = 0
  for (let at = 0; at < count; at++) {
    const index = (indexes[at] as number) >>> 0
    if (index < limit) out[at] = known[index] as number
    else wrong++
  }
  return wrong
}

/** The same for values that must not pass through a number: a NaN may lose its bits there. */
function pickWords(known: Uint32Array, indexes: Float64Array, limit: number, count: number, out: Uint32Array): number {
  let wrong = 0
  for (let at = 0; at < count; at++) {
    const index = (indexes[at] as number) >>> 0
    if (index < limit) {
      out[2 * at] = known[2 * index] as number
      out[2 * at + 1] = known[2 * index + 1] as number
    } else wrong++
  }
  return wrong
}

function checkLength(length: number, wanted: number): void {
  if (length !== wanted) throw new Damage('a chunk has the wrong length')
}

function eachRun(reader: ByteReader, count: number, valueBytes: number, run: (length: number, at: number) => void): void {
  const runs = reader.varint()
  const first = reader.end - runs * valueBytes
  let valueAt = first
  let done = 0
  for (let index = 0; index < runs; index++, valueAt += valueBytes) {
    const length = reader.varint()
    done += length
    if (done > count || valueAt < reader.at) throw new Damage('a chunk has the wrong length')
    run(length, valueAt)
  }
  if (done !== count || reader.at !== first) throw new Damage('a chunk has the wrong length')
}

function fillWide(bytes: Uint8Array, at: number, outBytes: Uint8Array, start: number, count: number): void {
  if (count === 0) return
  outBytes.set(bytes.subarray(at, at + 8), start * 8)
  if (count === 1) return
  outBytes.copyWithin(start * 8 + 8, start * 8, start * 8 + 8)
  let filled = 1
  while (filled < count) {
    const step = Math.min(filled, count - filled)
    outBytes.copyWithin((start + filled) * 8, start * 8, (start + step) * 8)
    filled += step
  }
}

function widthOf(bytes: number, count: number): 1 | 2 | 4 {
  if (bytes === count) return 1
  if (bytes === count * 2) return 2
  if (bytes === count * 4) return 4
  throw new Damage('a chunk has the wrong length')
}
