import type { MillraceError } from '#base/errors.js'
import { newerFormat } from '#journal/block-format.js'
import { ByteReader, type ByteWriter, Damage } from '#journal/bytes.js'
import { ColumnBuffer } from './column-buffer.js'
import { DecimalReader } from './decimal.js'
import { CODEC_NONE, checkCodec, expand } from './last-stage.js'
import { DELTA, DELTA_OF_DELTA, type Order, PLAIN, WholeNumberReader } from './whole-numbers.js'
import { XorReader } from './xor.js'
import type { ZoneMap } from './zone-map.js'

/**
 * One column of a row group. Its entry stands in the directory of the group, its data further back, in the same order:
 *
 *   varint column, u8 encoding (bits 0–5) + zone map present (bit 6) + last stage present (bit 7), varint bytes of the data
 *   bit 6: f64 min, f64 max, varint count (zone-map.ts)
 *   bit 7: u8 codec, varint bytes of the data before it (last-stage.ts)
 *
 * How many values a chunk has follows from the directory. A value of a wide column is 8 bytes (float64), of a narrow one 4 bytes
 * (u32, i32, f32, by column), of a byte column any number.
 *
 *   RAW             the values; for byte columns the bytes of all values, whose lengths are a column of their own
 *   CONSTANT        one value
 *   RUN_LENGTH      varint runs, per run varint length, per run one value
 *   OFFSET          the lowest value, then per value its distance from it in 1, 2 or 4 bytes: whichever fits the length of the data; whole numbers only
 *   DICTIONARY      varint different values, u8 encoding of these, varint bytes, their data; then whole numbers, plain: the index of each value.
 *                   Of a byte column see variable.ts
 *   DELTA           whole numbers as differences, in whole-numbers.ts
 *   DELTA_OF_DELTA  whole numbers as differences of differences
 *   DECIMAL         doubles as whole numbers and a power of ten, in decimal.ts; singles as the doubles that round to them
 *   XOR             doubles by what differs from the one before, in xor.ts
 *   PACKED          whole numbers, plain
 *
 * Whole numbers of a narrow column are u32, of a signed one i32, of singles their bits as u32. RESERVED_ENCODINGS are numbers taken for
 * encodings to come; a reader that meets one says ERR_FORMAT_NEWER.
 */
export const ENCODING_RAW = 0
export const ENCODING_CONSTANT = 1
export const ENCODING_RUN_LENGTH = 2
export const ENCODING_OFFSET = 3
export const ENCODING_DICTIONARY = 4
export const ENCODING_DELTA = 5
export const ENCODING_DELTA_OF_DELTA = 6
export const ENCODING_DECIMAL = 7
export const ENCODING_XOR = 8
export const ENCODING_PACKED = 10
const RESERVED_ENCODINGS: Readonly<Record<number, string>> = { 9: 'msgpack' }

const ENCODING_MASK = 0x3f
const HAS_ZONE_MAP = 0x40
const HAS_LAST_STAGE = 0x80

/** A chunk with fewer values is as cheap to read as its zone map would be. */
export const ZONE_MAP_VALUES_MIN = 16

export interface ChunkEntry {
  readonly column: number
  readonly encoding: number
  readonly zone: ZoneMap | undefined
  /** Where its data begins in the block, and its length. */
  offset: number
  readonly bytes: number
  /** CODEC_NONE, or what the data went through last, and how long it was before. */
  readonly codec: number
  readonly rawBytes: number
}

export function readEntry(reader: ByteReader): ChunkEntry {
  const column = reader.varint()
  const flags = reader.u8()
  const bytes = reader.varint()
  const zone = flags & HAS_ZONE_MAP ? { min: reader.f64(), max: reader.f64(), count: reader.varint() } : undefined
  if ((flags & HAS_LAST_STAGE) === 0)
    return { column, encoding: flags & ENCODING_MASK, zone, offset: 0, bytes, codec: CODEC_NONE, rawBytes: bytes }
  const codec = reader.u8()
  checkCodec(codec)
  return { column, encoding: flags & ENCODING_MASK, zone, offset: 0, bytes, codec, rawBytes: reader.varint() }
}

/** A reader of a chunk's data, its last stage undone: `block` itself, set to the data, where there is none. */
export function openChunk(chunk: ChunkEntry, block: ByteReader): ByteReader {
  const end = chunk.offset + chunk.bytes
  if (chunk.codec !== CODEC_NONE) return new ByteReader(expand(chunk.codec, block.bytes.subarray(chunk.offset, end), chunk.rawBytes))
  block.at = chunk.offset
  block.end = end
  return block
}

/** Integer columns may be stored as distances; `signed` and `unsigned` say how the 32 bits of a narrow value are meant. */
export type WideKind = 'f64' | 'whole'
export type NarrowKind = 'unsigned' | 'signed' | 'f32'

/**
 * Encodes columns of a group: entries go to `directory`, data to `data`. Values are staged by the caller as 32-bit words, so that every bit
 * of a NaN survives, in `staged` from index 0.
 */
export class ChunkEncoder {
  readonly directory: ByteWriter
  readonly data: ByteWriter
  /** Entries written since `section`. */
  count = 0
  readonly staged = new ColumnBuffer()

  constructor(directory: ByteWriter, data: ByteWriter) {
    this.directory = directory
    this.data = data
  }

  /** Encodes the first `count` staged wide values. */
  wideChunk(column: number, count: number, kind: WideKind, hasZoneMap: boolean): void {
    const { data } = this
    const { words, wide, bytes: stagedBytes } = this.staged
    let runs = 1
    let min = Infinity
    let max = -Infinity
    let numbers = 0
    let isWhole = kind === 'whole'
    for (let index = 0; index < count; index++) {
      const value = wide[index] as number
      if (index > 0 && (words[2 * index] !== words[2 * index - 2] || words[2 * index + 1] !== words[2 * index - 1])) runs++
      // NaN alone differs from itself.
      if (value === value) numbers++
      if (value < min) min = value
      if (value > max) max = value
      if (isWhole && (value !== Math.floor(value) || (value === 0 && words[2 * index + 1] !== 0))) isWhole = false
    }
    const start = data.length
    const rawBytes = count * 8
    const width = isWhole && Number.isSafeInteger(min) && Number.isSafeInteger(max) ? offsetWidth(max - min) : 0
    const offsetBytes = width === 0 ? Infinity : 8 + count * width
    let encoding = ENCODING_RAW
    if (runs === 1) encoding = ENCODING_CONSTANT
    else if (runs * 10 + 2 < Math.min(rawBytes, offsetBytes)) encoding = ENCODING_RUN_LENGTH
    else if (offsetBytes < rawBytes) encoding = ENCODING_OFFSET

    if (encoding === ENCODING_RAW) data.copy(stagedBytes, 0, rawBytes)
    else if (encoding === ENCODING_CONSTANT) data.copy(stagedBytes, 0, 8)
    else if (encoding === ENCODING_OFFSET) {
      data.f64(min)
      let at = data.reserve(count * width)
      const { view, bytes } = data
      for (let index = 0; index < count; index++, at += width) {
        const distance = (wide[index] as number) - min
        if (width === 1) bytes[at] = distance
        else if (width === 2) view.setUint16(at, distance, true)
        else view.setUint32(at, distance, true)
      }
      data.length = at
    } else this.#runs(count, runs, 2)
    const zoned = hasZoneMap && encoding !== ENCODING_CONSTANT && count >= ZONE_MAP_VALUES_MIN
    this.#entry(column, encoding, data.length - start, zoned, min, max, numbers)
  }

  /** Encodes the first `count` staged narrow values. */
  narrowChunk(column: number, count: number, kind: NarrowKind, hasZoneMap: boolean): void {
    const { data } = this
    const { words, bytes: stagedBytes } = this.staged
    const values = kind === 'unsigned' ? words : kind === 'signed' ? this.staged.signed : this.staged.single
    let runs = 1
    let min = Infinity
    let max = -Infinity
    let numbers = count
    for (let index = 0; index < count; index++) {
      const value = values[index] as number
      if (index > 0 && words[index] !== words[index - 1]) runs++
      if (value < min) min = value
      if (value > max) max = value
      // NaN alone differs from itself.
      if (value !== value) numbers--
    }
    const start = data.length
    const rawBytes = count * 4
    const width = kind === 'f32' ? 4 : offsetWidth(max - min)
    const offsetBytes = width === 4 ? Infinity : 4 + count * width
    let encoding = ENCODING_RAW
    if (runs === 1) encoding = ENCODING_CONSTANT
    else if (runs * 6 + 2 < Math.min(rawBytes, offsetBytes)) encoding = ENCODING_RUN_LENGTH
    else if (offsetBytes < rawBytes) encoding = ENCODING_OFFSET

    if (encoding === ENCODING_RAW) data.copy(stagedBytes, 0, rawBytes)
    else if (encoding === ENCODING_CONSTANT) data.copy(stagedBytes, 0, 4)
    else if (encoding === ENCODING_OFFSET) {
      data.u32(min >>> 0)
      let at = data.reserve(count * width)
      const { view, bytes } = data
      for (let index = 0; index < count; index++, at += width) {
        const distance = (values[index] as number) - min
        if (width === 1) bytes[at] = distance
        else view.setUint16(at, distance, true)
      }
      data.length = at
    } else this.#runs(count, runs, 1)
    const zoned = hasZoneMap && encoding !== ENCODING_CONSTANT && count >= ZONE_MAP_VALUES_MIN
    this.#entry(column, encoding, data.length - start, zoned, min, max, numbers)
  }

  /** Enters a byte column whose bytes the caller has put behind `data` since it was `start` long. */
  byteChunk(column: number, encoding: typeof ENCODING_RAW | typeof ENCODING_CONSTANT, start: number): void {
    this.#entry(column, encoding, this.data.length - start, false, 0, 0, 0)
  }

  #runs(count: number, runs: number, wordsPerValue: 1 | 2): void {
    const { data } = this
    const { words } = this.staged
    data.varint(runs)
    let length = 0
    for (let index = 0; index < count; index++) {
      length++
      if (index + 1 === count || !this.#isSame(index, wordsPerValue)) {
        data.varint(length)
        length = 0
      }
    }
    for (let index = 0; index < count; index++) {
      if (index + 1 < count && this.#isSame(index, wordsPerValue)) continue
      for (let word = 0; word < wordsPerValue; word++) data.u32(words[index * wordsPerValue + word] as number)
    }
  }

  #isSame(index: number, wordsPerValue: 1 | 2): boolean {
    const { words } = this.staged
    const at = index * wordsPerValue
    return words[at] === words[at + wordsPerValue] && (wordsPerValue === 1 || words[at + 1] === words[at + 3])
  }

  #entry(column: number, encoding: number, bytes: number, hasZoneMap: boolean, min: number, max: number, numbers: number): void {
    const { directory } = this
    this.count++
    directory.varint(column)
    directory.u8(encoding | (hasZoneMap ? HAS_ZONE_MAP : 0))
    directory.varint(bytes)
    if (!hasZoneMap) return
    directory.f64(min)
    directory.f64(max)
    directory.varint(numbers)
  }
}

/** Enters a chunk into a directory. `zone` is undefined when it has no zone map. */
export function writeEntry(directory: ByteWriter, chunk: Omit<ChunkEntry, 'offset'>): void {
  const { column, encoding, bytes, zone, codec, rawBytes } = chunk
  directory.varint(column)
  directory.u8(encoding | (zone === undefined ? 0 : HAS_ZONE_MAP) | (codec === CODEC_NONE ? 0 : HAS_LAST_STAGE))
  directory.varint(bytes)
  if (zone !== undefined) {
    directory.f64(zone.min)
    directory.f64(zone.max)
    directory.varint(zone.count)
  }
  if (codec === CODEC_NONE) return
  directory.u8(codec)
  directory.varint(rawBytes)
}

/** An encoding that a chunk of this kind cannot have as far as this version knows. */
export function newerEncoding(encoding: number): MillraceError {
  const name = RESERVED_ENCODINGS[encoding]
  return newerFormat(name === undefined ? 'chunk encoding' : `chunk encoding (${name})`, encoding)
}

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

/** Bytes that hold every distance up to `range`, 0 when none of 1, 2 and 4 do. */
function offsetWidth(range: number): 0 | 1 | 2 | 4 {
  if (range < 0x100) return 1
  if (range < 0x10000) return 2
  return range < 0x100000000 ? 4 : 0
}

function widthOf(bytes: number, count: number): 1 | 2 | 4 {
  if (bytes === count) return 1
  if (bytes === count * 2) return 2
  if (bytes === count * 4) return 4
  throw new Damage('a chunk has the wrong length')
}
