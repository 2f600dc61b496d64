import type { EventType } from '#journal/journal.js'
import { type FieldSchema, laterShapes } from '#schema/index.js'

/**
 * Event types as queries see them: an event that was stored before a field was added has the field too, with the default that it was added with, or as an
 * absent one. Fields that a type was stored with keep their places; the others stand behind them. What upcasters would make of events is not seen: they are the
 * plant's code, which a journal does not have.
 */
export function seenTypes(types: readonly EventType[]): EventType[] {
  return types.map((type) => {
    const later = laterShapes(type, types)
    if (later.length === 0) return type
    const added = later.flatMap(({ fields }) => fields.filter(({ name }) => !type.fields.some((own) => own.name === name)))
    const first = added.filter(({ name }, index) => added.findIndex((one) => one.name === name) === index)
    return {
      ...type,
      fields: [...type.fields.map((field) => withDefault(field, later)), ...first.map((field) => ({ ...field, isOptional: true }))],
    }
  })
}

/** An optional field may have become one with a default: then that stands for those that are absent. */
function withDefault(field: FieldSchema, later: readonly EventType[]): FieldSchema {
  if (!field.isOptional || field.defaultValue !== undefined) return field
  const since = later.flatMap(({ fields }) => fields.filter(({ name, kind }) => name === field.name && kind === field.kind))
  const defaultValue = since.find((one) => one.defaultValue !== undefined)?.defaultValue
  return defaultValue === undefined ? field : { ...field, defaultValue }
}
