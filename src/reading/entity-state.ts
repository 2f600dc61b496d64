import { MillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import { decodeBase, decodeSnapshot, type EntityModel, StoredEvents } from '#entity/index.js'
import { type EventType, FENCED_EVENT, type Journal, type Row, rowsFenced, type Snapshot } from '#journal/index.js'
import { type RowQuery, rowOf, wholeRows } from './row-query.js'

/** What an entity was: folded from the newest snapshot that fits and the rows above it. */
export interface EntityState {
  readonly entity: EntityId
  readonly version: number
  /** `at` of the newest row that was folded, microseconds since 1970; 0 when a snapshot alone was enough. */
  readonly at: number
  readonly state: unknown
}

/** Where rows and snapshots come from: a journal, here or behind a socket. */
export interface EntityRows {
  snapshot(entity: EntityId, versionMax: number): Promise<Snapshot | undefined>
  /** The base snapshot of the entity, when the rows before it are gone. */
  base(entity: EntityId): Promise<Snapshot | undefined>
  /** The event types of the log. */
  eventTypes(): Promise<readonly EventType[]>
  rows(entity: EntityId, from: number): AsyncIterable<Row>
}

/** The state at a version (default: the newest), or undefined when the entity had no row then. Throws ERR_ROWS_FENCED where repair gave rows up, ERR_STATE_CHANGED, and ERR_SCHEMA_CHANGED for events that the model cannot read. */
export async function readEntityState(
  rows: EntityRows,
  model: EntityModel,
  entity: EntityId,
  versionMax = Number.MAX_SAFE_INTEGER,
): Promise<EntityState | undefined> {
  const [start, types] = await Promise.all([startOf(rows, model, entity, versionMax), rows.eventTypes()])
  const events = new StoredEvents([model], types)
  const state: unknown = start === undefined ? model.initial() : start.state
  let version = start?.version ?? 0
  let at = 0
  for await (const row of rows.rows(entity, start?.position ?? 0)) {
    if (row.version <= version) continue
    if (row.version > versionMax) break
    if (row.event === FENCED_EVENT) throw rowsFenced(entity, row.version)
    if (row.event !== undefined) events.apply(row.typeNumber, state, row.data)
    version = row.version
    at = row.at
  }
  return version === 0 ? undefined : { entity, version, at, state }
}

interface Start {
  readonly state: unknown
  readonly version: number
  readonly position: number
}

/** What to fold upon: the newest snapshot that fits, else the base, else nothing. */
async function startOf(rows: EntityRows, model: EntityModel, entity: EntityId, versionMax: number): Promise<Start | undefined> {
  const snapshot = await rows.snapshot(entity, versionMax)
  if (snapshot === undefined) return undefined
  const decoded = decodeSnapshot(model, snapshot.bytes)
  if (decoded.kind === 'ok') return { state: decoded.state, version: snapshot.version, position: snapshot.position }
  const base = await rows.base(entity)
  if (base === undefined) return undefined
  const standsFor = decodeBase(model, base.bytes)
  if (standsFor.kind === 'ok') return { state: standsFor.state, version: base.version, position: base.position }
  throw new MillraceError('ERR_STATE_CHANGED', {
    fact: `the rows of an entity up to its base snapshot are gone, and the snapshot does not fit, ${standsFor.reason}`,
    action: 'operator',
    values: { type: model.name, entity, version: base.version },
    next: 'declare upcastState on the entity type, which makes the new state of the old one',
  })
}

/** The rows of a journal that is open in this process. */
export function entityRowsOf(journal: Journal): EntityRows & { query(query: RowQuery): AsyncIterable<Row> } {
  const query = async function* (asked: RowQuery): AsyncGenerator<Row> {
    for await (const batch of journal.query(wholeRows(asked)).batches()) yield* batch.map(rowOf)
  }
  return {
    query,
    snapshot: async (entity, versionMax) => journal.snapshot(entity, versionMax),
    base: async (entity) => journal.base(entity),
    eventTypes: async () => journal.eventTypes,
    rows: (entity, from) => query({ entity, from, receipts: true }),
  }
}

/**
 * The version that the entity had at a time: that of its newest row that was accepted by then, undefined when there was none. By `accepted` and not `at`: late
 * rows come after rows that happened after them, so only what the plant had taken by then is a state that the entity ever was in, and it stays
 * the answer whatever comes in late.
 */
export async function versionAt(
  rows: { query(query: RowQuery): AsyncIterable<Row> },
  entity: EntityId,
  acceptedMax: number,
): Promise<number | undefined> {
  for await (const row of rows.query({ entity, acceptedUntil: acceptedMax, newest: 1, receipts: true })) return row.version
  return undefined
}
