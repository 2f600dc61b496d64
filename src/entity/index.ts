// The field builders again, so that whoever defines an entity type needs this room alone.
export {
  bool,
  type DataOf,
  type DeepReadonly,
  type Fields,
  f32,
  f64,
  type InputOf,
  i32,
  i64,
  type Json,
  json,
  label,
  text,
  time,
} from '#schema/index.js'
export { answerData, takesAnswer } from './answer.js'
export { EFFECT_PREFIX } from './effect.js'
export { MESSAGES_PER_COMMAND_MAX } from './message-writer.js'
export { encodeCanonical } from './canonical.js'
export { ToldTarget, type VolatileAskTerms, type VolatileCause, VolatileMessage } from './volatile-message.js'
export { decodeCanonical } from './canonical-reader.js'
export { type Decision, type Envelope, EVENTS_PER_COMMAND_MAX } from './decider.js'
export { defineEntity, isEntity, SNAPSHOT_EVERY_DEFAULT } from './define-entity.js'
export type * from './entity.js'
export { Kin, type LifecycleData } from './kin.js'
export type * from './kin-context.js'
export { signal, type SignalFields, type SignalKind } from './signal.js'
export { checkCommands, numberCommands } from './command-numbers.js'
export { compileEntity, EntityModel, entitySchema, eventData, fold } from './entity-model.js'
export * from './outbox.js'
export * from './outcomes.js'
export { PlantModel } from './plant-model.js'
export {
  type DecodedSnapshot,
  decodeBase,
  decodeSnapshot,
  encodeSnapshot,
  hasOutbox,
  kinOfSnapshot,
  type SnapshotContent,
} from './snapshot.js'
export { entityHash, PlantHash } from './state-hash.js'
export { applyStored, type StoredEvent, StoredEvents } from './stored-events.js'
