import { exactJson } from '#base/exact-json.js'
import { MillraceError } from '#base/errors.js'
import { type EntityId, parseEntityId } from '#base/ids.js'
import { JournalAccess } from '#runtime/journal-access.js'
import type { PlantPlace } from '#runtime/plant-session.js'
import type { Run } from './command.js'
import { numberOption } from './number-option.js'
import { placeOf } from './place.js'

/** Prints an entity's state, folded from the log with the plant's own code, now or as of a version. */
export const runGet: Run = async ([id = ''], options, output) => {
  const place = placeOf(options)
  const version = numberOption(options, 'version', 1)
  const { type } = parseEntityId(id)
  // The log's reader is a process of its own and starts while the plant's code is loaded here.
  const opening = JournalAccess.open(place.dataDirectory)
  try {
    const [access, { definition, PlantModel, readEntityState }] = await Promise.all([opening, loadPlant(place)])
    const model = new PlantModel(definition.entities).model(type)
    if (model === undefined) {
      const known = definition.entities.map(({ name }) => name).join(', ')
      throw notFound('the plant has no such entity type', { type }, `it has ${known}`)
    }
    const found = await readEntityState(access, model, id as EntityId, version)
    if (found === undefined) {
      const some = await access.entities(`${type}/`, 3)
      throw notFound(
        'there is no such entity in the log',
        { entity: id },
        some.length === 0 ? `there is no ${type} at all` : `there is ${some.join(', ')} …`,
      )
    }
    if (output.isJson) output.line(exactJson({ entity: found.entity, version: found.version, state: found.state }))
    else {
      output.line(`${output.tone('bold', found.entity)}  version ${found.version}`)
      for (const [name, value] of Object.entries(found.state as object)) output.line(`  ${name}: ${exactJson(value)}`)
    }
    return 0
  } finally {
    const access = await opening.catch(() => undefined)
    access?.leave()
  }
}

async function loadPlant(place: PlantPlace) {
  const [{ PlantModel }, { readEntityState }, { importPlant }, { plantFileOf }] = await Promise.all([
    import('#entity/index.js'),
    import('#reading/entity-state.js'),
    import('#runtime/plant-module.js'),
    import('#runtime/plant-session.js'),
  ])
  return { definition: await importPlant(plantFileOf(place)), PlantModel, readEntityState }
}

function notFound(fact: string, values: Readonly<Record<string, unknown>>, next: string): MillraceError {
  return new MillraceError('ERR_NOT_FOUND', { fact, action: 'operator', values, next })
}
