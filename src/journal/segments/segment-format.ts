import { brotliCompressSync, brotliDecompressSync, constants } from 'node:zlib'
import { crc32 } from '#base/hash.js'
import type { BlockMark, BlockShard } from '#journal/block-format.js'
import { HASH_BYTES, newerFormat } from '#journal/block-format.js'
import { ByteReader, ByteWriter, Damage } from '#journal/bytes.js'
import type { ZoneMap } from '#journal/columns/zone-map.js'
import type { TypeZones } from '#journal/block-entry.js'

/**
 * A sealed segment: one flat file, written once. Little-endian, unaligned; `varint` is unsigned LEB128.
 *
 *   header    96 bytes
 *     0 u8[8]  magic "MRSEGMNT"
 *     8 u16    format version, 1
 *    10 u16    flags, 0; refuse any that you do not know
 *    12 u32    CRC-32 of the header without these four bytes
 *    16 u64    first position
 *    24 u64    end: the first position behind the last
 *    32 u8[32] SHA-256 of the block before the segment's first original block
 *    64 u8[32] SHA-256 of the segment's last original block
 *   blocks    clustered (block-format.ts), one behind the other
 *   parts     what is read when it is asked for: see PARTS
 *   footer    sections, each: varint tag, varint bytes, content
 *   trailer   32 bytes
 *     0 u64    where the footer begins
 *     8 u32    its length
 *    12 u32    its CRC-32
 *    16 u32    0
 *    20 u32    CRC-32 of the trailer without these four bytes
 *    24 u8[8]  magic "MRSEGEND"
 *
 * Footer sections (a reader steps over tags of 128 and more that it does not know, and refuses any other):
 *
 *   1 origins  varint count, then per original block its varint rows: they follow each other from the first position on
 *   2 blocks   varint count, then per block: varint bytes, varint rows, varint (lowest position - first position), varint (first position behind the highest -
 *              lowest), f64 lowest `accepted`, f64 highest, f64 lowest `at`, f64 highest; varint runs, per run varint shard, varint rows, varint lowest entity number,
 *              varint highest - lowest
 *   3 marks    the highest that its original blocks have: varint count, then per slot: varint slot, varint term, varint append number
 *   4 parts    varint count, then per part: varint tag, varint offset in the file, varint bytes, u8 codec (0: none, 1: brotli), varint bytes before it, u32 CRC-32
 *   5 hash     u8[32] hash of the rows (rows-hash.ts)
 *
 * Parts:
 *
 *   1 entities varint count of shards, then per shard, ascending: varint shard, varint count, then per entity, ascending: varint (number - the one before,
 *              from -1) - 1, varint rows. The rows of the segment are those of the entities, in this order, over all blocks
 *   2 names    entities that appear in the log for the first time, as in section 4 of a block (block-format.ts)
 *   3 zones    per block: varint count of event types, then per type: varint type number, varint rows, varint count, then per zone map: varint column,
 *              f64 min, f64 max, varint count
 */
export const SEGMENT_MAGIC = 'MRSEGMNT'
export const SEGMENT_FORMAT_VERSION = 1
export const SEGMENT_HEADER_BYTES = 96
export const SEGMENT_TRAILER_BYTES = 32
const TRAILER_MAGIC = 'MRSEGEND'

const SECTION_ORIGINS = 1
const SECTION_BLOCKS = 2
const SECTION_MARKS = 3
const SECTION_PARTS = 4
const SECTION_HASH = 5
const SECTION_OPTIONAL_FROM = 128

export const PART_ENTITIES = 1
export const PART_NAMES = 2
export const PART_ZONES = 3

const CODEC_NONE = 0
const CODEC_BROTLI = 1

export interface SegmentHeader {
  readonly firstPosition: number
  readonly endPosition: number
  /** Of the chain: see BlockHeader.previousHash. */
  readonly previousHash: Uint8Array
  readonly lastHash: Uint8Array
}

/** A block in the directory of a segment. */
export interface SegmentBlock {
  readonly offset: number
  readonly bytes: number
  readonly rowCount: number
  readonly firstPosition: number
  readonly endPosition: number
  readonly acceptedMin: number
  readonly acceptedMax: number
  readonly atMin: number
  readonly atMax: number
  readonly shards: readonly BlockShard[]
}

export interface SegmentPart {
  readonly offset: number
  readonly bytes: number
  readonly codec: number
  readonly plainBytes: number
  readonly crc: number
}

export interface SegmentFooter {
  /** Rows of each original block. */
  readonly origins: Uint32Array
  readonly blocks: readonly SegmentBlock[]
  readonly marks: readonly BlockMark[]
  readonly parts: ReadonlyMap<number, SegmentPart>
  readonly rowsHash: Uint8Array
}

export function writeSegmentHeader(header: SegmentHeader): Uint8Array {
  const out = new ByteWriter(SEGMENT_HEADER_BYTES)
  out.copy(Buffer.from(SEGMENT_MAGIC, 'latin1'))
  out.u16(SEGMENT_FORMAT_VERSION)
  out.u16(0)
  out.u32(0)
  out.u64(header.firstPosition)
  out.u64(header.endPosition)
  out.copy(header.previousHash)
  out.copy(header.lastHash)
  out.view.setUint32(12, crcWithout(out.written(), 12), true)
  return new Uint8Array(out.written())
}

/** Throws Damage, or ERR_FORMAT_NEWER. */
export function readSegmentHeader(bytes: Uint8Array): SegmentHeader {
  const reader = new ByteReader(bytes, 0, SEGMENT_HEADER_BYTES)
  if (Buffer.from(reader.slice(8)).toString('latin1') !== SEGMENT_MAGIC) throw new Damage('it does not begin like a segment')
  const version = reader.u16()
  const flags = reader.u16()
  if (reader.u32() !== crcWithout(bytes.subarray(0, SEGMENT_HEADER_BYTES), 12)) throw new Damage('the checksum of its header is wrong')
  if (version !== SEGMENT_FORMAT_VERSION || flags !== 0) throw newerFormat('segment format', version)
  const firstPosition = reader.u64()
  const endPosition = reader.u64()
  const previousHash = new Uint8Array(reader.slice(HASH_BYTES))
  const lastHash = new Uint8Array(reader.slice(HASH_BYTES))
  return { firstPosition, endPosition, previousHash, lastHash }
}

/** The parts of a segment, its footer and its trailer, to stand at `offset`. */
export function writeSegmentEnd(
  offset: number,
  footer: Omit<SegmentFooter, 'parts'> & { readonly firstPosition: number },
  parts: ReadonlyMap<number, Uint8Array>,
): Uint8Array[] {
  const pieces: Uint8Array[] = []
  const table = new ByteWriter(256)
  table.varint(parts.size)
  let at = offset
  for (const [tag, plain] of parts) {
    const packed = brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } })
    const isSmaller = packed.length < plain.length
    const stored = isSmaller ? packed : plain
    table.varint(tag)
    table.varint(at)
    table.varint(stored.length)
    table.u8(isSmaller ? CODEC_BROTLI : CODEC_NONE)
    table.varint(plain.length)
    table.u32(crc32(stored))
    pieces.push(stored)
    at += stored.length
  }
  const out = new ByteWriter(4096)
  const section = new ByteWriter(4096)
  const write = (tag: number): void => {
    out.varint(tag)
    out.varint(section.length)
    out.copy(section.bytes, 0, section.length)
    section.clear()
  }
  section.varint(footer.origins.length)
  for (const rows of footer.origins) section.varint(rows)
  write(SECTION_ORIGINS)
  writeBlocks(footer, section)
  write(SECTION_BLOCKS)
  section.varint(footer.marks.length)
  for (const { slot, term, number } of footer.marks) {
    section.varint(slot)
    section.varint(term)
    section.varint(number)
  }
  write(SECTION_MARKS)
  section.copy(table.bytes, 0, table.length)
  write(SECTION_PARTS)
  section.copy(footer.rowsHash)
  write(SECTION_HASH)
  const bytes = new Uint8Array(out.written())
  pieces.push(bytes, writeTrailer(at, bytes))
  return pieces
}

function writeBlocks(footer: Pick<SegmentFooter, 'blocks'> & { readonly firstPosition: number }, out: ByteWriter): void {
  out.varint(footer.blocks.length)
  for (const block of footer.blocks) {
    out.varint(block.bytes)
    out.varint(block.rowCount)
    out.varint(block.firstPosition - footer.firstPosition)
    out.varint(block.endPosition - block.firstPosition)
    for (const value of [block.acceptedMin, block.acceptedMax, block.atMin, block.atMax]) out.f64(value)
    out.varint(block.shards.length)
    for (const { shard, rowCount, entityMin, entityMax } of block.shards) {
      out.varint(shard)
      out.varint(rowCount)
      out.varint(entityMin)
      out.varint(entityMax - entityMin)
    }
  }
}

function writeTrailer(offset: number, footer: Uint8Array): Uint8Array {
  const out = new ByteWriter(SEGMENT_TRAILER_BYTES)
  out.u64(offset)
  out.u32(footer.length)
  out.u32(crc32(footer))
  out.u32(0)
  out.u32(0)
  out.copy(Buffer.from(TRAILER_MAGIC, 'latin1'))
  out.view.setUint32(20, crcWithout(out.written(), 20), true)
  return new Uint8Array(out.written())
}

/** Where the footer lies, from the last bytes of a file. Throws Damage. */
export function readTrailer(
  bytes: Uint8Array,
  fileBytes: number,
): { readonly offset: number; readonly bytes: number; readonly crc: number } {
  const reader = new ByteReader(bytes, 0, SEGMENT_TRAILER_BYTES)
  const trailer = { offset: reader.u64(), bytes: reader.u32(), crc: reader.u32() }
  reader.u32()
  if (reader.u32() !== crcWithout(bytes.subarray(0, SEGMENT_TRAILER_BYTES), 20)) throw new Damage('its end is damaged or missing')
  if (Buffer.from(reader.slice(8)).toString('latin1') !== TRAILER_MAGIC) throw new Damage('it does not end like a segment')
  if (trailer.offset + trailer.bytes + SEGMENT_TRAILER_BYTES !== fileBytes) throw new Damage('its length is not what its end says')
  return trailer
}

/** `bytes`: of the footer alone. Throws Damage, or ERR_FORMAT_NEWER. */
export function readFooter(bytes: Uint8Array, crc: number, firstPosition: number): SegmentFooter {
  if (crc32(bytes) !== crc) throw new Damage('the checksum of its footer is wrong')
  const reader = new ByteReader(bytes)
  let origins = new Uint32Array(0)
  let blocks: SegmentBlock[] = []
  let marks: BlockMark[] = []
  let rowsHash = new Uint8Array(0)
  const parts = new Map<number, SegmentPart>()
  while (reader.left > 0) {
    const tag = reader.varint()
    const count = reader.varint()
    const start = reader.skip(count)
    const section = new ByteReader(bytes, start, start + count)
    if (tag === SECTION_ORIGINS) origins = Uint32Array.from(list(section, () => section.varint()))
    else if (tag === SECTION_BLOCKS) blocks = readBlocks(section, firstPosition)
    else if (tag === SECTION_MARKS)
      marks = list(section, () => ({ slot: section.varint(), term: section.varint(), number: section.varint() }))
    else if (tag === SECTION_PARTS) {
      for (let left = section.varint(); left > 0; left--) {
        const part = section.varint()
        const [offset, stored, codec, plainBytes, own] = [section.varint(), section.varint(), section.u8(), section.varint(), section.u32()]
        parts.set(part, { offset, bytes: stored, codec, plainBytes, crc: own })
      }
    } else if (tag === SECTION_HASH) rowsHash = new Uint8Array(section.slice(HASH_BYTES))
    else if (tag < SECTION_OPTIONAL_FROM) throw newerFormat('segment section', tag)
  }
  return { origins, blocks, marks, parts, rowsHash }
}

function readBlocks(reader: ByteReader, firstPosition: number): SegmentBlock[] {
  let offset = SEGMENT_HEADER_BYTES
  return list(reader, () => {
    const [bytes, rowCount, from, span] = [reader.varint(), reader.varint(), reader.varint(), reader.varint()]
    const [acceptedMin, acceptedMax, atMin, atMax] = [reader.f64(), reader.f64(), reader.f64(), reader.f64()]
    const shards = list(reader, () => {
      const [shard, rows, entityMin, more] = [reader.varint(), reader.varint(), reader.varint(), reader.varint()]
      return { shard, rowCount: rows, entityMin, entityMax: entityMin + more }
    })
    const first = firstPosition + from
    const known = { offset, bytes, rowCount, firstPosition: first, endPosition: first + span }
    offset += bytes
    return { ...known, acceptedMin, acceptedMax, atMin, atMax, shards }
  })
}

/** The content of a part as it was before its codec. Throws Damage. */
export function unpackPart(part: SegmentPart, stored: Uint8Array): Uint8Array {
  if (crc32(stored) !== part.crc) throw new Damage('the checksum of a part of its index is wrong')
  if (part.codec === CODEC_NONE) return stored
  if (part.codec !== CODEC_BROTLI) throw newerFormat('codec', part.codec)
  const plain = brotliDecompressSync(stored, { maxOutputLength: part.plainBytes })
  if (plain.length !== part.plainBytes) throw new Damage('a part of its index has the wrong length')
  return plain
}

export function writeZones(types: ReadonlyMap<number, TypeZones>, out: ByteWriter): void {
  out.varint(types.size)
  for (const [typeNumber, { rowCount, zones }] of types) {
    out.varint(typeNumber)
    out.varint(rowCount)
    out.varint(zones.size)
    for (const [column, { min, max, count }] of zones) {
      out.varint(column)
      out.f64(min)
      out.f64(max)
      out.varint(count)
    }
  }
}

export function readZones(bytes: Uint8Array, blockCount: number): ReadonlyMap<number, TypeZones>[] {
  const reader = new ByteReader(bytes)
  return Array.from({ length: blockCount }, () => {
    const types = new Map<number, TypeZones>()
    for (let left = reader.varint(); left > 0; left--) {
      const typeNumber = reader.varint()
      const rowCount = reader.varint()
      const zones = new Map<number, ZoneMap>()
      for (let own = reader.varint(); own > 0; own--) {
        zones.set(reader.varint(), { min: reader.f64(), max: reader.f64(), count: reader.varint() })
      }
      types.set(typeNumber, { rowCount, zones })
    }
    return types
  })
}

function list<T>(reader: ByteReader, read: () => T): T[] {
  const count = reader.varint()
  if (count > reader.left) throw new Damage('a list in it is longer than its bytes')
  return Array.from({ length: count }, read)
}

function crcWithout(bytes: Uint8Array, offset: number): number {
  return crc32(bytes.subarray(offset + 4), crc32(bytes.subarray(0, offset)))
}
