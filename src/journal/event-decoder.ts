import type { FieldSchema } from '#schema/index.js'
import { isVariable } from '#schema/index.js'
import { copyJson, unpackJson } from '#schema/json-value.js'
import { LabelReader, readUtf8 } from '#schema/utf8.js'
import { type ByteReader, Damage } from './bytes.js'
import type { EventType } from './journal.js'
import { FieldColumn, type TypeSection } from './row-group.js'

/** Decodes the events of one type from the columns of a group. Open a section, then ask for rows of it. */
export class EventDecoder {
  readonly #type: EventType
  readonly #fields: readonly FieldReader[]
  #decode: ((row: number) => Record<string, unknown>) | undefined
  #fieldCount = -1

  constructor(type: EventType) {
    this.#type = type
    this.#fields = type.fields.map(() => new FieldReader())
  }

  /** Decodes the columns of the section. Fields that the type did not have when the block was written take their default or stay absent. */
  open(section: TypeSection, block: ByteReader): void {
    const { fields } = this.#type
    if (section.fieldCount > fields.length) throw new Damage(`it has fields that event type ${this.#type.entity}.${this.#type.event} lacks`)
    for (let index = 0; index < section.fieldCount; index++)
      (this.#fields[index] as FieldReader).column.open(section, index, this.#type, block)
    if (section.fieldCount === this.#fieldCount) return
    this.#fieldCount = section.fieldCount
    this.#decode = generate(fields, section.fieldCount, this.#fields)
  }

  /** The event in row `row` of the section, as the schema's codec gives it: fields in order, absent ones left out, nothing shared. */
  event(row: number): Record<string, unknown> {
    return (this.#decode as (row: number) => Record<string, unknown>)(row)
  }
}

/** What generated code calls. */
class FieldReader {
  readonly column = new FieldColumn()
  readonly #labels = new LabelReader()
  #constantBytes: Uint8Array | undefined
  #constantText = ''

  label(row: number): string {
    const { variable } = this.column
    if (variable.isConstant) return this.#constant()
    const start = variable.starts[row] as number
    try {
      return this.#labels.read(variable.bytes, start, (variable.starts[row + 1] as number) - start)
    } catch {
      throw new Damage('a label in it is not UTF-8')
    }
  }

  text(row: number): string {
    const { variable } = this.column
    if (variable.isConstant) return this.#constant()
    const start = variable.starts[row] as number
    return text(variable.bytes, start, (variable.starts[row + 1] as number) - start)
  }

  json(row: number): unknown {
    const { bytes, starts, isConstant } = this.column.variable
    try {
      return unpackJson(isConstant ? bytes.slice() : bytes.slice(starts[row], starts[row + 1]))
    } catch {
      throw new Damage('a json value in it is not msgpack')
    }
  }

  #constant(): string {
    const { bytes } = this.column.variable
    if (bytes !== this.#constantBytes) {
      this.#constantText = text(bytes, 0, bytes.length)
      this.#constantBytes = bytes
    }
    return this.#constantText
  }
}

function text(bytes: Uint8Array, start: number, length: number): string {
  try {
    return readUtf8(bytes, start, length)
  } catch {
    throw new Damage('a text in it is not UTF-8')
  }
}

/**
 * Straight code with one typed-array load per field: an object literal as long as fields are always there, then one assignment per field.
 * Names and values of the schema enter as JSON strings only.
 */
function generate(
  fields: readonly FieldSchema[],
  storedCount: number,
  readers: readonly FieldReader[],
): (row: number) => Record<string, unknown> {
  const isAlways = (field: FieldSchema): boolean => !field.isOptional || field.defaultValue !== undefined
  const defaultOf = (field: FieldSchema, index: number): string =>
    field.defaultValue === undefined ? 'undefined' : field.kind === 'json' ? `copyJson(defaults[${index}])` : `defaults[${index}]`
  const valueOf = (field: FieldSchema, index: number): string => {
    if (index >= storedCount) return defaultOf(field, index)
    const value = storedValue(field, index)
    // A row in a sealed block may lack a field that was declared after it was stored.
    return field.isOptional || field.defaultValue !== undefined
      ? `(r${index}.column.presence === undefined || r${index}.column.presence[row] === 1 ? ${value} : ${defaultOf(field, index)})`
      : value
  }
  const firstOptional = fields.findIndex((field) => !isAlways(field))
  const literalCount = firstOptional < 0 ? fields.length : firstOptional
  const literal = fields.slice(0, literalCount).map((field, index) => `${JSON.stringify(field.name)}: ${valueOf(field, index)}`)
  const rest = fields.slice(literalCount).map((field, offset) => {
    const index = literalCount + offset
    const name = JSON.stringify(field.name)
    if (isAlways(field)) return `event[${name}] = ${valueOf(field, index)}`
    if (index >= storedCount) return ''
    return `if (r${index}.column.presence === undefined || r${index}.column.presence[row] === 1) event[${name}] = ${storedValue(field, index)}`
  })
  const source = `'use strict'
    const [${readers.map((_, index) => `r${index}`).join(', ')}] = readers
    ${fields.map((field, index) => (isVariable(field.kind) ? '' : `const v${index} = r${index}.column.values`)).join('\n')}
    return (row) => {
      const event = { ${literal.join(', ')} }
      ${rest.join('\n')}
      return event
    }`
  const defaults = fields.map((field) => field.defaultValue)
  let make = made.get(source)
  if (make === undefined) made.set(source, (make = new Function('readers', 'defaults', 'copyJson', source) as MakeDecode))
  return make(readers, defaults, copyJson)
}

type MakeDecode = (
  readers: readonly FieldReader[],
  defaults: readonly unknown[],
  copy: typeof copyJson,
) => (row: number) => Record<string, unknown>

/** By source, so that what the engine has learnt of one serves all that decode the same fields. As many as there are shapes of events. */
const made = new Map<string, MakeDecode>()

function storedValue(field: FieldSchema, index: number): string {
  switch (field.kind) {
    case 'f64':
    case 'i64':
    case 'time':
      return `v${index}.wide[row]`
    case 'f32':
      return `v${index}.single[row]`
    case 'i32':
      return `v${index}.signed[row]`
    case 'bool':
      return `v${index}.words[row] !== 0`
    default:
      return `r${index}.${field.kind}(row)`
  }
}
