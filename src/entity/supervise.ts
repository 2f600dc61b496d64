import { hash32 } from '#base/hash.js'
import type { DeepReadonly } from '#schema/index.js'
import type { FieldsByName } from './entity.js'
import type { ChildLink, Directive } from './kin.js'
import type { SignalFields } from './signal.js'
import { isRecord, type Wrong } from './upcast-check.js'

/** Which children are restarted when one errors: that one; all; or that one and those that were spawned after it. */
export type SupervisionStrategy = 'one-for-one' | 'one-for-all' | 'rest-for-one'

/** An error of a child. */
export interface ChildError {
  /** `type/name`. */
  readonly child: string
  /** DECIDE_FAILED, APPLY_FAILED, PARKED, TOO_LARGE, or of a child that is a supervisor itself ESCALATED or RESTARTS_EXHAUSTED. */
  readonly code: string
  readonly message: string
  /** How often it was restarted for errors of its own within the window. */
  readonly restarts: number
}

/** Waits before a restart: `minMs` before the first one within the window, then `factor` times as long each time, `maxMs` at most. */
export interface SupervisionBackOff {
  readonly minMs: number
  readonly maxMs?: number
  readonly factor?: number
  /** The part of the wait by which it may be shorter or longer, 0 to 1: those that fail together are not started together. Which it is comes from who fails and when. */
  readonly jitter?: number
}

/** What an entity does about errors of those that it spawns. */
export interface Supervision<C extends FieldsByName, S> {
  /** one-for-one unless told. */
  readonly strategy?: SupervisionStrategy
  /** restart unless told. A function is pure as `decide` is; one that throws escalates. */
  readonly onError?: Directive | ((state: DeepReadonly<S>, error: ChildError) => Directive)
  /** So many restarts within the window, of one child or with the other strategies of all; one more escalates. 3 in 60,000 ms unless told; may be Infinity where there is a `backOff`. */
  readonly restarts?: number
  readonly withinMs?: number
  readonly backOff?: SupervisionBackOff
  /** The command that takes what is heard of children, one with the fields `signal()`. */
  readonly signal?: SignalCommand<C>
}

/** The commands that take signals. */
export type SignalCommand<C extends FieldsByName> = { [K in keyof C & string]: C[K] extends SignalFields ? K : never }[keyof C & string]

/** With everything said. */
export interface WholeSupervision {
  readonly strategy: SupervisionStrategy
  readonly onError: Directive | ((state: unknown, error: ChildError) => unknown)
  readonly restarts: number
  readonly withinMs: number
  readonly backOff: Required<SupervisionBackOff> | undefined
  readonly signal: string | undefined
}

export const STRATEGIES: readonly string[] = ['one-for-one', 'one-for-all', 'rest-for-one']
export const DIRECTIVES: readonly string[] = ['restart', 'resume', 'stop', 'escalate']

const BACK_OFF_FACTOR = 2
const BACK_OFF_JITTER = 0.2
const BACK_OFF_MS_MAX = 60_000
/** Of one child: they stand in each row about it. */
export const RESTARTS_REMEMBERED = 100
const WINDOW_MS_MAX = 30 * 86_400_000

export function wholeSupervision(given: Supervision<FieldsByName, never> | undefined): WholeSupervision {
  const { strategy = 'one-for-one', onError = 'restart', restarts = 3, withinMs = 60_000, backOff, signal } = given ?? {}
  const { minMs = 0, maxMs = Math.max(minMs, BACK_OFF_MS_MAX), factor = BACK_OFF_FACTOR, jitter = BACK_OFF_JITTER } = backOff ?? {}
  return {
    ...{ strategy, restarts, withinMs, signal, onError: onError as WholeSupervision['onError'] },
    backOff: backOff === undefined ? undefined : { minMs, maxMs, factor, jitter },
  }
}

/** Milliseconds before the restart number `streak`, from 1. The same for the same `seed`. */
export function backOffMs({ backOff }: WholeSupervision, streak: number, seed: string): number {
  if (backOff === undefined) return 0
  const { minMs, maxMs, factor, jitter } = backOff
  const whole = Math.min(maxMs, minMs * factor ** Math.min(streak - 1, 1000))
  const part = hash32(new TextEncoder().encode(seed)) / 2 ** 32
  return Math.round(Math.min(maxMs, whole * (1 + jitter * (2 * part - 1))))
}

/** Those that a strategy restarts with one of them, in the order in which they were spawned. Those on their way out are let be. */
export function groupOf({ strategy }: WholeSupervision, children: ReadonlyMap<string, ChildLink>, errored: string): string[] {
  const all = [...children].filter(([entity, { phase }]) => entity === errored || phase !== 'stopping').map(([entity]) => entity)
  if (strategy === 'one-for-one') return [errored]
  return strategy === 'one-for-all' ? all : all.slice(all.indexOf(errored))
}

/** When the children that count for it were restarted within the window. */
export function recentRestarts(
  { strategy, withinMs }: WholeSupervision,
  children: ReadonlyMap<string, ChildLink>,
  errored: string,
  nowMicros: number,
): number {
  const counted = strategy === 'one-for-one' ? [children.get(errored)] : [...children.values()]
  return counted.reduce((sum, child) => sum + (child?.restarts ?? []).filter((at) => at > nowMicros - withinMs * 1000).length, 0)
}

/** What is wrong with `supervise` of a definition; `takesSignal` says whether a command is there for signals. */
export function wrongSupervision(given: unknown, takesSignal: (command: string) => boolean): Wrong | undefined {
  if (given === undefined) return undefined
  const path = 'supervise'
  if (!isRecord(given)) return { path, what: "give an object such as { strategy: 'one-for-one', onError: 'restart' }" }
  const { strategy, onError, restarts, withinMs, backOff, signal } = given
  const known = ['strategy', 'onError', 'restarts', 'withinMs', 'backOff', 'signal']
  const extra = Object.keys(given).find((key) => !known.includes(key))
  if (extra !== undefined) return { path: `${path}.${extra}`, what: `there is no such part, only ${known.join(', ')}` }
  if (strategy !== undefined && !STRATEGIES.includes(strategy as string))
    return { path: `${path}.strategy`, what: `use one of ${STRATEGIES.join(', ')}` }
  if (onError !== undefined && typeof onError !== 'function' && !DIRECTIVES.includes(onError as string))
    return { path: `${path}.onError`, what: `use one of ${DIRECTIVES.join(', ')}, or a function that answers one` }
  if (restarts !== undefined && restarts !== Number.POSITIVE_INFINITY && !isWhole(restarts, 0, RESTARTS_REMEMBERED))
    return { path: `${path}.restarts`, what: `give a whole number from 0 to ${RESTARTS_REMEMBERED}, or Infinity` }
  if (restarts === Number.POSITIVE_INFINITY && backOff === undefined)
    return {
      path: `${path}.restarts`,
      what: 'give a backOff too: a child that errs as soon as it begins would be restarted at once for ever',
    }
  if (withinMs !== undefined && !isWhole(withinMs, 1, WINDOW_MS_MAX))
    return { path: `${path}.withinMs`, what: `give whole milliseconds from 1 to ${WINDOW_MS_MAX}` }
  if (signal !== undefined && !(typeof signal === 'string' && takesSignal(signal)))
    return { path: `${path}.signal`, what: 'name a command whose fields are signal()' }
  return backOff === undefined ? undefined : wrongBackOff(`${path}.backOff`, backOff)
}

function wrongBackOff(path: string, given: unknown): Wrong | undefined {
  if (!isRecord(given)) return { path, what: 'give an object such as { minMs: 100, maxMs: 30_000 }' }
  const { minMs, maxMs, factor, jitter } = given
  const extra = Object.keys(given).find((key) => !['minMs', 'maxMs', 'factor', 'jitter'].includes(key))
  if (extra !== undefined) return { path: `${path}.${extra}`, what: 'there is no such part, only minMs, maxMs, factor, jitter' }
  if (!isWhole(minMs, 1, WINDOW_MS_MAX)) return { path: `${path}.minMs`, what: `give whole milliseconds from 1 to ${WINDOW_MS_MAX}` }
  if (maxMs !== undefined && !isWhole(maxMs, minMs as number, WINDOW_MS_MAX))
    return { path: `${path}.maxMs`, what: `give whole milliseconds from minMs to ${WINDOW_MS_MAX}` }
  if (factor !== undefined && !(typeof factor === 'number' && factor >= 1 && factor <= 100))
    return { path: `${path}.factor`, what: 'give a number from 1 to 100' }
  if (jitter !== undefined && !(typeof jitter === 'number' && jitter >= 0 && jitter <= 1))
    return { path: `${path}.jitter`, what: 'give a number from 0 to 1' }
  return undefined
}

function isWhole(value: unknown, min: number, max: number): boolean {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max
}
