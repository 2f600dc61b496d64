import { MillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import { isoMicros } from '#base/micros.js'
import { decodeBase, decodeSnapshot, type EntityModel, isFresh, StoredEvents } from '#entity/index.js'
import { type EventType, FENCED_EVENT, type Journal, type Row, rowsFenced, type Snapshot } from '#journal/index.js'
import { isBuiltIn } from '#schema/index.js'
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

/**
 * The state at a version (default: the newest), or undefined when the entity had no row then. Throws ERR_ROWS_DROPPED when retention dropped what the state comes from, ERR_ROWS_FENCED
 * where repair gave rows up, ERR_STATE_CHANGED, and ERR_SCHEMA_CHANGED for events that the model cannot read.
 */
export async function readEntityState(
  rows: EntityRows,
  model: EntityModel,
  entity: EntityId,
  versionMax = Number.MAX_SAFE_INTEGER,
): Promise<EntityState | undefined> {
  const [start, types] = await Promise.all([startOf(rows, model, entity, versionMax), rows.eventTypes()])
  const events = new StoredEvents([model], types)
  let state: unknown = start === undefined ? model.initial() : start.state
  let version = start?.version ?? 0
  let at = 0
  for await (const row of rows.rows(entity, start?.position ?? 0)) {
    if (row.version <= version) continue
    if (row.version > versionMax) break
    if (row.event === FENCED_EVENT) throw rowsFenced(entity, row.version)
    // Rows may begin before a base that is the first thing to fold upon.
    if (row.version !== version + 1) throw await rowsDropped(rows, entity, { version: versionMax })
    if (isFresh(row.event, row.data)) state = model.initial()
    else if (row.event !== undefined && !isBuiltIn(row.event)) events.apply(row.typeNumber, state, row.data)
    version = row.version
    at = row.at
  }
  if (version > 0) return { entity, version, at, state }
  if (await isBeginningGone(rows, entity)) throw await rowsDropped(rows, entity, { version: versionMax })
  return undefined
}

/** As `readEntityState`, of what the plant had accepted by a time, microseconds since 1970. */
export async function readEntityStateAt(
  rows: EntityRows & { query(query: RowQuery): AsyncIterable<Row> },
  model: EntityModel,
  entity: EntityId,
  acceptedMax: number,
): Promise<EntityState | undefined> {
  const version = await versionAt(rows, entity, acceptedMax)
  if (version !== undefined) return readEntityState(rows, model, entity, version)
  if (await isBeginningGone(rows, entity)) throw await rowsDropped(rows, entity, { asOf: isoMicros(acceptedMax) })
  return undefined
}

/** A base may be there before the rows that it stands for go. */
async function isBeginningGone(rows: EntityRows, entity: EntityId): Promise<boolean> {
  if ((await rows.base(entity)) === undefined) return false
  for await (const row of rows.rows(entity, 0)) return row.version > 1
  return true
}

async function rowsDropped(rows: EntityRows, entity: EntityId, asked: Readonly<Record<string, unknown>>): Promise<MillraceError> {
  const base = await rows.base(entity)
  return new MillraceError('ERR_ROWS_DROPPED', {
    fact: 'rows that this state comes from were dropped by retention',
    action: 'operator',
    values: { entity, ...asked, baseVersion: base?.version },
    next: 'ask for the version of the base or a later one, or ask a backup of that time',
  })
}

interface Start {
  readonly state: unknown
  readonly version: number
  readonly position: number
}

/** What to fold upon: the newest snapshot that fits, else the base where that is not too new, else nothing. */
async function startOf(rows: EntityRows, model: EntityModel, entity: EntityId, versionMax: number): Promise<Start | undefined> {
  const snapshot = await rows.snapshot(entity, versionMax)
  if (snapshot === undefined) return undefined
  const decoded = decodeSnapshot(model, snapshot.bytes)
  if (decoded.kind === 'ok') return { state: decoded.state, version: snapshot.version, position: snapshot.position }
  const base = await rows.base(entity)
  if (base === undefined || base.version > versionMax) return undefined
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
async function versionAt(
  rows: { query(query: RowQuery): AsyncIterable<Row> },
  entity: EntityId,
  acceptedMax: number,
): Promise<number | undefined> {
  for await (const row of rows.query({ entity, acceptedUntil: acceptedMax, newest: 1, receipts: true })) return row.version
  return undefined
}
