import { PlantHash, type PlantModel } from '#entity/index.js'
import { type Journal, readRows } from '#journal/index.js'

/** Folds the whole log from its first row and hashes what comes out: what the live states must be equal to. */
export async function replayHash(journal: Journal, plant: PlantModel): Promise<string> {
  const entities = new Map<string, { state: unknown; version: number }>()
  for await (const row of readRows(journal, { from: 0 })) {
    const model = plant.model(row.entity.slice(0, row.entity.indexOf('/')))
    if (model === undefined) continue
    let entity = entities.get(row.entity)
    if (entity === undefined) entities.set(row.entity, (entity = { state: model.initial(), version: 0 }))
    entity.version = row.version
    if (row.event !== undefined) model.apply(entity.state, model.eventNames.indexOf(row.event), row.data)
  }
  const hash = new PlantHash()
  for (const [id, { state, version }] of entities) hash.add(id, version, state)
  return hash.hex()
}
