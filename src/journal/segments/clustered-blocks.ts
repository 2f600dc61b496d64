import { BlockReader } from '#journal/block-reader.js'
import type { EventType } from '#journal/journal.js'
import { BlockEncoder } from './block-encoder.js'
import { clusteredOrder, cutBlocks, type CutLimits } from './row-order.js'
import { SegmentRows } from './segment-rows.js'

/** The blocks of a sealed segment with the rows of these, without a file around them. `blocks`: in order of position, without gaps. Throws ERR_BLOCK_DAMAGED. */
export function clusteredBlocks(blocks: readonly Uint8Array[], types: readonly EventType[], cut: CutLimits): Uint8Array[] {
  const readers = blocks.map((bytes) => new BlockReader(bytes, 'sealed'))
  const rows = new SegmentRows(types).fit(readers.reduce((sum, { header }) => sum + header.rowCount, 0))
  for (const [ordinal, reader] of readers.entries()) rows.add(reader, ordinal)
  const order = clusteredOrder(rows)
  const encoder = new BlockEncoder(rows, { isClustered: true, isPlain: false })
  return cutBlocks(rows, order, cut).map((ends) => new Uint8Array(encoder.encode(order, ends).bytes))
}
