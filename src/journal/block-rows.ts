import type { EntityId } from '#base/ids.js'
import { RECEIPT_TYPE } from './append-frame.js'
import { BlockReplay, type ReplayRow } from './block-replay.js'
import type { EventType, Row } from './journal.js'

/** Where names come from that a block does not hold. */
export interface BlockNames {
  readonly eventTypes: readonly EventType[]
  /** The entity that blocks call by this number, or undefined when there is none. */
  entityName(shard: number, number: number): EntityId | undefined
}

/** Which rows of a block are wanted: all conditions hold. */
export interface RowFilter {
  /** First position, and the first one beyond. */
  readonly from?: number
  readonly to?: number
  readonly entity?: { readonly shard: number; readonly number: number }
  readonly shards?: ReadonlySet<number>
  /** Event name; receipts have none. */
  readonly event?: string
}

/** The rows of a block as objects: by (shard, entity, version), which is the order of position unless it is clustered. The slow way: for queries, tests and tools. Throws ERR_BLOCK_DAMAGED. */
export function rowsOf(block: Uint8Array, names: BlockNames, filter: RowFilter = {}, segment?: string): Row[] {
  const replay = new BlockReplay(block, names.eventTypes, segment)
  const rows: Row[] = []
  const { from = 0, to = Infinity, entity, event } = filter
  const wanted =
    event === undefined ? undefined : new Set(names.eventTypes.filter((type) => type.event === event).map((type) => type.number))
  let last = -1
  for (const { shard } of replay.header.shards) {
    if (shard === last || filter.shards?.has(shard) === false || (entity !== undefined && entity.shard !== shard)) continue
    last = shard
    const take = (row: ReplayRow): void => {
      if (entity !== undefined && row.entityNumber !== entity.number) return
      if (wanted?.has(row.typeNumber) === false) return
      if (row.position < from || row.position >= to) return
      rows.push(toRow(row, names))
    }
    replay.forEachRow(shard, take, entity?.number)
  }
  return rows
}

function toRow(row: ReplayRow, names: BlockNames): Row {
  const { position, version, typeNumber, at, accepted, isLate, source, correlation, causation, term, appendNumber, outcomeKind, outcome } =
    row
  const entity = names.entityName(row.shard, row.entityNumber)
  if (entity === undefined) throw new Error(`entity ${row.entityNumber} of shard ${row.shard} has no name`)
  const event = typeNumber === RECEIPT_TYPE ? undefined : names.eventTypes.find((type) => type.number === typeNumber)?.event
  const sequence = source === '' ? undefined : row.sequence
  const data = row.data()
  return {
    position,
    entity,
    version,
    event,
    typeNumber,
    at,
    accepted,
    isLate,
    source,
    sequence,
    correlation,
    causation,
    term,
    appendNumber,
    outcomeKind,
    outcome,
    data,
  }
}
