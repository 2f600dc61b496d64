import type { DataOf, DeepReadonly, Fields, InputOf } from '#schema/index.js'
import type { AnswerFields } from './answer.js'
import type { Effect } from './effect.js'
import type { KinContext } from './kin-context.js'
import type { Supervision } from './supervise.js'
import type { Upcasts } from './upcasts.js'

/** `critical`: recovered first, and the last to wait when the plant is full. */
export type EntityClass = 'critical' | 'normal'

/** When entities leave memory: `never`, or once they had no command for so many milliseconds. Either way they are known, and come back with their next command. */
export type Passivate = 'never' | { readonly afterMs: number }

export type FieldsByName = { readonly [name: string]: Fields }

/**
 * An entity type: data plus pure functions, as `defineEntity` made it. Immutable. `R` is what each `decide` handler returns: the handlers' own types
 * would name all events once per command, more than a declaration file can hold for a large type.
 */
export interface Entity<N extends string, E extends FieldsByName, C extends FieldsByName, S, R> {
  readonly name: N
  readonly events: E
  readonly commands: C
  readonly initial: () => S
  readonly decide: { readonly [K in keyof R]: (state: DeepReadonly<S>, command: never, context: never) => R[K] }
  readonly apply: { readonly [K in keyof E]: (state: S, event: DataOf<E[K]>) => void }
  /** A snapshot is taken after so many rows. */
  readonly snapshotEvery: number
  readonly passivate: Passivate | undefined
  readonly class: EntityClass
  /** How events that were stored in former shapes become those of today. */
  readonly upcast: Upcasts
  /** Events that the type had once. */
  readonly dropped: readonly string[]
  /** Commands that are not stored unless they change something. */
  readonly volatile: readonly string[]
  /** Told apart by snapshots. */
  readonly stateVersion: number
  readonly upcastState: ((old: unknown) => unknown) | undefined
  /** Of a type with `states`: gives the state of a base snapshot the name that its machine's state has now, in place. Throws naming a state that is no more. */
  readonly adoptState: ((state: never) => void) | undefined
  /** What its commands may have done outside of the plant. */
  readonly effects: readonly Effect[]
  /** What it does about errors of its children. */
  readonly supervise: Supervision<FieldsByName, never> | undefined
  /** Makes events as data: `Press.event.AlarmRaised({ code: 'OVERHEAT', value: 95 })`. */
  readonly event: { readonly [K in keyof E & string]: (data: InputOf<E[K]>) => EntityEvent<K, InputOf<E[K]>> }
  /** Makes commands as data: `Press.command.sample({ temperature: 95, force: 3 })`. */
  readonly command: { readonly [K in keyof C & string]: (data: InputOf<C[K]>) => EntityCommand<K, InputOf<C[K]>> }
}

/** Any entity type, where its own types do not matter. */
export interface AnyEntity {
  readonly name: string
  readonly events: FieldsByName
  readonly commands: FieldsByName
  readonly initial: () => unknown
  readonly decide: object
  readonly apply: object
  readonly snapshotEvery: number
  readonly passivate?: Passivate | undefined
  readonly class: EntityClass
  readonly upcast?: Upcasts
  readonly dropped?: readonly string[]
  readonly volatile?: readonly string[]
  readonly stateVersion?: number
  readonly upcastState?: ((old: unknown) => unknown) | undefined
  readonly adoptState?: ((state: never) => void) | undefined
  readonly effects?: readonly Effect[]
  readonly supervise?: Supervision<FieldsByName, never> | undefined
}

export interface EntityEvent<K extends string = string, T = object> {
  readonly event: K
  readonly data: T
}

export interface EntityCommand<K extends string = string, T = object> {
  readonly command: K
  readonly data: T
}

/** What a `decide` handler gets besides state and command. Valid until it returns: an `emit` kept for later throws. */
export interface DecideContext<E extends FieldsByName, C extends FieldsByName = FieldsByName> extends KinContext<C> {
  /** One function per event. The data is checked and copied; a wrong field throws and fails the command. Discarded by `refuse` or a throw. */
  readonly emit: { readonly [K in keyof E]: (data: InputOf<E[K]>) => undefined }
  /** Ends the command with a code and plain data about it, stored like a reply: `return refuse('TOO_HOT', { limit: 90 })`. */
  readonly refuse: <const Code extends string, Detail = undefined>(code: Code, detail?: Detail) => Refusal<Code, Detail>
  /** When the command happened, microseconds since 1970: the only clock there is. */
  readonly at: number
  /** `type/name` of the entity that decides. */
  readonly entity: string
  /** Who sent the command; empty when the sender does not number its commands. */
  readonly source: string
  readonly correlation: string
  /**
   * Sends another entity a command, once this one is durable: `tell(Conveyor, 'main').stop({ why: 'jam' })`. It takes effect once, in order with what this entity told
   * that one before. What comes of it is not heard. Discarded by `refuse` or a throw.
   */
  readonly tell: <const T extends ToldType>(type: T, name: string) => Tells<T>
  /**
   * The same, and hears what came of it: the answer comes as the command `answer` of this entity, whose fields are `answer()`. One comes in any case: after
   * `timeoutMs` it is `timed-out`, and an answer that comes later is dropped. Answers the number that the answer will have as `message`.
   */
  readonly ask: <const T extends ToldType>(type: T, name: string) => Asks<T, AnswerCommand<C>>
  /** Sends this entity a command after a time, once, whatever crashes. A timer with the same key is replaced. */
  readonly after: <K extends keyof C & string>(ms: number, command: K, data: InputOf<C[K]>, options?: TimerOptions) => undefined
  /** The same again and again, every so many whole milliseconds, 10 at least. Times that have passed by meanwhile are left out. */
  readonly every: <K extends keyof C & string>(ms: number, command: K, data: InputOf<C[K]>, options?: TimerOptions) => undefined
  /** Whether there was a timer with this key; it does not go off then. */
  readonly cancel: (key: string) => boolean
  /**
   * Has a gateway do something outside of the plant once this command is durable: `effect(Page, { code: 'OVERHEAT' })`. It is done at least once, effects of one name that
   * this entity wants one after the other. With `answer` it hears what came of it, as of an ask. Answers the number of the message. Discarded by `refuse` or a throw.
   */
  readonly effect: <F extends Fields>(effect: Effect<F>, data: InputOf<F>, options?: EffectOptions<AnswerCommand<C>>) => number
}

/** A type that messages go to. */
export interface ToldType {
  readonly name: string
  readonly commands: FieldsByName
}

export interface EffectOptions<Own extends string = string> {
  /** The command of this entity that takes the answer. */
  readonly answer?: Own
}

export interface TimerOptions {
  readonly key?: string
}

export interface AskOptions<Own extends string = string> {
  readonly timeoutMs: number
  /** The command of this entity that takes the answer. */
  readonly answer: Own
}

/** One function per command. */
export type Tells<T extends ToldType> = { readonly [K in keyof T['commands'] & string]: (data: InputOf<T['commands'][K]>) => undefined }
export type Asks<T extends ToldType, Own extends string> = {
  readonly [K in keyof T['commands'] & string]: (data: InputOf<T['commands'][K]>, options: AskOptions<Own>) => number
}

/** The commands that take answers. */
export type AnswerCommand<C extends FieldsByName> = { [K in keyof C & string]: C[K] extends AnswerFields ? K : never }[keyof C & string]

export interface Refusal<Code extends string = string, Detail = unknown> {
  readonly refused: Code
  readonly detail: Detail
}

/** The state of an entity type. */
export type StateOf<T> = T extends { readonly initial: () => infer S } ? S : never

/** Every event of an entity type, as data. */
export type EventOf<T> = T extends { readonly event: infer V }
  ? { [K in keyof V]: V[K] extends (data: never) => infer R ? R : never }[keyof V]
  : never

/** Every command of an entity type, as data. */
export type CommandOf<T> = T extends { readonly command: infer V }
  ? { [K in keyof V]: V[K] extends (data: never) => infer R ? R : never }[keyof V]
  : never

/** What the sender of a command gets: its reply, or why it was refused. `version` is the entity's after the command. */
export type AnswerOf<T, K extends PropertyKey> = T extends { readonly decide: infer D }
  ? K extends keyof D
    ? Answer<D[K] extends (...args: never) => infer R ? R : never>
    : never
  : never

type Answer<R> =
  | { readonly ok: true; readonly version: number; readonly reply: ReplyOf<R> }
  | (Extract<R, Refusal> extends infer F
      ? F extends Refusal<infer Code, infer Detail>
        ? { readonly ok: false; readonly version: number; readonly refused: Code; readonly detail: Detail }
        : never
      : never)

/** A handler that returns nothing replies `undefined`. */
type ReplyOf<R> = Exclude<R, Refusal> extends infer Reply ? (Reply extends void ? undefined : Reply) : never
