import { PlantHash, type PlantModel } from '#entity/index.js'
import { type Journal, readRows, type Row } from '#journal/index.js'

/** Folds rows of the whole log, from the first on, into the states of all entities. */
export class StateFold {
  readonly #plant: PlantModel
  readonly #entities = new Map<string, { state: unknown; version: number }>()

  constructor(plant: PlantModel) {
    this.#plant = plant
  }

  /** Rows of types that the plant does not have are passed over. */
  take(row: Row): void {
    const model = this.#plant.model(row.entity.slice(0, row.entity.indexOf('/')))
    if (model === undefined) return
    let entity = this.#entities.get(row.entity)
    if (entity === undefined) this.#entities.set(row.entity, (entity = { state: model.initial(), version: 0 }))
    entity.version = row.version
    if (row.event !== undefined) model.apply(entity.state, model.eventNames.indexOf(row.event), row.data)
  }

  /** Over all states: what the live ones must be equal to. */
  hash(): string {
    const hash = new PlantHash()
    for (const [id, { state, version }] of this.#entities) hash.add(id, version, state)
    return hash.hex()
  }
}

/** The hash of what the whole log folds into. */
export async function replayHash(journal: Journal, plant: PlantModel): Promise<string> {
  const fold = new StateFold(plant)
  for await (const row of readRows(journal, { from: 0 })) fold.take(row)
  return fold.hash()
}
