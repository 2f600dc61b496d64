import { MillraceError } from '#base/errors.js'
import { type Codec, createCodec, type DataOf, type Fields, fieldSchemas, isTypeName } from '#schema/index.js'
import { isRecord, wrongFields } from './upcast-check.js'

/** What a handler is told besides its data. */
export interface EffectContext {
  /** The same for each attempt at this effect and for no other effect ever: of entity, number and time. For receivers that know keys. */
  readonly key: string
  /** Which entity wants it, `type/name`. */
  readonly entity: string
  /** When the command happened that wants it, microseconds since 1970. */
  readonly at: number
  readonly correlation: string
  /** From 1; begins anew when the gateway does. */
  readonly attempt: number
  /** Aborts when its time is over or the plant ends: what comes later is not heard. */
  readonly signal: AbortSignal
  /** Where it goes: what the plant's configuration says of the effect's target; undefined for an effect without one. */
  readonly target: EffectTarget | undefined
}

/** A place that effects may go to, from the plant's configuration and its environment. */
export interface EffectTarget {
  readonly name: string
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly responseBytesMax: number
}

/** Bounds that are an effect's own; those of the plant's configuration hold where they are left out. */
export interface EffectLimits {
  /** An attempt that takes longer has failed. */
  readonly timeoutMs?: number
  /** Attempts at a time of all effects that go to the same place. */
  readonly inFlightMax?: number
  /** After so many attempts it is parked. */
  readonly attemptsMax?: number
}

/** Something to be done outside of the plant, as defineEffect made it. Immutable. */
export interface Effect<F extends Fields = Fields> extends EffectLimits {
  readonly kind: 'effect'
  readonly name: string
  readonly fields: F
  /** The name of a configured target. */
  readonly target?: string | undefined
  readonly run: { run(data: DataOf<F>, context: EffectContext): unknown }['run']
}

/** An effect as workers and gateways use it. */
export interface EffectModel {
  readonly effect: Effect
  readonly codec: Codec
}

/** What messages to effects have in place of an entity id. */
export const EFFECT_PREFIX = 'effect:'

/**
 * Why an attempt at an effect failed, to be thrown by its handler. Whatever else a handler throws is tried again, too. `isFinal`: trying again is no use, so it is
 * parked at once. `afterMs`: no attempt at the same place before.
 */
export class EffectFailure extends Error {
  override readonly name = 'EffectFailure'
  readonly code: string
  readonly isFinal: boolean
  readonly afterMs: number
  readonly detail: unknown

  constructor(code: string, options: { message?: string; isFinal?: boolean; afterMs?: number; detail?: unknown; cause?: unknown } = {}) {
    super(options.message ?? code, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.isFinal = options.isFinal ?? false
    this.afterMs = options.afterMs ?? 0
    this.detail = options.detail
  }
}

/**
 * Defines something that entities can have done outside of the plant: `defineEffect({ name: 'print-label', fields: { text: text() }, run: async ({ text }, { key, signal }) => … })`. `run` is called in
 * a gateway process once the command that wants it is durable, at least once, and until it has returned: what it returns is the reply, plain data. An entity type lists the
 * effects that it uses. Throws ERR_EFFECT_DEFINITION with what is wrong.
 */
export function defineEffect<const F extends Fields>(
  definition: EffectLimits & {
    /** Lower-case letters, digits and dashes. */
    readonly name: string
    readonly fields: F
    /** The name of a target in the plant's configuration, whose bounds then hold. */
    readonly target?: string
    readonly run: { run(data: DataOf<F>, context: EffectContext): unknown }['run']
  },
): Effect<F> {
  const wrong = whatIsWrong(definition as unknown as Readonly<Record<string, unknown>>)
  if (wrong !== undefined) {
    throw new MillraceError('ERR_EFFECT_DEFINITION', {
      fact: 'an effect is defined wrongly',
      action: 'operator',
      values: { effect: definition?.name },
      next: wrong,
    })
  }
  return Object.freeze({ kind: 'effect', ...definition })
}

export function compileEffect(effect: Effect): EffectModel {
  return { effect, codec: createCodec(fieldSchemas(effect.fields)) }
}

const LIMITS = ['timeoutMs', 'inFlightMax', 'attemptsMax'] as const
const PARTS = new Set(['name', 'fields', 'target', 'run', ...LIMITS])

function whatIsWrong(given: Readonly<Record<string, unknown>>): string | undefined {
  if (!isRecord(given)) return 'give an object with name, fields and run'
  if (typeof given.name !== 'string' || !isTypeName(given.name))
    return 'name it with at most 64 lower-case letters, digits and dashes, a letter first'
  const fields = wrongFields('fields', given.fields)
  if (fields !== undefined) return `${fields.path}: ${fields.what}`
  if (typeof given.run !== 'function') return 'give run, a function'
  if (given.target !== undefined && (typeof given.target !== 'string' || given.target === '')) return 'target is the name of a target'
  for (const name of LIMITS) {
    const limit = given[name]
    if (limit !== undefined && !(Number.isSafeInteger(limit) && (limit as number) > 0)) return `${name} is a whole number above 0`
  }
  const extra = Object.keys(given).find((key) => !PARTS.has(key))
  return extra === undefined ? undefined : `there is no part ${extra}, only ${[...PARTS].join(', ')}`
}
