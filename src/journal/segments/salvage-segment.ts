import { isMillraceError } from '#base/errors.js'
import { BLOCK_MAGIC, type BlockEntities, type BlockMark, readHeader } from '#journal/block-format.js'
import { BlockReader } from '#journal/block-reader.js'
import { Damage } from '#journal/bytes.js'
import type { EventType } from '#journal/journal.js'
import { lastGroups, originStarts, type OriginStarts } from './last-groups.js'
import type { SealedEntry } from './manifest.js'
import { writeSegmentHeader } from './segment-format.js'
import { type EntityRun, type SegmentFile, segmentFromBytes } from './segment-file.js'
import { SegmentRows } from './segment-rows.js'

/** What can still be read of a damaged sealed file. */
export interface Salvage {
  /** In clustered order. */
  readonly rows: SegmentRows
  /** By row of `rows` its rank among all rows that the file had, when its directory tells. */
  readonly ranks: readonly number[] | undefined
  /** Which entities had how many rows, when its index tells. */
  readonly runs: readonly EntityRun[] | undefined
  readonly names: readonly BlockEntities[] | undefined
  readonly marks: readonly BlockMark[] | undefined
}

/**
 * Reads what is whole of a sealed file. Where the directory of blocks is damaged they are found by their magic, and of each only the groups in front of the first damaged one are read, since
 * positions follow from group to group. Its header is taken from the manifest. Throws ERR_FORMAT_NEWER.
 */
export function salvageSegment(found: Uint8Array, entry: SealedEntry, types: readonly EventType[]): Salvage {
  // As long as it was, so that of a block that was cut through the groups in front of the cut are read.
  const bytes = new Uint8Array(Math.max(found.length, entry.bytes))
  bytes.set(found)
  const file = openAnyway(bytes, entry)
  const rows = new SegmentRows(types)
  const ranks: number[] = []
  const blocks = file === undefined ? foundBlocks(bytes) : file.footer.blocks
  const pieces = blocks.map(({ offset, bytes: count }) => bytes.slice(offset, offset + count))
  const starts: OriginStarts = file === undefined ? [] : pieces.map((piece) => attempt(() => originStarts(piece)))
  const ends = file && originEnds(file)
  for (const [id, piece] of pieces.entries()) {
    const rank = file?.ranks[id] ?? 0
    for (const { block, groupCount, rankIn } of wholeParts(piece, entry, (ordinal) => ends && endIn(ends, starts, id, ordinal))) {
      const from = rows.rowCount
      attempt(() => rows.add(new BlockReader(block, entry.segment), 0, groupCount))
      for (let row = from; row < rows.rowCount; row++) ranks.push(rank + rankIn + row - from)
    }
  }
  return {
    rows,
    ranks: file === undefined ? undefined : ranks,
    runs: attempt(() => file && [...file.entities()]),
    names: attempt(() => file?.newEntities()),
    marks: file?.footer.marks,
  }
}

/** The file under a header that is right. Undefined when its footer is not. */
function openAnyway(bytes: Uint8Array, entry: SealedEntry): SegmentFile | undefined {
  const copy = Uint8Array.from(bytes)
  copy.set(headerOf(entry))
  return attempt(() => segmentFromBytes(copy, entry.segment))
}

/** The header of the file that a manifest entry names. */
export function headerOf({ firstPosition, endPosition, previousHash, lastHash }: SealedEntry): Uint8Array {
  const hash = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
  return writeSegmentHeader({ firstPosition, endPosition, previousHash: hash(previousHash), lastHash: hash(lastHash) })
}

function* foundAt(bytes: Uint8Array): Generator<{ offset: number; bytes: number }> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = all.indexOf(BLOCK_MAGIC); at >= 0; ) {
    const count = lengthAt(bytes, at)
    if (count !== undefined) yield { offset: at, bytes: count }
    at = all.indexOf(BLOCK_MAGIC, at + (count ?? BLOCK_MAGIC.length))
  }
}

function foundBlocks(bytes: Uint8Array): { offset: number; bytes: number }[] {
  return [...foundAt(bytes)]
}

function lengthAt(bytes: Uint8Array, offset: number): number | undefined {
  return attempt(() => readHeader(bytes.subarray(offset), false).totalBytes)
}

interface WholePart {
  readonly block: Uint8Array
  /** From its first group on. */
  readonly groupCount: number
  /** Of its first row in the block as it was. */
  readonly rankIn: number
}

/** The groups in front of the first damaged one, and those behind the last where the positions of their rows show from the other end. */
function wholeParts(bytes: Uint8Array, entry: SealedEntry, endOf: (ordinal: number) => number | undefined): WholePart[] {
  const reader = attempt(() => new BlockReader(bytes, entry.segment))
  if (reader === undefined) return []
  const { header } = reader
  const { isClustered, basePosition, endPosition, groups } = header
  if (!isClustered || basePosition < entry.firstPosition || endPosition > entry.endPosition) return []
  const isGood = groups.map((_, index) => isWhole(reader, index))
  const first = isGood.indexOf(false)
  if (first < 0) return [{ block: bytes, groupCount: groups.length, rankIn: 0 }]
  const behind = isGood.lastIndexOf(false) + 1
  const last = behind < groups.length ? attempt(() => lastGroups(bytes, header, behind, endOf)) : undefined
  const parts: WholePart[] = [{ block: bytes, groupCount: first, rankIn: 0 }]
  if (last !== undefined) parts.push({ block: last, groupCount: groups.length - behind, rankIn: groups[behind]?.rank ?? 0 })
  return parts
}

/** Where the rows of an original block that stand in a block end: where they go on in a later one, or where the original block ends. */
function endIn(ends: Float64Array, starts: OriginStarts, id: number, ordinal: number): number | undefined {
  for (const later of starts.slice(id + 1)) {
    if (later === undefined) return undefined
    const start = later.get(ordinal)
    if (start !== undefined) return start
  }
  return ends[ordinal]
}

/** Where each original block ends. */
function originEnds({ header, footer }: SegmentFile): Float64Array {
  let end = header.firstPosition
  return Float64Array.from(footer.origins, (count) => (end += count))
}

function isWhole(reader: BlockReader, group: number): boolean {
  return attempt(() => reader.check(group)) !== undefined
}

/** Undefined where bytes are damaged. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    const isDamage = isMillraceError(error, 'ERR_BLOCK_DAMAGED') || isMillraceError(error, 'ERR_SEGMENT_DAMAGED')
    if (isDamage || error instanceof Damage || error instanceof RangeError) return undefined
    throw error
  }
}
