import type { EntityId } from '#base/ids.js'
import { decodeBase, type EntityModel, isFresh, Outbox, outboxRowOf, PlantHash, type PlantModel, StoredEvents } from '#entity/index.js'
import { type EventType, type Journal, readRows, type Row, type Snapshot } from '#journal/index.js'
import type { RowQuery } from '#reading/row-query.js'

/** Folds rows of the whole log, from the first on, into the states of all entities. */
export class StateFold {
  readonly #plant: PlantModel
  readonly #events: StoredEvents
  readonly #entities = new Map<string, { state: unknown; version: number; outbox: Outbox | undefined }>()

  /** With the event types of the log. */
  constructor(plant: PlantModel, types: readonly EventType[]) {
    this.#plant = plant
    this.#events = new StoredEvents(plant.models, types)
  }

  /** Begins with a base snapshot, which takes the place of rows that the log no longer has. Not for an entity of which rows were taken. */
  begin(base: Snapshot): void {
    const model = this.#model(base.entity)
    const decoded = model === undefined ? undefined : decodeBase(model, base.bytes)
    if (decoded?.kind === 'ok') this.#entities.set(base.entity, { state: decoded.state, version: base.version, outbox: decoded.outbox })
  }

  has(entity: EntityId): boolean {
    return this.#entities.has(entity)
  }

  /** Rows of types that the plant does not have are passed over. */
  take(row: Row): void {
    const model = this.#model(row.entity)
    if (model === undefined) return
    let entity = this.#entities.get(row.entity)
    if (entity === undefined) this.#entities.set(row.entity, (entity = { state: model.initial(), version: 0, outbox: undefined }))
    if (row.version <= entity.version) return
    entity.version = row.version
    const told = outboxRowOf(row)
    if (isFresh(row.event, row.data)) entity.state = model.initial()
    if (told !== undefined) (entity.outbox ??= new Outbox()).take(told, row.at, row.correlation)
    else if (row.event !== undefined) this.#events.apply(row.typeNumber, entity.state, row.data)
  }

  #model(id: EntityId): EntityModel | undefined {
    return this.#plant.model(id.slice(0, id.indexOf('/')))
  }

  /** Over all states: what the live ones must be equal to. */
  hash(): string {
    const hash = new PlantHash()
    for (const [id, { state, version, outbox }] of this.#entities) hash.add(id, version, state, outbox)
    return hash.hex()
  }
}

/** A log behind a socket, as JournalAccess reads it. */
export interface ReplayableLog {
  eventTypes(): Promise<readonly EventType[]>
  firstPosition(): Promise<number>
  query(query: RowQuery): AsyncIterable<Row>
  base(entity: EntityId): Promise<Snapshot | undefined>
  entities(prefix: string, limit: number): Promise<readonly string[]>
}

/** As `replayHash`, of a log in another process. */
export async function replayHashOf(log: ReplayableLog, plant: PlantModel): Promise<string> {
  const fold = new StateFold(plant, await log.eventTypes())
  const beginAt = async (entity: EntityId) => {
    const base = fold.has(entity) ? undefined : await log.base(entity)
    if (base !== undefined) fold.begin(base)
  }
  for await (const row of log.query({ receipts: true })) {
    if (row.version > 1) await beginAt(row.entity)
    fold.take(row)
  }
  // Of some entities nothing but the base may be left.
  if ((await log.firstPosition()) > 0)
    for (const entity of await log.entities('', Number.MAX_SAFE_INTEGER)) await beginAt(entity as EntityId)
  return fold.hash()
}

/** The hash of what the whole log folds into, from base snapshots on where its beginning was dropped. */
export async function replayHash(journal: Journal, plant: PlantModel): Promise<string> {
  const fold = new StateFold(plant, journal.eventTypes)
  for await (const row of readRows(journal, { from: 0 })) {
    const base = row.version > 1 && !fold.has(row.entity) ? journal.base(row.entity) : undefined
    if (base !== undefined) fold.begin(base)
    fold.take(row)
  }
  for (let shard = 0; shard < journal.shardCount; shard++) {
    for (const { entity } of journal.heads(shard)) {
      const base = fold.has(entity) ? undefined : journal.base(entity)
      if (base !== undefined) fold.begin(base)
    }
  }
  return fold.hash()
}
