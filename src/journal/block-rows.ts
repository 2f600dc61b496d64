import type { EntityId } from '#base/ids.js'
import { RECEIPT_TYPE } from './append-frame.js'
import { BlockReplay, type GroupFilter, type ReplayRow } from './block-replay.js'
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
  readonly versionMin?: number
  /** Ranks within the block: only groups that have some are decoded. */
  readonly rankMin?: number
  readonly rankMax?: number
  readonly shards?: ReadonlySet<number>
  /** Event name, or several; receipts have none. */
  readonly event?: string | readonly string[]
  /** Which entities, asked once for each run of rows of one. */
  readonly entities?: (entity: EntityId) => boolean
}

/** The rows of a block as objects: by (shard, entity, version), which is the order of position unless it is clustered. The slow way: for queries, tests and tools. Throws ERR_BLOCK_DAMAGED. */
export function rowsOf(block: Uint8Array, names: BlockNames, filter: RowFilter = {}, segment?: string): Row[] {
  return [...rowRunsOf(block, names, filter, segment)].flatMap(({ rows }) => rows)
}

/** Rows of one shard, and how many were looked at for them. */
export interface RowRun {
  readonly rows: readonly Row[]
  readonly lookedCount: number
}

/** As rowsOf, shard by shard, so that others get a turn while a large block is decoded. Each is decoded when it is asked for. */
export function* rowRunsOf(block: Uint8Array, names: BlockNames, filter: RowFilter = {}, segment?: string): Generator<RowRun> {
  const replay = new BlockReplay(block, names.eventTypes, segment)
  const { from = 0, to = Infinity, entity, entities, versionMin = 0, rankMin = 0, rankMax = Infinity } = filter
  const groups: GroupFilter = { rankMin, rankMax, ...(entity === undefined ? {} : { entity: entity.number }) }
  const eventNames = typeof filter.event === 'string' ? [filter.event] : filter.event
  const wanted =
    eventNames === undefined ? undefined : new Set(names.eventTypes.filter((type) => isAmong(eventNames, type)).map((type) => type.number))
  const eventOf = new Map(names.eventTypes.map((type) => [type.number, type.event]))
  let last = -1
  for (const { shard } of replay.header.shards) {
    if (shard === last || filter.shards?.has(shard) === false || (entity !== undefined && entity.shard !== shard)) continue
    last = shard
    const rows: Row[] = []
    let lookedCount = 0
    // Rows of an entity stand together.
    let number = -1
    let name: EntityId | undefined
    let isWanted = false
    const take = (row: ReplayRow): void => {
      lookedCount++
      if (entity !== undefined && row.entityNumber !== entity.number) return
      if (row.version < versionMin || wanted?.has(row.typeNumber) === false) return
      if (row.position < from || row.position >= to) return
      if (row.entityNumber !== number) {
        number = row.entityNumber
        name = names.entityName(shard, number)
        if (name === undefined) throw new Error(`entity ${number} of shard ${shard} has no name`)
        isWanted = entities === undefined || entities(name)
      }
      if (isWanted) rows.push(toRow(row, name as EntityId, row.typeNumber === RECEIPT_TYPE ? undefined : eventOf.get(row.typeNumber)))
    }
    replay.forEachRow(shard, take, groups)
    yield { rows, lookedCount }
  }
}

/** By the event's name alone, or as `press.Sampled`. */
function isAmong(eventNames: readonly string[], { entity, event }: EventType): boolean {
  return eventNames.includes(event) || eventNames.includes(`${entity}.${event}`)
}

function toRow(row: ReplayRow, entity: EntityId, event: string | undefined): Row {
  const { position, version, typeNumber, at, accepted, isLate, source, correlation, causation, term, appendNumber, outcomeKind, outcome } =
    row
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
