import type { EntityId } from '#base/ids.js'
import { decodeSnapshot, type EntityModel } from '#entity/index.js'
import type { Row, Snapshot } from '#journal/index.js'

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
  rows(entity: EntityId, from: number): AsyncIterable<Row>
}

/** The state at a version (default: the newest), or undefined when the entity had no row then. */
export async function readEntityState(
  rows: EntityRows,
  model: EntityModel,
  entity: EntityId,
  versionMax = Number.MAX_SAFE_INTEGER,
): Promise<EntityState | undefined> {
  const snapshot = await rows.snapshot(entity, versionMax)
  const decoded = snapshot === undefined ? undefined : decodeSnapshot(model, snapshot.bytes)
  const isUsable = snapshot !== undefined && decoded?.kind === 'ok'
  const state: unknown = isUsable ? decoded.state : model.initial()
  let version = isUsable ? snapshot.version : 0
  let at = 0
  for await (const row of rows.rows(entity, isUsable ? snapshot.position : 0)) {
    if (row.version <= version) continue
    if (row.version > versionMax) break
    if (row.event !== undefined) model.apply(state, model.eventNames.indexOf(row.event), row.data)
    version = row.version
    at = row.at
  }
  return version === 0 ? undefined : { entity, version, at, state }
}
