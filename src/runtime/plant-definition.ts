import { MillraceError } from '#base/errors.js'
import type { AnyEntity } from '#entity/index.js'
import type { SourceDefinition } from '#ingest/source.js'
import type { TargetDefinition } from '#targets/target.js'

/** What a plant module exports by default: its entity types, and the sources and targets that its gateway runs. */
export interface PlantDefinition {
  readonly entities: readonly AnyEntity[]
  readonly sources: readonly SourceDefinition[]
  readonly targets: readonly TargetDefinition[]
}

/** Marks the definition, so that a module that exports something else gets a clear error. */
const MARK = Symbol.for('millrace.plant')

/** Defines a plant: `export default definePlant({ entities: [Press], sources: [mqtt({ … })], targets: [mqttTarget({ … })] })`. */
export function definePlant(definition: {
  readonly entities: readonly AnyEntity[]
  readonly sources?: readonly SourceDefinition[]
  readonly targets?: readonly TargetDefinition[]
}): PlantDefinition {
  const { entities, sources = [], targets = [] } = definition
  if (!Array.isArray(entities) || entities.length === 0) {
    throw new MillraceError('ERR_PLANT_DEFINITION', {
      fact: 'a plant has no entity types',
      action: 'operator',
      next: 'give definePlant({ entities: [...] }) at least one entity type made by defineEntity',
    })
  }
  return Object.freeze({
    entities: Object.freeze([...entities]),
    sources: Object.freeze([...sources]),
    targets: Object.freeze([...targets]),
    [MARK]: true,
  })
}

export function isPlantDefinition(value: unknown): value is PlantDefinition {
  return typeof value === 'object' && value !== null && MARK in value
}
