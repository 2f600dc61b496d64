import { Damage } from '#journal/bytes.js'
import type { EventType } from '#journal/journal.js'
import { BlockEncoder } from './block-encoder.js'
import { positionOrder } from './row-order.js'
import { type SegmentFile, segmentDamaged } from './segment-file.js'
import { SegmentRows } from './segment-rows.js'

/** Rows held at once. Every window costs one walk over the blocks of the segment that have rows in it. */
const WINDOW_ROWS = 262_144
/** A group of a block that was put together again has about so many rows. */
const GROUP_ROWS = 4096

/**
 * The original blocks of a sealed segment put together again, from the one with the row at `from` on, up to the one before `to`: same rows, same order, same
 * positions, other bytes, and without chain, marks and new entities. Holds the rows of a window of them at a time. Throws ERR_BLOCK_DAMAGED or
 * ERR_SEGMENT_DAMAGED. Gives way to other work between the blocks that it reads.
 */
export async function* orderedBlocks(
  file: SegmentFile,
  types: readonly EventType[],
  range: { readonly from: number; readonly to: number },
): AsyncGenerator<Uint8Array> {
  const { origins } = file.footer
  let start = file.header.firstPosition
  let ordinal = 0
  while (ordinal < origins.length && start + (origins[ordinal] as number) <= range.from) start += origins[ordinal++] as number
  while (ordinal < origins.length && start < range.to) {
    const first = start
    const counts: number[] = []
    while (
      ordinal < origins.length &&
      start < range.to &&
      (counts.length === 0 || start + (origins[ordinal] as number) - first <= WINDOW_ROWS)
    ) {
      counts.push(origins[ordinal] as number)
      start += origins[ordinal++] as number
    }
    // Encoded all at once, so that a reader that stands still holds a fraction of what the rows take apart.
    yield* await windowBlocks(file, types, first, counts)
  }
}

async function windowBlocks(
  file: SegmentFile,
  types: readonly EventType[],
  first: number,
  counts: readonly number[],
): Promise<Uint8Array[]> {
  const to = first + counts.reduce((sum, count) => sum + count, 0)
  const rows = new SegmentRows(types, { from: first, to }).fit(to - first)
  for (let id = 0; id < file.footer.blocks.length; id++) {
    const block = file.footer.blocks[id]
    if (block === undefined || block.firstPosition >= to || block.endPosition <= first) continue
    rows.add(file.block(id))
    await turn()
  }
  const order = rows.rowCount === to - first ? positionOrder(rows, first) : undefined
  if (order === undefined)
    throw segmentDamaged(new Damage(`its blocks do not have the rows at positions ${first} to ${to - 1}, each once`), file.name)
  const encoder = new BlockEncoder(rows, { isClustered: false, isPlain: true })
  const blocks: Uint8Array[] = []
  let start = 0
  let encoded = 0
  for (const count of counts) {
    const ends = [start]
    while (start + count > (ends.at(-1) as number)) ends.push(Math.min(start + count, (ends.at(-1) as number) + GROUP_ROWS))
    blocks.push(new Uint8Array(encoder.encode(order, ends).bytes))
    start += count
    encoded += count
    if (encoded < TURN_ROWS) continue
    encoded = 0
    await turn()
  }
  return blocks
}

/** Rows encoded before other work gets its turn. */
const TURN_ROWS = 4096

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
