import { crc32 } from '#base/hash.js'
import { MillraceError } from '#base/errors.js'
import { ByteReader, type ByteWriter, Damage } from './bytes.js'

/**
 * A block: the rows of one group commit, written once and never changed. Little-endian, unaligned; `varint` is unsigned LEB128. The first
 * five fields keep their places in every later version, so that any reader can tell damage from a format that it is too old for.
 *
 *     0  u8[8]  magic "MRBLOCK\n"
 *     8  u16    format version, 1
 *    10  u16    flags; bit 0: clustered. A reader refuses any that it does not know
 *    12  u32    headerBytes: from the magic to the end of the last section
 *    16  u32    CRC-32 of the header without these four bytes
 *    20  u32    bodyBytes: the groups, one behind the other; header and body are the whole block
 *    24  u32    rowCount
 *    28  u64    base position: the position of the first row; of a clustered block the lowest
 *    36  u8[32] SHA-256 of the whole block before this one in the log, zeros for the first and for clustered ones
 *    68  f64    lowest `accepted`, 76 highest, 84 lowest `at`, 92 highest; NaN is left out, and nothing but NaN gives +infinity and -infinity
 *   100  sections until headerBytes, each: varint tag, varint bytes, content
 *
 * Sections (a reader steps over tags of 128 and more that it does not know, and refuses any other):
 *
 *   1 shards    varint count, then per shard, ascending: varint shard, varint rows, varint lowest entity number, varint highest - lowest
 *   2 groups    varint count, then per group: varint shards in it, varint bytes, varint identityBytes, u32 CRC-32 of the group's first
 *               identityBytes (directory, entity and version chunks), u32 CRC-32 of the whole group
 *   3 marks     varint count, then per writer slot: varint slot, varint term, varint append number
 *   4 entities  varint count of shards, then per shard: varint shard, varint number of the first, varint count, then per entity: varint
 *               bytes, UTF-8: entities that appear in the log for the first time
 *   5 positions clustered blocks only: varint (first position behind the highest - base position), varint count, then per original block
 *               that has rows here, ascending: varint (ordinal - the one before), varint (position of the first of its rows here - the one before)
 *
 * Rows are sorted by (shard, entity number, version); a row's position is the base position plus its rank. A group holds the rows of a
 * contiguous run of shards and decodes alone (row-group.ts). The groups' CRCs cover the body: there is no other.
 *
 * A clustered block stands in a sealed segment and has the rows of a run of (shard, entity, version) of the whole segment. Its shards section may
 * name a shard several times, since groups may end within one. Rows of one original block that meet here were neighbours there, so the position of a row is
 * where its original block's rows here begin, plus how many of these come before it: block-positions.ts.
 */
export const BLOCK_MAGIC: Uint8Array = Buffer.from('MRBLOCK\n', 'latin1')
export const BLOCK_FORMAT_VERSION = 1
export const BLOCK_FIXED_BYTES = 100
export const HASH_BYTES = 32

const FLAGS_OFFSET = 10
const FLAG_CLUSTERED = 1
const HEADER_BYTES_OFFSET = 12
const HEADER_CRC_OFFSET = 16
const BODY_BYTES_OFFSET = 20
const PREVIOUS_HASH_OFFSET = 36

const SECTION_SHARDS = 1
const SECTION_GROUPS = 2
const SECTION_MARKS = 3
const SECTION_ENTITIES = 4
const SECTION_POSITIONS = 5
const SECTION_OPTIONAL_FROM = 128

export interface BlockHeader {
  readonly isClustered: boolean
  readonly basePosition: number
  /** The first position beyond the highest. */
  readonly endPosition: number
  readonly rowCount: number
  readonly headerBytes: number
  readonly totalBytes: number
  readonly previousHash: Uint8Array
  readonly acceptedMin: number
  readonly acceptedMax: number
  readonly atMin: number
  readonly atMax: number
  readonly groups: readonly BlockGroup[]
  readonly shards: readonly BlockShard[]
  readonly marks: readonly BlockMark[]
  /** Where the content of the entities section lies, 0 and 0 when there is none: see readNewEntities. */
  readonly entitiesStart: number
  readonly entitiesEnd: number
  /** Where the content of the positions section behind its first number lies: see readOrigins. */
  readonly originsStart: number
  readonly originsEnd: number
}

/** The original blocks that have rows in a clustered one, ascending. */
export interface BlockOrigins {
  /** Of the original block within its segment. */
  readonly ordinals: Uint32Array
  /** Position of the first of its rows here. */
  readonly starts: Float64Array
}

export interface BlockShard {
  readonly shard: number
  readonly rowCount: number
  readonly entityMin: number
  readonly entityMax: number
}

export interface BlockGroup {
  /** Of its first row, and how many it has. */
  readonly rank: number
  readonly rowCount: number
  readonly shards: readonly BlockShard[]
  /** Where it begins in the block, and its length. */
  readonly offset: number
  readonly bytes: number
  readonly identityBytes: number
  readonly identityCrc: number
  readonly crc: number
}

export interface BlockMark {
  readonly slot: number
  readonly term: number
  readonly number: number
}

export interface BlockEntities {
  readonly shard: number
  readonly first: number
  /** UTF-8. */
  readonly names: readonly Uint8Array[]
}

/** What a writer fills in; the rest of a BlockHeader follows from it. */
export interface BlockHeaderParts {
  basePosition: number
  rowCount: number
  bodyBytes: number
  previousHash: Uint8Array
  acceptedMin: number
  acceptedMax: number
  atMin: number
  atMax: number
  isClustered?: boolean
}

/** Writes the fixed part and makes room for the CRC. Sections follow with `writeSection`, then `finishHeader`. */
export function beginHeader(header: BlockHeaderParts, out: ByteWriter): void {
  out.copy(BLOCK_MAGIC)
  out.u16(BLOCK_FORMAT_VERSION)
  out.u16(header.isClustered === true ? FLAG_CLUSTERED : 0)
  out.u32(0)
  out.u32(0)
  out.u32(header.bodyBytes)
  out.u32(header.rowCount)
  out.u64(header.basePosition)
  out.copy(header.previousHash)
  out.f64(header.acceptedMin)
  out.f64(header.acceptedMax)
  out.f64(header.atMin)
  out.f64(header.atMax)
}

export type SectionName = 'shards' | 'groups' | 'marks' | 'entities' | 'positions'
const TAGS: Readonly<Record<SectionName, number>> = {
  shards: SECTION_SHARDS,
  groups: SECTION_GROUPS,
  marks: SECTION_MARKS,
  entities: SECTION_ENTITIES,
  positions: SECTION_POSITIONS,
}

export function writeSection(name: SectionName, content: ByteWriter, out: ByteWriter): void {
  out.varint(TAGS[name])
  out.varint(content.length)
  out.copy(content.bytes, 0, content.length)
}

/** Fills in length and CRC of a header that begins at byte 0 of `out`. */
export function finishHeader(out: ByteWriter): void {
  out.view.setUint32(HEADER_BYTES_OFFSET, out.length, true)
  out.view.setUint32(HEADER_CRC_OFFSET, headerCrc(out.bytes, out.length), true)
}

/** A copy of a block that continues another one than it did. */
export function withPreviousHash(block: Uint8Array, previousHash: Uint8Array): Buffer {
  const copy = Buffer.from(block)
  copy.set(previousHash, PREVIOUS_HASH_OFFSET)
  copy.writeUInt32LE(headerCrc(copy, copy.readUInt32LE(HEADER_BYTES_OFFSET)), HEADER_CRC_OFFSET)
  return copy
}

/** Parses and checks a header, not the body. `bytes` may go on behind the block when `isExact` is false. Throws Damage, or ERR_FORMAT_NEWER. */
export function readHeader(bytes: Uint8Array, isExact = true): BlockHeader {
  if (bytes.length < BLOCK_FIXED_BYTES) throw new Damage('it is shorter than a header')
  for (let index = 0; index < BLOCK_MAGIC.length; index++)
    if (bytes[index] !== BLOCK_MAGIC[index]) throw new Damage('it does not begin like a block')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const headerBytes = view.getUint32(HEADER_BYTES_OFFSET, true)
  if (headerBytes < BLOCK_FIXED_BYTES || headerBytes > bytes.length) throw new Damage('the length of its header is wrong')
  if (headerCrc(bytes, headerBytes) !== view.getUint32(HEADER_CRC_OFFSET, true)) throw new Damage('the checksum of its header is wrong')
  const version = view.getUint16(8, true)
  const flags = view.getUint16(FLAGS_OFFSET, true)
  if (version !== BLOCK_FORMAT_VERSION || (flags & ~FLAG_CLUSTERED) !== 0) throw newerFormat('block format', version)
  const isClustered = (flags & FLAG_CLUSTERED) !== 0

  const reader = new ByteReader(bytes, BODY_BYTES_OFFSET, headerBytes)
  const totalBytes = headerBytes + reader.u32()
  if (isExact ? totalBytes !== bytes.length : totalBytes > bytes.length) throw new Damage('its length is not what its header says')
  const rowCount = reader.u32()
  const basePosition = reader.u64()
  const previousHash = reader.slice(HASH_BYTES)
  const acceptedMin = reader.f64()
  const acceptedMax = reader.f64()
  const atMin = reader.f64()
  const atMax = reader.f64()
  let shards: BlockShard[] = []
  let groups: BlockGroup[] = []
  let marks: BlockMark[] = []
  let entitiesStart = 0
  let entitiesEnd = 0
  let endPosition = basePosition + rowCount
  let originsStart = 0
  let originsEnd = 0
  while (reader.left > 0) {
    const tag = reader.varint()
    const count = reader.varint()
    const start = reader.skip(count)
    const section = new ByteReader(bytes, start, start + count)
    if (tag === SECTION_SHARDS) shards = readShards(section)
    else if (tag === SECTION_GROUPS) groups = readGroups(section, shards, headerBytes)
    else if (tag === SECTION_MARKS) marks = readMarks(section)
    else if (tag === SECTION_ENTITIES) {
      entitiesStart = start
      entitiesEnd = start + count
    } else if (tag === SECTION_POSITIONS && isClustered) {
      endPosition = basePosition + section.varint()
      originsStart = section.at
      originsEnd = section.end
    } else if (tag < SECTION_OPTIONAL_FROM) throw newerFormat('block section', tag)
  }
  if (isClustered && originsStart === 0) throw new Damage('it does not say at which positions its rows are')
  const last = groups[groups.length - 1]
  if ((last === undefined ? headerBytes : last.offset + last.bytes) !== totalBytes) throw new Damage('its groups do not fill its body')
  if ((last === undefined ? 0 : last.rank + last.rowCount) !== rowCount) throw new Damage('its groups do not hold its rows')
  return {
    isClustered,
    basePosition,
    endPosition,
    rowCount,
    headerBytes,
    totalBytes,
    previousHash,
    acceptedMin,
    acceptedMax,
    atMin,
    atMax,
    groups,
    shards,
    marks,
    entitiesStart,
    entitiesEnd,
    originsStart,
    originsEnd,
  }
}

/** The entities that a block brings into the log, by shard. */
export function readNewEntities(bytes: Uint8Array, header: BlockHeader): BlockEntities[] {
  if (header.entitiesStart === header.entitiesEnd) return []
  return readEntities(new ByteReader(bytes, header.entitiesStart, header.entitiesEnd))
}

/** The content of an entities section. */
export function readEntities(reader: ByteReader): BlockEntities[] {
  const found: BlockEntities[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const shard = reader.varint()
    const first = reader.varint()
    const names: Uint8Array[] = []
    for (let left = reader.varint(); left > 0; left--) names.push(reader.slice(reader.varint()))
    found.push({ shard, first, names })
  }
  return found
}

/** Where the rows of a clustered block come from. */
export function readOrigins(bytes: Uint8Array, header: BlockHeader): BlockOrigins {
  const reader = new ByteReader(bytes, header.originsStart, header.originsEnd)
  const count = reader.left === 0 ? 0 : reader.varint()
  if (count > reader.left) throw new Damage('it has rows of more blocks than its bytes name')
  const ordinals = new Uint32Array(count)
  const starts = new Float64Array(count)
  let ordinal = 0
  let start = header.basePosition
  for (let index = 0; index < count; index++) {
    ordinals[index] = ordinal += reader.varint()
    starts[index] = start += reader.varint()
  }
  return { ordinals, starts }
}

export function newerFormat(what: string, number: number): MillraceError {
  return new MillraceError('ERR_FORMAT_NEWER', {
    fact: `the log was written by a later version of millrace, with a ${what} that this one does not know`,
    action: 'operator',
    values: { number },
    next: 'update millrace, then try again',
  })
}

function readShards(reader: ByteReader): BlockShard[] {
  const shards: BlockShard[] = []
  for (let count = reader.varint(); count > 0; count--) {
    const shard = reader.varint()
    const rowCount = reader.varint()
    const entityMin = reader.varint()
    shards.push({ shard, rowCount, entityMin, entityMax: entityMin + reader.varint() })
  }
  return shards
}

function readGroups(reader: ByteReader, shards: readonly BlockShard[], bodyOffset: number): BlockGroup[] {
  const groups: BlockGroup[] = []
  let rank = 0
  let offset = bodyOffset
  let nextShard = 0
  for (let count = reader.varint(); count > 0; count--) {
    const shardCount = reader.varint()
    const bytes = reader.varint()
    const identityBytes = reader.varint()
    const own = shards.slice(nextShard, nextShard + shardCount)
    if (own.length !== shardCount) throw new Damage('its groups name more shards than it has')
    const rowCount = own.reduce((sum, shard) => sum + shard.rowCount, 0)
    groups.push({ rank, rowCount, shards: own, offset, bytes, identityBytes, identityCrc: reader.u32(), crc: reader.u32() })
    nextShard += shardCount
    rank += rowCount
    offset += bytes
  }
  return groups
}

function readMarks(reader: ByteReader): BlockMark[] {
  const marks: BlockMark[] = []
  for (let count = reader.varint(); count > 0; count--)
    marks.push({ slot: reader.varint(), term: reader.varint(), number: reader.varint() })
  return marks
}

function headerCrc(bytes: Uint8Array, headerBytes: number): number {
  return crc32(bytes.subarray(HEADER_CRC_OFFSET + 4, headerBytes), crc32(bytes.subarray(0, HEADER_CRC_OFFSET)))
}
