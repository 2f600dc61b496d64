import { exactJson } from '#base/exact-json.js'
import { MillraceError } from '#base/errors.js'
import { type EntityId, parseEntityId } from '#base/ids.js'
import { isoMicros, parseMicros } from '#base/micros.js'
import { JournalAccess } from '#runtime/journal-access.js'
import type { PlantPlace } from '#runtime/plant-session.js'
import type { Options, Run } from './command.js'
import { numberOption, usageError } from './number-option.js'
import { placeOf, textOption } from './place.js'

/** Versions are 32 bits; a whole number beyond is a time in microseconds. */
const VERSION_MAX = 2 ** 32 - 1

/** Prints an entity's state, folded from the log with the plant's own code, now or as of a version or a time. */
export const runGet: Run = async ([id = ''], options, output) => {
  const place = placeOf(options)
  const asOf = asOfOption(options)
  const { type } = parseEntityId(id)
  // The log's reader is a process of its own and starts while the plant's code is loaded here.
  const opening = JournalAccess.open(place.dataDirectory)
  try {
    const [access, { definition, PlantModel, readEntityState, readEntityStateAt }] = await Promise.all([opening, loadPlant(place)])
    const model = new PlantModel(definition.entities).model(type)
    if (model === undefined) {
      const known = definition.entities.map(({ name }) => name).join(', ')
      throw notFound('the plant has no such entity type', { type }, `it has ${known}`)
    }
    const entity = id as EntityId
    const found = await (asOf?.kind === 'time'
      ? readEntityStateAt(access, model, entity, asOf.micros)
      : readEntityState(access, model, entity, asOf?.version))
    if (found === undefined) {
      if (asOf?.kind === 'time') await throwTooEarly(access, entity, asOf.micros)
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

/** `--version n`, or `--as-of` a version or a time. Throws ERR_USAGE. */
function asOfOption(options: Options): { kind: 'version'; version: number } | { kind: 'time'; micros: number } | undefined {
  const version = numberOption(options, 'version', 1)
  const text = textOption(options, 'asOf')
  if (text === undefined) return version === undefined ? undefined : { kind: 'version', version }
  if (version !== undefined) throw usageError('--version and --as-of are two answers', { '--as-of': text }, 'leave out one')
  if (/^\d+$/.test(text) && Number(text) <= VERSION_MAX) return { kind: 'version', version: numberOption(options, 'asOf', 1) as number }
  const micros = parseMicros(text)
  if (micros === undefined)
    throw usageError('neither a version nor a time', { '--as-of': text }, 'write 17, 2026-01-31T12:00:00Z or microseconds since 1970')
  return { kind: 'time', micros }
}

/** Throws ERR_NOT_FOUND when the entity has rows, all of them later. */
async function throwTooEarly(access: JournalAccess, entity: EntityId, micros: number): Promise<void> {
  for await (const { accepted } of access.query({ entity, receipts: true, limit: 1 })) {
    throw notFound(
      'the entity had no row then',
      { entity, asOf: isoMicros(micros) },
      `its first row was accepted at ${isoMicros(accepted)}`,
    )
  }
}

async function loadPlant(place: PlantPlace) {
  const [{ PlantModel }, { readEntityState, readEntityStateAt }, { importPlant }, { plantFileOf }] = await Promise.all([
    import('#entity/index.js'),
    import('#reading/entity-state.js'),
    import('#runtime/plant-module.js'),
    import('#runtime/plant-session.js'),
  ])
  return { definition: await importPlant(plantFileOf(place)), PlantModel, readEntityState, readEntityStateAt }
}

function notFound(fact: string, values: Readonly<Record<string, unknown>>, next: string): MillraceError {
  return new MillraceError('ERR_NOT_FOUND', { fact, action: 'operator', values, next })
}
