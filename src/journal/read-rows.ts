import { type EntityId, parseEntityId } from '#base/ids.js'
import { type RowFilter, rowsOf } from './block-rows.js'
import type { Journal, Row } from './journal.js'

/** Which rows `readRows` gives: all conditions hold. */
export interface RowRange {
  /** First position. */
  readonly from: number
  /** First position beyond; to the end of the log when left out. */
  readonly to?: number
  readonly entity?: EntityId
  /** Event name. Receipts have none. */
  readonly event?: string
  readonly shards?: ReadonlySet<number>
}

/** Rows in order of position, up to the end of the log at the time of the call. Throws ERR_BLOCK_DAMAGED where a block cannot be read. */
export async function* readRows(journal: Journal, range: RowRange): AsyncGenerator<Row> {
  const { entity, event, shards, from } = range
  const to = Math.min(range.to ?? Infinity, journal.endPosition)
  if (entity !== undefined) parseEntityId(entity)
  const head = entity === undefined ? undefined : journal.head(entity)
  if (entity !== undefined && head === undefined) return
  // The rows of one entity are in order however they are clustered.
  const source = entity === undefined ? journal.orderedBlocks({ from, to }) : journal.blocks({ from, entity })
  const filter: RowFilter = {
    from,
    to,
    ...(shards === undefined ? {} : { shards }),
    ...(event === undefined ? {} : { event }),
    ...(head === undefined ? {} : { entity: head }),
  }
  for await (const block of source) {
    for (const row of rowsOf(block, journal, filter)) yield row
  }
}
