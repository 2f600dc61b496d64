// The public API of millrace. Further entries: millrace/bus, millrace/journal, millrace/testing.
export { type ErrorAction, type ErrorCode, isMillraceError, MillraceError } from '#base/errors.js'
export { type EntityId, entityId } from '#base/ids.js'
export type * from '#entity/entity.js'
export { defineEntity } from '#entity/index.js'
export {
  type AnswerWanted,
  type CsvOptions,
  csv,
  type Door,
  type IngestCommand,
  mqtt,
  type MqttOptions,
  type Offered,
  type RunningSource,
  type Settlement,
  type SourceContext,
  type SourceDefinition,
  type SourceStats,
} from '#ingest/index.js'
export { type EntityHandle, type InlinePlant, type OpenPlantOptions, openPlant, type SendOptions } from '#runtime/inline-plant.js'
export { definePlant, type PlantDefinition } from '#runtime/plant-definition.js'
export * from '#schema/fields.js'
