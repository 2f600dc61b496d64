import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { MillraceError, messageOf } from '#base/errors.js'
import type { BlockEntry, TypeZones } from '#journal/block-entry.js'
import { type BlockEntities, readEntities } from '#journal/block-format.js'
import { BlockReader } from '#journal/block-reader.js'
import { ByteReader, Damage } from '#journal/bytes.js'
import {
  PART_ENTITIES,
  PART_NAMES,
  PART_ZONES,
  readFooter,
  readSegmentHeader,
  readTrailer,
  readZones,
  SEGMENT_HEADER_BYTES,
  SEGMENT_TRAILER_BYTES,
  type SegmentBlock,
  type SegmentFooter,
  type SegmentHeader,
  unpackPart,
} from './segment-format.js'

/** Where the bytes of a sealed segment come from. */
export interface SegmentSource {
  readonly fileBytes: number
  /** Whoever opened it closes it: until then its index may be kept for longer than it is used. */
  readonly isFile: boolean
  /** As many bytes as there are, up to `count`; they are the caller's. */
  read(offset: number, count: number): Uint8Array
  close(): void
}

/** Rows of one entity in the clustered order of a segment. */
export interface EntityRun {
  readonly shard: number
  readonly number: number
  /** Of its first row, over all blocks. */
  readonly rank: number
  readonly rowCount: number
}

/** Opens a sealed segment for plain positional reads. Throws ERR_SEGMENT_DAMAGED, ERR_FORMAT_NEWER, ERR_SEGMENT_UNREADABLE. */
export function openSegmentFile(path: string, name: string): SegmentFile {
  const descriptor = onFile(path, () => openSync(path, 'r'))
  const source: SegmentSource = {
    fileBytes: onFile(path, () => fstatSync(descriptor).size),
    isFile: true,
    read(offset, count) {
      const bytes = Buffer.allocUnsafeSlow(Math.max(0, Math.min(count, source.fileBytes - offset)))
      return bytes.subarray(
        0,
        onFile(path, () => readSync(descriptor, bytes, 0, bytes.length, offset)),
      )
    },
    close: () => closeSync(descriptor),
  }
  try {
    return new SegmentFile(source, name)
  } catch (error) {
    source.close()
    throw error
  }
}

/** What the file system refuses, a read of a bad sector among it, is no damage that repair could know of. */
function onFile<T>(path: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    throw new MillraceError('ERR_SEGMENT_UNREADABLE', {
      fact: 'a file of the log cannot be read',
      action: 'operator',
      values: { file: path, why: messageOf(cause) },
      next: 'restore the file from a backup, or the whole data directory',
      cause,
    })
  }
}

/** A sealed segment in memory, which need not be closed. */
export function segmentFromBytes(bytes: Uint8Array, name: string): SegmentFile {
  const read = (offset: number, count: number): Uint8Array => bytes.slice(offset, offset + count)
  return new SegmentFile({ fileBytes: bytes.length, isFile: false, read, close() {} }, name)
}

/** A sealed segment: its directory, and its blocks as they are asked for. Every byte is checked before it is believed. */
export class SegmentFile {
  readonly name: string
  readonly header: SegmentHeader
  readonly footer: SegmentFooter
  readonly fileBytes: number
  /** Rank of the first row of each block, and the row count behind the last. */
  readonly ranks: Uint32Array
  readonly #source: SegmentSource
  #entries: readonly BlockEntry[] | undefined
  #entities: Map<number, ShardEntities> | undefined

  constructor(source: SegmentSource, name: string) {
    this.#source = source
    this.name = name
    this.fileBytes = source.fileBytes
    const { header, footer } = this.#guard(() => this.#open())
    this.header = header
    this.footer = footer
    this.ranks = new Uint32Array(footer.blocks.length + 1)
    footer.blocks.forEach(({ rowCount }, index) => {
      this.ranks[index + 1] = (this.ranks[index] as number) + rowCount
    })
    this.#guard(() => this.#checkDirectory())
  }

  get rowCount(): number {
    return this.header.endPosition - this.header.firstPosition
  }

  /** One entry per block, with its zone maps. */
  entries(): readonly BlockEntry[] {
    if (this.#entries !== undefined) return this.#entries
    const { blocks } = this.footer
    const types: readonly ReadonlyMap<number, TypeZones>[] = this.#guard(() => readZones(this.#part(PART_ZONES), blocks.length))
    this.#entries = blocks.map((block, id) => entryOf(this.name, id, block, types[id] as ReadonlyMap<number, TypeZones>))
    return this.#entries
  }

  /** A block, its header checked. Throws ERR_BLOCK_DAMAGED naming it by its lowest position. */
  block(id: number): BlockReader {
    const { offset, bytes, firstPosition, rowCount } = this.footer.blocks[id] as SegmentBlock
    const reader = new BlockReader(this.#source.read(offset, bytes), this.name, firstPosition)
    reader.guard(() => {
      if (!reader.header.isClustered || reader.header.rowCount !== rowCount) throw new Damage('it is not the block that its segment says')
    })
    return reader
  }

  /** Where the rows of an entity are, or undefined when it has none here. */
  find(shard: number, number: number): EntityRun | undefined {
    const own = this.#index().get(shard)
    if (own === undefined) return undefined
    const { numbers, ranks } = own
    let low = 0
    let high = numbers.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((numbers[middle] as number) < number) low = middle + 1
      else high = middle
    }
    if (numbers[low] !== number) return undefined
    const rank = ranks[low] as number
    return { shard, number, rank, rowCount: (ranks[low + 1] as number) - rank }
  }

  /** Entities that have rows here, by (shard, number). */
  *entities(): Generator<EntityRun> {
    for (const [shard, { numbers, ranks }] of this.#index()) {
      for (let index = 0; index < numbers.length; index++) {
        const rank = ranks[index] as number
        yield { shard, number: numbers[index] as number, rank, rowCount: (ranks[index + 1] as number) - rank }
      }
    }
  }

  /** The block that has the row with this rank. */
  blockAt(rank: number): number {
    let low = 0
    let high = this.footer.blocks.length
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if ((this.ranks[middle] as number) <= rank) low = middle
      else high = middle
    }
    return low
  }

  /** Entities that appear in the log for the first time. */
  newEntities(): BlockEntities[] {
    return this.#guard(() => readEntities(new ByteReader(this.#part(PART_NAMES))))
  }

  /** Bytes of the whole file, in pieces. */
  *pieces(count: number): Generator<Uint8Array> {
    for (let offset = 0; offset < this.fileBytes; offset += count) yield this.#source.read(offset, count)
  }

  close(): void {
    dropIndex(this)
    this.#source.close()
  }

  #open(): { header: SegmentHeader; footer: SegmentFooter } {
    const source = this.#source
    const { fileBytes } = source
    if (fileBytes < SEGMENT_HEADER_BYTES + SEGMENT_TRAILER_BYTES) throw new Damage('it is shorter than its header and its end')
    const header = readSegmentHeader(source.read(0, SEGMENT_HEADER_BYTES))
    const trailer = readTrailer(source.read(fileBytes - SEGMENT_TRAILER_BYTES, SEGMENT_TRAILER_BYTES), fileBytes)
    const footer = readFooter(source.read(trailer.offset, trailer.bytes), trailer.crc, header.firstPosition)
    return { header, footer }
  }

  #checkDirectory(): void {
    const rows = this.footer.origins.reduce((sum, count) => sum + count, 0)
    if (rows !== this.rowCount || this.ranks.at(-1) !== rows) throw new Damage('its blocks do not have its rows')
    for (const tag of [PART_ENTITIES, PART_NAMES, PART_ZONES])
      if (!this.footer.parts.has(tag)) throw new Damage('a part of its index is missing')
  }

  #part(tag: number): Uint8Array {
    const part = this.footer.parts.get(tag)
    if (part === undefined) throw new Damage('a part of its index is missing')
    return unpackPart(part, this.#source.read(part.offset, part.bytes))
  }

  #index(): Map<number, ShardEntities> {
    this.#entities ??= this.#guard(() => readEntityIndex(this.#part(PART_ENTITIES), this.rowCount))
    if (this.#source.isFile) keepIndex(this, this.#entities)
    return this.#entities
  }

  /** Gives the memory of its index back; it is read again when it is asked for. */
  forgetIndex(): void {
    this.#entities = undefined
  }

  #guard<T>(read: () => T): T {
    try {
      return read()
    } catch (error) {
      throw segmentDamaged(error, this.name)
    }
  }
}

/** Entities in the indexes of all open files together that are kept in memory, at 8 bytes each. */
const INDEXED_MAX = 4 << 20
/** By segment how many entities its index has, the one used last at the end. */
const indexes = new Map<SegmentFile, number>()

let indexedCount = 0

function keepIndex(file: SegmentFile, index: ReadonlyMap<number, ShardEntities>): void {
  let own = indexes.get(file)
  if (own === undefined) {
    own = 1
    for (const { numbers } of index.values()) own += numbers.length
    indexedCount += own
  } else indexes.delete(file)
  indexes.set(file, own)
  for (const oldest of indexes.keys()) {
    if (indexedCount <= INDEXED_MAX || oldest === file) return
    dropIndex(oldest)
    oldest.forgetIndex()
  }
}

function dropIndex(file: SegmentFile): void {
  indexedCount -= indexes.get(file) ?? 0
  indexes.delete(file)
}

interface ShardEntities {
  /** Ascending. */
  readonly numbers: Uint32Array
  /** Rank of the first row of each, and behind the last. */
  readonly ranks: Uint32Array
}

function readEntityIndex(bytes: Uint8Array, rowCount: number): Map<number, ShardEntities> {
  const reader = new ByteReader(bytes)
  const shards = new Map<number, ShardEntities>()
  let rank = 0
  for (let left = reader.varint(); left > 0; left--) {
    const shard = reader.varint()
    const count = reader.varint()
    if (count > reader.left) throw new Damage('a list in it is longer than its bytes')
    const numbers = new Uint32Array(count)
    const ranks = new Uint32Array(count + 1)
    let number = -1
    for (let index = 0; index < count; index++) {
      numbers[index] = number += reader.varint() + 1
      ranks[index] = rank
      rank += reader.varint()
    }
    ranks[count] = rank
    shards.set(shard, { numbers, ranks })
  }
  if (rank !== rowCount) throw new Damage('its entities do not have its rows')
  return shards
}

/** Turns Damage of a sealed file outside of its blocks into ERR_SEGMENT_DAMAGED; a MillraceError passes, a bug is thrown on. */
export function segmentDamaged(cause: unknown, segment: string): MillraceError {
  if (cause instanceof MillraceError) return cause
  // zlib's errors come with a code of their own, and lengths that no memory could hold are RangeErrors.
  const isZlib = cause instanceof Error && String((cause as NodeJS.ErrnoException).code).startsWith('ERR_')
  if (!(cause instanceof Damage) && !(cause instanceof RangeError) && !isZlib) throw cause
  return new MillraceError('ERR_SEGMENT_DAMAGED', {
    fact: `a sealed segment of the log is damaged, ${messageOf(cause)}`,
    action: 'operator',
    values: { segment },
    next: 'run millrace log verify on the data directory',
    cause,
  })
}

function entryOf(segment: string, id: number, block: SegmentBlock, types: ReadonlyMap<number, TypeZones>): BlockEntry {
  const { offset: _, ...rest } = block
  return { segment, id, isClustered: true, ...rest, types }
}
