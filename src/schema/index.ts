export * from './built-in-events.js'
export {
  type Codec,
  createCodec,
  type Data,
  decodePayload,
  encodePayload,
} from './codec.js'
export * from './entity-schema.js'
export { JSON_BYTES_MAX, LABEL_BYTES_MAX, TEXT_BYTES_MAX } from './field-check.js'
export * from './field-schema.js'
export * from './fields.js'
export { isPlainObject, whyNotJson } from './json-value.js'
export { laterShapes, readAs, readingOf, type StoredShape, whyNotReadable } from './schema-change.js'
export { checkFields, wrongName } from './schema-check.js'
