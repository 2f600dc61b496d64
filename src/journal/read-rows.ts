import { type EntityId, parseEntityId } from '#base/ids.js'
import { type RowFilter, rowRunsOf } from './block-rows.js'
import type { Journal, Row } from './journal.js'

/** Which rows `readRows` gives: all conditions hold. */
export interface RowRange {
  /** First position. */
  readonly from: number
  /** First position beyond; to the end of the log when left out. */
  readonly to?: number
  readonly entity?: EntityId
  /** Event name such as `Sampled` or `press.Sampled`, or several. Receipts have none. */
  readonly event?: string | readonly string[]
  /** Which entities, where it is not one. */
  readonly entities?: (entity: EntityId) => boolean
  readonly shards?: ReadonlySet<number>
}

/** Rows in order of position, up to the end of the log at the time of the call. Throws ERR_BLOCK_DAMAGED where a block cannot be read. */
export async function* readRows(journal: Journal, range: RowRange): AsyncGenerator<Row> {
  for await (const rows of readRowRuns(journal, range)) for (const row of rows) yield row
}

/** Rows looked at between two turns of whatever else the process does. */
const ROWS_PER_TURN = 2048

/** As readRows, some at a time, which costs much less where they are many. Never empty, and never so many that others have to wait. */
export async function* readRowRuns(journal: Journal, range: RowRange): AsyncGenerator<readonly Row[]> {
  const { entity, event, entities, shards, from } = range
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
    ...(entities === undefined ? {} : { entities }),
  }
  let looked = 0
  for await (const block of source) {
    for (const { rows, lookedCount } of rowRunsOf(block, journal, filter)) {
      if (rows.length > 0) yield rows
      looked += lookedCount
      if (looked < ROWS_PER_TURN) continue
      looked = 0
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}
