import type { MillraceError } from '#base/errors.js'
import { newerFormat } from '#journal/block-format.js'
import { ByteReader, type ByteWriter } from '#journal/bytes.js'
import { CODEC_NONE, checkCodec, expand } from './last-stage.js'
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
