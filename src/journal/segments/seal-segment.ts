import { sha256 } from '#base/hash.js'
import type { TypeZones } from '#journal/block-entry.js'
import { type BlockEntities, type BlockMark, readNewEntities } from '#journal/block-format.js'
import { BlockReader, blockDamaged } from '#journal/block-reader.js'
import { ByteWriter, Damage } from '#journal/bytes.js'
import type { EventType } from '#journal/journal.js'
import { Marks } from '#journal/marks.js'
import { BlockEncoder } from './block-encoder.js'
import { CUT_LIMITS, type CutLimits, clusteredOrder, cutBlocks, positionOrder } from './row-order.js'
import { hashRows } from './rows-hash.js'
import {
  PART_ENTITIES,
  PART_NAMES,
  PART_ZONES,
  type SegmentBlock,
  SEGMENT_HEADER_BYTES,
  writeSegmentEnd,
  writeSegmentHeader,
  writeZones,
} from './segment-format.js'
import { SegmentRows } from './segment-rows.js'
import { zonesOf } from './zones.js'

/** What a segment is sealed from, as it crosses to a thread. */
export interface SealTask {
  /** Name of the segment that the blocks are from, for messages. */
  readonly segment: string
  /** In order of position, without gaps. */
  readonly blocks: readonly Uint8Array[]
  readonly types: readonly EventType[]
  /** Take no time for making it small: when more segments wait to be sealed than there should. */
  readonly isPlain?: boolean
  /** How large groups and blocks become, when not as usual: for tests. */
  readonly cut?: CutLimits
}

export interface SealedBytes {
  /** The file, in pieces. */
  readonly pieces: readonly Uint8Array[]
  readonly firstPosition: number
  readonly endPosition: number
  readonly previousHash: Uint8Array
  readonly lastHash: Uint8Array
  readonly rowsHash: Uint8Array
  readonly acceptedMax: number
}

/**
 * Turns the blocks of a segment into the file of a sealed one. Checks them on the way, the chain among them; throws ERR_BLOCK_DAMAGED where a check fails. Pure: bytes in, bytes
 * out, in any thread.
 */
export function sealSegment({ segment, blocks, types, isPlain = false, cut = CUT_LIMITS }: SealTask): SealedBytes {
  const readers = blocks.map((bytes) => new BlockReader(bytes, segment))
  const rows = new SegmentRows(types).fit(readers.reduce((sum, { header }) => sum + header.rowCount, 0))
  const marks = new Marks()
  let lastHash: Uint8Array | undefined
  readers.forEach((reader, ordinal) => {
    reader.guard(() => {
      const before = readers[ordinal - 1]?.header
      if (before !== undefined && reader.header.basePosition !== before.endPosition)
        throw new Damage('it does not begin where the block before it ends')
      if (lastHash !== undefined && Buffer.compare(reader.header.previousHash, lastHash) !== 0)
        throw new Damage('it does not continue the block before it')
    })
    rows.add(reader, ordinal)
    for (const mark of reader.header.marks) marks.raise(mark)
    lastHash = sha256(reader.bytes)
  })
  const first = readers[0]?.header
  const endPosition = readers.at(-1)?.header.endPosition
  if (first === undefined || endPosition === undefined || lastHash === undefined)
    throw blockDamaged(new Damage('its segment has none'), segment, undefined)
  const firstPosition = first.basePosition
  const byPosition = positionOrder(rows, firstPosition)
  if (byPosition === undefined) throw blockDamaged(new Damage('positions of its segment are not dense'), segment, firstPosition)
  const previousHash = new Uint8Array(first.previousHash)
  const header = { firstPosition, endPosition, previousHash, lastHash }
  const rowsHash = hashRows(rows, byPosition)
  const origins = Uint32Array.from(readers, (reader) => reader.header.rowCount)
  const pieces = [
    writeSegmentHeader(header),
    ...encodeBody(
      rows,
      clusteredOrder(rows),
      { firstPosition, origins, marks: [...marks], rowsHash, cut, isPlain },
      writeEntities(newEntities(readers)),
    ),
  ]
  const acceptedMax = readers.reduce((max, reader) => Math.max(max, reader.header.acceptedMax), -Infinity)
  return { pieces, ...header, rowsHash, acceptedMax }
}

interface Known {
  readonly firstPosition: number
  readonly origins: Uint32Array
  readonly marks: readonly BlockMark[]
  readonly rowsHash: Uint8Array
  readonly cut: CutLimits
  readonly isPlain: boolean
}

/** All of a sealed file behind its header. `order`: the rows by shard, entity and version; `names`: the content of part 2. */
export function encodeBody(rows: SegmentRows, order: Uint32Array, known: Known, names: Uint8Array): Uint8Array[] {
  const encoder = new BlockEncoder(rows, { isClustered: true, isPlain: known.isPlain })
  const pieces: Uint8Array[] = []
  const blocks: SegmentBlock[] = []
  const zones = new ByteWriter(4096)
  let offset = SEGMENT_HEADER_BYTES
  for (const ends of cutBlocks(rows, order, known.cut)) {
    const { bytes, ...entry } = encoder.encode(order, ends)
    const types: ReadonlyMap<number, TypeZones> = zonesOf(rows, order.subarray(ends[0], ends.at(-1)))
    writeZones(types, zones)
    blocks.push({ ...entry, offset, bytes: bytes.length })
    // A Buffer's `slice` is no copy.
    pieces.push(new Uint8Array(bytes))
    offset += bytes.length
  }
  const parts = new Map([
    [PART_ENTITIES, entityIndex(rows, order)],
    [PART_NAMES, names],
    [PART_ZONES, new Uint8Array(zones.written())],
  ])
  return [...pieces, ...writeSegmentEnd(offset, { ...known, blocks }, parts)]
}

/** Which entities have rows, and how many: see segment-format.ts. */
function entityIndex(rows: SegmentRows, order: Uint32Array): Uint8Array {
  const { shard, entity, rowCount } = rows
  const out = new ByteWriter(4096)
  const own = new ByteWriter(4096)
  let shards = 0
  for (let from = 0; from < rowCount; ) {
    const current = shard[order[from] as number] as number
    let last = -1
    let count = 0
    const entries = new ByteWriter(1024)
    while (from < rowCount && shard[order[from] as number] === current) {
      const number = entity[order[from] as number] as number
      let to = from + 1
      while (to < rowCount && entity[order[to] as number] === number && shard[order[to] as number] === current) to++
      entries.varint(number - last - 1)
      entries.varint(to - from)
      last = number
      count++
      from = to
    }
    own.varint(current)
    own.varint(count)
    own.copy(entries.bytes, 0, entries.length)
    shards++
  }
  out.varint(shards)
  out.copy(own.bytes, 0, own.length)
  return new Uint8Array(out.written())
}

/** The new entities of all blocks, put together by shard. */
function newEntities(readers: readonly BlockReader[]): BlockEntities[] {
  const byShard = new Map<number, { first: number; names: Uint8Array[] }>()
  for (const reader of readers) {
    const found: readonly BlockEntities[] = reader.guard(() => readNewEntities(reader.bytes, reader.header))
    for (const { shard, first, names } of found) {
      const own = byShard.get(shard)
      if (own === undefined) byShard.set(shard, { first, names: [...names] })
      else {
        reader.guard(() => {
          if (first !== own.first + own.names.length) throw new Damage('its entities do not follow those before')
        })
        for (const name of names) own.names.push(name)
      }
    }
  }
  return [...byShard].map(([shard, own]) => ({ shard, ...own })).sort((a, b) => a.shard - b.shard)
}

/** The content of part 2: entities by shard, ascending. */
export function writeEntities(entities: readonly BlockEntities[]): Uint8Array {
  const out = new ByteWriter(4096)
  out.varint(entities.length)
  for (const { shard, first, names } of entities) {
    out.varint(shard)
    out.varint(first)
    out.varint(names.length)
    for (const name of names) {
      out.varint(name.length)
      out.copy(name)
    }
  }
  return new Uint8Array(out.written())
}
