import type { Data } from './codec.js'
import { type EntitySchema, type EventSchema, fieldsKey, type FormerSchema } from './entity-schema.js'
import type { FieldKind, FieldSchema } from './field-schema.js'
import { copyJson } from './json-value.js'

/** What stands between the fields that events were stored with and those that they are to be read with. */
export interface FieldChange {
  readonly field: string
  readonly how: string
}

/** Kinds whose values all are values of another kind, bit for bit the same number or text. */
const WIDER: Readonly<Partial<Record<FieldKind, readonly FieldKind[]>>> = {
  i32: ['i64', 'f64'],
  i64: ['f64'],
  f32: ['f64'],
  label: ['text'],
}

/**
 * The first field over which events with the fields `before` cannot be read as events with the fields `after`, or undefined when they can without
 * losing or guessing anything: fields in another order, new ones that are optional or have a default, optional ones that were not, wider
 * kinds, more values in `oneOf`. A field that is gone, or has another unit, is for a person to decide about.
 */
export function whyNotReadable(before: readonly FieldSchema[], after: readonly FieldSchema[]): FieldChange | undefined {
  for (const was of before) {
    const is = after.find(({ name }) => name === was.name)
    const how = is === undefined ? 'it is gone' : whyNotSame(was, is)
    if (how !== undefined) return { field: was.name, how }
  }
  const added = after.find(
    (field) => !field.isOptional && field.defaultValue === undefined && !before.some(({ name }) => name === field.name),
  )
  return added === undefined ? undefined : { field: added.name, how: 'it is new, and neither optional nor with a default' }
}

function whyNotSame(was: FieldSchema, is: FieldSchema): string | undefined {
  if (was.kind !== is.kind && !(WIDER[was.kind] ?? []).includes(is.kind)) return `it was ${was.kind}, it is ${is.kind}`
  if (was.unit !== is.unit) return `it was in ${was.unit ?? 'no unit'}, it is in ${is.unit ?? 'no unit'}`
  if (was.isOptional && was.defaultValue === undefined && !is.isOptional && is.defaultValue === undefined)
    return 'it was optional, and now it is neither that nor with a default'
  if (is.oneOf === undefined) return undefined
  if (was.oneOf === undefined) return `it was any text, it is one of ${is.oneOf.join(', ')}`
  const lost = was.oneOf.find((one) => !is.oneOf?.includes(one))
  return lost === undefined ? undefined : `it may be ${lost} no more`
}

/** How the present schema of an entity type reads events of one stored shape. Indexes are those of `events` and of its `former`. */
export type Reading =
  /** As they are, or with `readAs`. */
  | { readonly kind: 'present'; readonly event: number }
  /** As a former shape, exactly or with `readAs`, from which code leads on. */
  | { readonly kind: 'former'; readonly event: number; readonly step: number }
  | { readonly kind: 'dropped' }

/** An event type as a log numbers it: one shape of one event. Numbers ascend in the order in which shapes came. */
export interface StoredShape {
  readonly entity: string
  readonly event: string
  readonly fields: readonly FieldSchema[]
  readonly number: number
}

/**
 * Undefined when nothing is said about such events: a plant must not start on them. A shape that is declared is read as declared; one that is not, as
 * the next shape of the event in the log that is and that it can be read as; else as the present one, else as the newest former one.
 */
export function readingOf(schema: EntitySchema, shape: StoredShape, stored: readonly StoredShape[]): Reading | undefined {
  const exact = declared(schema, shape)
  if (exact !== undefined) return exact
  const isReadableAs = (fields: readonly FieldSchema[]): boolean => whyNotReadable(shape.fields, fields) === undefined
  for (const later of laterShapes(shape, stored)) {
    const reading = isReadableAs(later.fields) ? declared(schema, later) : undefined
    if (reading !== undefined) return reading
  }
  const event = schema.events.findIndex((one) => one.event === shape.event && isReadableAs(one.fields))
  if (event >= 0) return { kind: 'present', event }
  const near = formerShapes(schema).findLast(({ former }) => former.event === shape.event && isReadableAs(former.fields))
  if (near !== undefined) return { kind: 'former', event: near.event, step: near.step }
  return schema.dropped?.includes(shape.event) === true ? { kind: 'dropped' } : undefined
}

/** The shapes that the event got after this one, in order. */
export function laterShapes(shape: StoredShape, stored: readonly StoredShape[]): StoredShape[] {
  return stored
    .filter(({ entity, event, number }) => entity === shape.entity && event === shape.event && number > shape.number)
    .sort((a, b) => a.number - b.number)
}

function declared(schema: EntitySchema, shape: StoredShape): Reading | undefined {
  const key = fieldsKey(shape.fields)
  const isIt = (one: EventSchema | FormerSchema): boolean => one.event === shape.event && fieldsKey(one.fields) === key
  const event = schema.events.findIndex(isIt)
  if (event >= 0) return { kind: 'present', event }
  const found = formerShapes(schema).find(({ former }) => isIt(former))
  return found === undefined ? undefined : { kind: 'former', event: found.event, step: found.step }
}

function formerShapes({ events }: EntitySchema): { readonly event: number; readonly step: number; readonly former: FormerSchema }[] {
  return events.flatMap(({ former = [] }, event) => former.map((one, step) => ({ event, step, former: one })))
}

/**
 * Turns events with the fields `before` into events with the fields `after`, where `whyNotReadable` has nothing to say: undefined when they are
 * that already. `defaultOf` tells what an absent field is; it has the last word before the field's own default.
 */
export function readAs(
  before: readonly FieldSchema[],
  after: readonly FieldSchema[],
  defaultOf: (field: FieldSchema) => unknown = () => undefined,
): ((data: Data) => Data) | undefined {
  const fields = after.map((field) => ({
    name: field.name,
    absent: defaultOf(field) ?? field.defaultValue,
    isJson: field.kind === 'json',
    wasAlways: before.some(({ name, isOptional, defaultValue }) => name === field.name && (!isOptional || defaultValue !== undefined)),
  }))
  const isSameOrder = before.length === after.length && before.every(({ name }, index) => name === after[index]?.name)
  if (isSameOrder && fields.every(({ wasAlways, absent }) => wasAlways || absent === undefined)) return undefined
  return (data) => {
    const read: Data = {}
    for (const { name, absent, isJson } of fields) {
      const value = data[name]
      if (value !== undefined) read[name] = value
      else if (absent !== undefined) read[name] = isJson ? copyJson(absent) : absent
    }
    return read
  }
}
