export * from './field-schema.js'
