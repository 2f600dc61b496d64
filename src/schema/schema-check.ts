import { wrongField } from './field-check.js'
import { type FieldSchema, SLOT_BYTES } from './field-schema.js'

export const NAME_CHARACTERS_MAX = 64
export const FIELDS_MAX = 1000

/** What is wrong with the name of a field, an event or a command, or undefined. */
export function wrongName(name: unknown): string | undefined {
  if (typeof name !== 'string' || !/^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(name))
    return 'a name is an identifier: letters, digits, _ and $'
  if (name.length > NAME_CHARACTERS_MAX) return `a name has at most ${NAME_CHARACTERS_MAX} characters`
  if (name in Object.prototype || name === 'prototype' || name === 'then') return `the name ${name} is taken by JavaScript`
  return undefined
}

/** What is wrong with the fields of one event or command, `name: ...`, or undefined. */
export function checkFields(fields: readonly FieldSchema[]): string | undefined {
  if (fields.length > FIELDS_MAX) return `more than ${FIELDS_MAX} fields`
  const seen = new Set<string>()
  for (const field of fields) {
    const wrong = wrongName(field.name) ?? (seen.has(field.name) ? 'there are two of this name' : undefined) ?? wrongSchema(field)
    if (wrong !== undefined) return `${field.name}: ${wrong}`
    seen.add(field.name)
  }
  return undefined
}

function wrongSchema(field: FieldSchema): string | undefined {
  if (!Object.hasOwn(SLOT_BYTES, field.kind))
    return `not a field, use one of ${Object.keys(SLOT_BYTES)
      .map((kind) => `${kind}()`)
      .join(' ')}`
  if (typeof field.isOptional !== 'boolean') return 'optional is true or false'
  if (field.unit !== undefined && typeof field.unit !== 'string') return 'a unit is text'
  if (field.oneOf !== undefined) {
    if (field.kind !== 'label') return 'only a label has oneOf'
    if (!Array.isArray(field.oneOf) || field.oneOf.length === 0) return 'oneOf is a list of at least one text'
    if (new Set(field.oneOf).size !== field.oneOf.length) return 'oneOf has a value twice'
    for (const one of field.oneOf) {
      const wrong = wrongField({ name: 'oneOf', kind: 'label', isOptional: false }, one)
      if (wrong !== undefined) return wrong
    }
  }
  const wrong = field.defaultValue === undefined ? undefined : wrongField({ ...field, name: 'default' }, field.defaultValue)
  return wrong
}
