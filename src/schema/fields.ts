import type { FieldKind, FieldSchema } from './field-schema.js'

/**
 * The fields of events and commands as a plant writes them: `{ temperature: f64('°C'), code: label({ oneOf: ['A', 'B'] }) }`. Each builder
 * is called. A unit is told, never converted. Nothing is checked here: `createCodec` and `defineEntity` say what is wrong, with its path.
 */
export interface Field<T, P extends Presence = Presence> {
  readonly kind: FieldKind
  readonly unit?: string
  readonly isOptional: boolean
  readonly oneOf?: readonly string[]
  readonly defaultValue?: unknown
  /** For the compiler alone; never set. */
  readonly '~type'?: { readonly value: T; readonly presence: P }
}

/** `optional`: may be absent on both sides. `defaulted`: may be left out when written, is always there when read. */
export type Presence = 'required' | 'optional' | 'defaulted'

export type Fields = { readonly [name: string]: Field<unknown> }

export interface FieldOptions<T> {
  /** The field may be absent. */
  readonly optional?: boolean
  /** Stands in where the field is left out, and in events stored before it was added. Then readers always find the field. */
  readonly default?: T
}

export interface LabelOptions extends FieldOptions<string> {
  /** The only values allowed. The field's type is their union. */
  readonly oneOf?: readonly string[]
}

/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

type PresenceOf<O> = O extends { readonly default: {} | null }
  ? 'defaulted'
  : O extends { readonly optional: true }
    ? 'optional'
    : 'required'
type ValueOf<F> = F extends Field<infer T> ? T : never
type LabelOf<O> = O extends { readonly oneOf: readonly (infer L extends string)[] } ? L : string
type NumberBuilder = {
  <const O extends FieldOptions<number>>(unit?: string, options?: O): Field<number, PresenceOf<O>>
  <const O extends FieldOptions<number>>(options: O): Field<number, PresenceOf<O>>
}

/** A value that cannot be changed through this type, however deep: the state as `decide` sees it. Json is so by itself, and has no bottom to stop at. */
export type DeepReadonly<T> = [Json] extends [T]
  ? T
  : T extends string | number | boolean | bigint | null | undefined
    ? T
    : T extends ReadonlyMap<infer K, infer V>
      ? ReadonlyMap<DeepReadonly<K>, DeepReadonly<V>>
      : T extends ReadonlySet<infer V>
        ? ReadonlySet<DeepReadonly<V>>
        : T extends Date | Uint8Array
          ? Readonly<T>
          : { readonly [K in keyof T]: DeepReadonly<T[K]> }

/** What readers get: the argument of `apply`, the command given to `decide`. */
export type DataOf<F extends Fields> = {
  -readonly [K in keyof F as F[K] extends Field<unknown, 'optional'> ? never : K]: ValueOf<F[K]>
} & { -readonly [K in keyof F as F[K] extends Field<unknown, 'optional'> ? K : never]?: ValueOf<F[K]> | undefined } extends infer Flat
  ? { [K in keyof Flat]: Flat[K] }
  : never

/** What writers give: the argument of `emit`, the command that is sent. It is copied, so parts of a state seen by `decide` may be given. */
export type InputOf<F extends Fields> = {
  readonly [K in keyof F as F[K] extends Field<unknown, 'required'> ? K : never]: DeepReadonly<ValueOf<F[K]>>
} & {
  readonly [K in keyof F as F[K] extends Field<unknown, 'required'> ? never : K]?: DeepReadonly<ValueOf<F[K]>> | undefined
} extends infer Flat
  ? { [K in keyof Flat]: Flat[K] }
  : never

/** A double, NaN and the infinities included. */
export const f64: NumberBuilder = (unitOrOptions?: string | FieldOptions<number>, options?: FieldOptions<number>) =>
  numberField('f64', unitOrOptions, options)
/** A double rounded to single precision; a finite number beyond its range is refused. */
export const f32: NumberBuilder = (unitOrOptions?: string | FieldOptions<number>, options?: FieldOptions<number>) =>
  numberField('f32', unitOrOptions, options)
/** A whole number from -2^31 to 2^31 - 1. */
export const i32: NumberBuilder = (unitOrOptions?: string | FieldOptions<number>, options?: FieldOptions<number>) =>
  numberField('i32', unitOrOptions, options)
/** A whole number that a double holds exactly: up to 2^53 - 1 either way. */
export const i64: NumberBuilder = (unitOrOptions?: string | FieldOptions<number>, options?: FieldOptions<number>) =>
  numberField('i64', unitOrOptions, options)

export function bool<const O extends FieldOptions<boolean>>(options?: O): Field<boolean, PresenceOf<O>> {
  return field('bool', undefined, options)
}

/** Whole microseconds since 1970. */
export function time<const O extends FieldOptions<number>>(options?: O): Field<number, PresenceOf<O>> {
  return field('time', undefined, options)
}

/** Short text that repeats: codes, states, names of parts. At most LABEL_BYTES_MAX bytes of UTF-8. */
export function label<const O extends LabelOptions>(options?: O & { readonly default?: LabelOf<O> }): Field<LabelOf<O>, PresenceOf<O>> {
  return field('label', undefined, options)
}

/** Any text of at most TEXT_BYTES_MAX bytes of UTF-8. */
export function text<const O extends FieldOptions<string>>(options?: O): Field<string, PresenceOf<O>> {
  return field('text', undefined, options)
}

/** Anything JSON has, at most JSON_BYTES_MAX bytes as msgpack. `T` is believed, not checked. */
export function json<T = Json>(options: { readonly default: T; readonly optional?: boolean }): Field<T, 'defaulted'>
export function json<T = Json>(options: { readonly optional: true }): Field<T, 'optional'>
export function json<T = Json>(options?: { readonly optional?: false }): Field<T, 'required'>
export function json(options?: FieldOptions<unknown>): Field<unknown> {
  return field('json', undefined, options)
}

/** The fields as plain data, in the order in which they were written. */
export function fieldSchemas(fields: Fields): FieldSchema[] {
  return Object.entries(fields).map(([name, { kind, unit, isOptional, oneOf, defaultValue }]) => ({
    name,
    kind,
    ...(unit === undefined ? {} : { unit }),
    isOptional,
    ...(oneOf === undefined ? {} : { oneOf }),
    ...(defaultValue === undefined ? {} : { defaultValue }),
  }))
}

function numberField<P extends Presence>(
  kind: FieldKind,
  unitOrOptions: string | FieldOptions<number> | undefined,
  options: FieldOptions<number> | undefined,
): Field<number, P> {
  return typeof unitOrOptions === 'object' ? field(kind, undefined, unitOrOptions) : field(kind, unitOrOptions, options)
}

function field<T, P extends Presence>(
  kind: FieldKind,
  unit: string | undefined,
  options: LabelOptions | FieldOptions<unknown> = {},
): Field<T, P> {
  const oneOf = 'oneOf' in options ? options.oneOf : undefined
  return {
    kind,
    ...(unit === undefined ? {} : { unit }),
    isOptional: options.optional === true,
    ...(oneOf === undefined ? {} : { oneOf }),
    ...(options.default === undefined ? {} : { defaultValue: options.default }),
  }
}
