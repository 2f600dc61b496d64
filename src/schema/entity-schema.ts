import { MillraceError } from '#base/errors.js'
import { sha256 } from '#base/hash.js'
import type { FieldSchema } from './field-schema.js'
import { checkFields, wrongName } from './schema-check.js'

/** What an entity type says and hears, as plain data: all that a process without its code needs to know. Lists are in declaration order. */
export interface EntitySchema {
  readonly entity: string
  readonly events: readonly EventSchema[]
  readonly commands: readonly CommandSchema[]
  /** Events that the type had once: their stored rows count as versions and change nothing. */
  readonly dropped?: readonly string[]
}

export interface EventSchema {
  readonly event: string
  readonly fields: readonly FieldSchema[]
  /** Shapes that it had before, the oldest first; code turns each into the next, the last into `fields`. */
  readonly former?: readonly FormerSchema[]
}

/** A shape that an event was stored in before, under its present name or another. */
export interface FormerSchema {
  readonly event: string
  readonly fields: readonly FieldSchema[]
}

export interface CommandSchema {
  readonly command: string
  readonly fields: readonly FieldSchema[]
}

/** The event that each transition of an entity type with states is: labels `from` and `to`, whose values are the names of the states. */
export const TRANSITIONED = 'Transitioned'
/** The event that each step of a machine of XState is: its label `state` has the names of all states that the machine can be in. */
export const STEPPED = 'Stepped'

type SchemaPart = EntitySchema | EventSchema | CommandSchema | readonly FieldSchema[]

/** The same text exactly for equal fields in the same order, whatever process they come from. */
export function fieldsKey(fields: readonly FieldSchema[]): string {
  return JSON.stringify(fields.map(canonicalField))
}

/** SHA-256 over the canonical JSON of the parts, 64 hex digits. The order counts: of the parts, of events and commands, of fields. What was once does not count. */
export function schemaHashHex(parts: readonly SchemaPart[]): string {
  return Buffer.from(digestOf(parts)).toString('hex')
}

/** The first four bytes of the same digest as a signed little-endian number: what fits into a word of a channel's header. */
export function schemaHash(parts: readonly SchemaPart[]): number {
  const digest = digestOf(parts)
  return new DataView(digest.buffer, digest.byteOffset).getInt32(0, true)
}

/** Canonical JSON: the same schema gives the same text, whatever order its properties were made in. */
export function entitySchemaToJson(schema: EntitySchema): string {
  const events = schema.events.map((one) => ({
    event: one.event,
    fields: one.fields.map(canonicalField),
    ...(one.former === undefined ? {} : { former: one.former.map(({ event, fields }) => ({ event, fields: fields.map(canonicalField) })) }),
  }))
  const commands = schema.commands.map(canonical)
  return JSON.stringify({ entity: schema.entity, events, commands, ...(schema.dropped === undefined ? {} : { dropped: schema.dropped }) })
}

/** Throws ERR_SCHEMA_INVALID with the path of what is wrong. */
export function entitySchemaFromJson(json: string): EntitySchema {
  const parsed = parse(json)
  if (!isRecord(parsed)) throw invalid('expected an object')
  const { entity, events, commands, dropped } = parsed
  if (typeof entity !== 'string' || !isTypeName(entity)) throw invalid('entity: expected the name of an entity type')
  return {
    entity,
    events: listOf(events, 'events').map((one, index) => {
      const path = `events[${index}]`
      return {
        event: nameOf(one.event, `${path}.event`),
        fields: fieldsOf(one.fields, `${path}.fields`),
        ...(one.former === undefined ? {} : { former: formerOf(one.former, `${path}.former`) }),
      }
    }),
    commands: listOf(commands, 'commands').map((one, index) => {
      const path = `commands[${index}]`
      return { command: nameOf(one.command, `${path}.command`), fields: fieldsOf(one.fields, `${path}.fields`) }
    }),
    ...(dropped === undefined ? {} : { dropped: namesOf(dropped, 'dropped') }),
  }
}

/** Lower-case letters, digits and dashes, a letter first: the part of an entity id before the slash. */
export function isTypeName(name: string): boolean {
  return /^[a-z][a-z0-9-]*$/.test(name) && name.length <= 64
}

function digestOf(parts: readonly SchemaPart[]): Uint8Array {
  return sha256(new TextEncoder().encode(JSON.stringify(parts.map(canonical))))
}

function canonical(part: SchemaPart): unknown {
  if (isFieldList(part)) return part.map(canonicalField)
  if ('event' in part) return { event: part.event, fields: canonical(part.fields) }
  if ('command' in part) return { command: part.command, fields: canonical(part.fields) }
  return { entity: part.entity, events: part.events.map(canonical), commands: part.commands.map(canonical) }
}

function isFieldList(part: SchemaPart): part is readonly FieldSchema[] {
  return Array.isArray(part)
}

function canonicalField(field: FieldSchema): unknown {
  return {
    name: field.name,
    kind: field.kind,
    ...(field.unit === undefined ? {} : { unit: field.unit }),
    isOptional: field.isOptional,
    ...(field.oneOf === undefined ? {} : { oneOf: field.oneOf }),
    ...(field.defaultValue === undefined ? {} : { defaultValue: defaultToJson(field.defaultValue) }),
  }
}

/** Numbers that JSON lacks become text; a number field has no text of its own, so this is read back without doubt. */
function defaultToJson(value: unknown): unknown {
  if (typeof value === 'number') return Object.is(value, -0) ? '-0' : Number.isFinite(value) ? value : String(value)
  return sortKeys(value)
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (!isRecord(value)) return value
  const keys = Object.keys(value).filter((key) => value[key] !== undefined)
  return Object.fromEntries(keys.sort().map((key) => [key, sortKeys(value[key])]))
}

function fieldsOf(value: unknown, path: string): FieldSchema[] {
  const fields = listOf(value, path).map((one) => {
    const { name, kind, unit, isOptional, oneOf, defaultValue } = one
    const isNumber = typeof kind === 'string' && /^[fi](32|64)$/.test(kind)
    return {
      name,
      kind,
      ...(unit === undefined ? {} : { unit }),
      isOptional,
      ...(oneOf === undefined ? {} : { oneOf }),
      ...(defaultValue === undefined
        ? {}
        : { defaultValue: isNumber && typeof defaultValue === 'string' ? Number(defaultValue) : defaultValue }),
    } as FieldSchema
  })
  const wrong = checkFields(fields)
  if (wrong !== undefined) throw invalid(`${path}.${wrong}`)
  return fields
}

function formerOf(value: unknown, path: string): FormerSchema[] {
  return listOf(value, path).map((one, index) => ({
    event: nameOf(one.event, `${path}[${index}].event`),
    fields: fieldsOf(one.fields, `${path}[${index}].fields`),
  }))
}

function namesOf(value: unknown, path: string): string[] {
  if (!Array.isArray(value)) throw invalid(`${path}: expected a list`)
  return value.map((name, index) => nameOf(name, `${path}[${index}]`))
}

function nameOf(value: unknown, path: string): string {
  const wrong = wrongName(value)
  if (wrong !== undefined) throw invalid(`${path}: ${wrong}`)
  return value as string
}

function listOf(value: unknown, path: string): Record<string, unknown>[] {
  if (!Array.isArray(value)) throw invalid(`${path}: expected a list`)
  if (!value.every(isRecord)) throw invalid(`${path}: expected a list of objects`)
  return value
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch (cause) {
    throw new MillraceError('ERR_SCHEMA_INVALID', { fact: 'a schema is not JSON', action: 'operator', cause })
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(what: string): MillraceError {
  return new MillraceError('ERR_SCHEMA_INVALID', { fact: `a schema is wrong, ${what}`, action: 'operator' })
}
