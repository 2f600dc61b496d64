import { MillraceError } from '#base/errors.js'
import { isVersion } from '#base/version.js'
import type { AnyEntity } from '#entity/index.js'
import type { SourceDefinition } from '#ingest/source.js'
import type { TargetDefinition } from '#targets/target.js'

/** What a plant module exports by default: its entity types, and the sources and targets that its gateway runs. */
export interface PlantDefinition {
  /** A semantic version, of the code and all that it imports. */
  readonly version: string
  readonly entities: readonly AnyEntity[]
  readonly sources: readonly SourceDefinition[]
  readonly targets: readonly TargetDefinition[]
}

/** Marks the definition, so that a module that exports something else gets a clear error. */
const MARK = Symbol.for('millrace.plant')

/** Of plants that do not say theirs. */
const FIRST_VERSION = '0.0.0'

/**
 * Defines a plant: `export default definePlant({ version: '1.2.0', entities: [Press], sources: [mqtt({ … })], targets: [mqttTarget({ … })] })`. `version` is what
 * `millrace code upgrade` goes by: a semantic version, raised with each change of the code.
 */
export function definePlant(definition: {
  readonly version?: string
  readonly entities: readonly AnyEntity[]
  readonly sources?: readonly SourceDefinition[]
  readonly targets?: readonly TargetDefinition[]
}): PlantDefinition {
  const { version = FIRST_VERSION, entities, sources = [], targets = [] } = definition
  if (!Array.isArray(entities) || entities.length === 0) {
    throw new MillraceError('ERR_PLANT_DEFINITION', {
      fact: 'a plant has no entity types',
      action: 'operator',
      next: 'give definePlant({ entities: [...] }) at least one entity type made by defineEntity',
    })
  }
  if (typeof version !== 'string' || !isVersion(version)) {
    throw new MillraceError('ERR_PLANT_DEFINITION', {
      fact: 'the version of a plant is not a semantic one',
      action: 'operator',
      values: { version },
      next: "give three numbers, as in version: '1.2.0'",
    })
  }
  return Object.freeze({
    version,
    entities: Object.freeze([...entities]),
    sources: Object.freeze([...sources]),
    targets: Object.freeze([...targets]),
    [MARK]: true,
  })
}

export function isPlantDefinition(value: unknown): value is PlantDefinition {
  return typeof value === 'object' && value !== null && MARK in value
}
