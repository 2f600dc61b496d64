import { isMillraceError } from '#base/errors.js'
import { BLOCK_MAGIC, type BlockEntities, type BlockMark, readHeader } from '#journal/block-format.js'
import { BlockReader } from '#journal/block-reader.js'
import { Damage } from '#journal/bytes.js'
import type { EventType } from '#journal/journal.js'
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
 * Reads what is whole of a sealed file: of each block the groups in front of the first damaged one, since positions follow from group to group; where the directory of
 * blocks is damaged they are found by their magic. Its header is taken from the manifest. Throws ERR_FORMAT_NEWER.
 */
export function salvageSegment(found: Uint8Array, entry: SealedEntry, types: readonly EventType[]): Salvage {
  // As long as it was, so that of a block that was cut through the groups in front of the cut are read.
  const bytes = new Uint8Array(Math.max(found.length, entry.bytes))
  bytes.set(found)
  const file = openAnyway(bytes, entry)
  const rows = new SegmentRows(types)
  const ranks: number[] = []
  const blocks = file === undefined ? foundBlocks(bytes) : file.footer.blocks
  for (const [id, { offset, bytes: count }] of blocks.entries()) {
    const from = rows.rowCount
    addWhole(bytes.slice(offset, offset + count), entry, rows)
    const rank = file?.ranks[id] ?? 0
    for (let row = from; row < rows.rowCount; row++) ranks.push(rank + row - from)
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

function addWhole(bytes: Uint8Array, entry: SealedEntry, rows: SegmentRows): void {
  attempt(() => {
    const reader = new BlockReader(bytes, entry.segment)
    const { isClustered, basePosition, endPosition, groups } = reader.header
    if (!isClustered || basePosition < entry.firstPosition || endPosition > entry.endPosition) return
    let whole = 0
    while (whole < groups.length && isWhole(reader, whole)) whole++
    rows.add(reader, 0, whole)
  })
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
