import type { FieldSchema } from './field-schema.js'
import { packJson, whyNotJson } from './json-value.js'
import { utf8Bytes } from './utf8.js'

export const LABEL_BYTES_MAX = 1024
export const TEXT_BYTES_MAX = 262_144
export const JSON_BYTES_MAX = 262_144

/** The first thing that is wrong with the data of an event or a command, with its path, or undefined. */
export function whatIsWrong(fields: readonly FieldSchema[], value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return `expected an object with ${fieldList(fields)}, got ${show(value)}`
  const data = value as Readonly<Record<string, unknown>>
  for (const field of fields) {
    const problem = wrongField(field, data[field.name])
    // A field that is missing may stand there misspelt.
    if (problem !== undefined) return (data[field.name] === undefined ? unknownField(fields, data) : undefined) ?? problem
  }
  return unknownField(fields, data)
}

function unknownField(fields: readonly FieldSchema[], data: object): string | undefined {
  const known = new Set(fields.map((field) => field.name))
  const unknown = Object.keys(data).find((name) => !known.has(name))
  return unknown === undefined ? undefined : `${unknown}: unknown field, expected ${fieldList(fields)}`
}

/** What is wrong with the value of one field, `name: ...`, or undefined. `undefined` stands for absent. */
export function wrongField(field: FieldSchema, value: unknown): string | undefined {
  if (value === undefined)
    return field.isOptional || field.defaultValue !== undefined ? undefined : `${field.name}: missing, expected ${expectation(field)}`
  if (field.kind === 'json') return wrongJson(field.name, value)
  const problem = wrongScalar(field, value)
  return problem === undefined ? undefined : `${field.name}: ${problem}`
}

function wrongScalar(field: FieldSchema, value: unknown): string | undefined {
  const mismatch = `expected ${expectation(field)}, got ${show(value)}`
  switch (field.kind) {
    case 'bool':
      return typeof value === 'boolean' ? undefined : mismatch
    case 'label':
      if (typeof value !== 'string') return mismatch
      if (field.oneOf !== undefined && !field.oneOf.includes(value)) return mismatch
      return wrongText(value, LABEL_BYTES_MAX)
    case 'text':
      return typeof value === 'string' ? wrongText(value, TEXT_BYTES_MAX) : mismatch
    case 'i32':
      return typeof value === 'number' && (value | 0) === value ? undefined : mismatch
    case 'i64':
    case 'time':
      return Number.isSafeInteger(value) ? undefined : mismatch
    case 'f32':
      if (typeof value !== 'number') return mismatch
      return Number.isFinite(value) && !Number.isFinite(Math.fround(value)) ? `${value} is beyond the range of f32` : undefined
    default:
      return typeof value === 'number' ? undefined : mismatch
  }
}

function wrongText(value: string, bytesMax: number): string | undefined {
  if (!value.isWellFormed()) return 'not well-formed Unicode'
  if (value.length * 3 <= bytesMax) return undefined
  const bytes = utf8Bytes(value)
  return bytes <= bytesMax ? undefined : `${bytes} bytes are more than the ${bytesMax} allowed`
}

function wrongJson(name: string, value: unknown): string | undefined {
  const problem = whyNotJson(value, name)
  if (problem !== undefined) return problem
  const bytes = packJson(value).length
  return bytes <= JSON_BYTES_MAX ? undefined : `${name}: ${bytes} bytes are more than the ${JSON_BYTES_MAX} allowed`
}

function expectation(field: FieldSchema): string {
  switch (field.kind) {
    case 'bool':
      return 'true or false'
    case 'label':
      return field.oneOf === undefined ? 'text' : `one of ${field.oneOf.map((one) => `'${one}'`).join(', ')}`
    case 'text':
      return 'text'
    case 'i32':
      return 'a whole number of 32 bits'
    case 'i64':
      return 'a safe integer'
    case 'time':
      return 'whole microseconds since 1970'
    case 'json':
      return 'JSON'
    default:
      return 'a number'
  }
}

function fieldList(fields: readonly FieldSchema[]): string {
  return fields.length === 0 ? 'no fields' : `the fields ${fields.map((field) => field.name).join(', ')}`
}

/** A value as an error message shows it: short, whatever it is. */
function show(value: unknown): string {
  if (typeof value === 'string') return `'${value.length > 40 ? `${value.slice(0, 40)}…` : value}'`
  if (typeof value === 'bigint') return `${value}n`
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'function' || typeof value === 'symbol' ? `a ${typeof value}` : String(value)
}
