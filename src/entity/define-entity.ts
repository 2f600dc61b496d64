import { inspect } from 'node:util'
import { MillraceError, messageOf } from '#base/errors.js'
import { type DataOf, type DeepReadonly, isPlainObject, isTypeName, wrongName } from '#schema/index.js'
import { encodeCanonical } from './canonical.js'
import type { Effect } from './effect.js'
import type { AnyEntity, DecideContext, Entity, EntityClass, FieldsByName, Passivate } from './entity.js'
import {
  type InState,
  type MachineDefinition,
  type MachineReturns,
  type OnlySynchronousStates,
  type StatesOf,
  type TransitionFields,
  withoutStates,
  type Written,
} from './state-machine.js'
import { wrongInitialOfStates, wrongStates } from './state-machine-check.js'
import { takesSignalNamed } from './signal.js'
import { type Supervision, wrongSupervision } from './supervise.js'
import { isRecord, type Wrong, wrongFields, wrongUpcasts } from './upcast-check.js'
import type { FormerFields, UpcastsOf } from './upcasts.js'

/** Rows after which a snapshot is taken when the entity type does not say. */
export const SNAPSHOT_EVERY_DEFAULT = 1000

/** Event and command types are numbered in 16 bits. */
const NAMES_MAX = 1000

/** One handler per command. Anything may be replied but a promise. */
type Handlers<E extends FieldsByName, C extends FieldsByName, S> = {
  readonly [K in keyof C]: (state: DeepReadonly<S>, command: DataOf<C[K]>, context: DecideContext<E, C>) => unknown
}

/** Asks the impossible of handlers that return a promise or have no command; what they are asked for is what the compiler says then. */
type OnlySynchronous<D, C> = {
  [K in keyof D]: K extends keyof C
    ? D[K] extends (...args: never) => infer R
      ? SynchronousReturn<R>
      : unknown
    : 'there is no command of this name'
}

/** A type has `decide` or `states`. */
type OneOfBoth<P extends string> = [P] extends [never]
  ? { readonly decide: unknown; readonly start?: never; readonly renamedStates?: never; readonly applyTransition?: never }
  : { readonly decide?: never }

/** A definition whose states have become handlers. */
type WholeDefinition = Pick<AnyEntity, 'name' | 'events' | 'commands' | 'initial' | 'decide' | 'apply' | 'upcast' | 'adoptState'>

/** A method, so that its parameter may be declared as what the old state was. */
type FromOld<S> = { from(old: unknown): S }['from']

/** Written so that declaration files show what it comes to. */
type Returns<D> = { [K in keyof D]: D[K] extends (...args: never) => infer R ? R : never } extends infer Flat
  ? { [K in keyof Flat]: Flat[K] }
  : never

type SynchronousReturn<R> = Extract<R, PromiseLike<unknown>> extends never ? unknown : 'decide must not return a promise'

/**
 * Defines an entity type. `decide` answers a command by emitting events, replying or refusing; it sees the state before the command and
 * changes nothing. `apply` changes the state in place, depends on state and event alone and returns nothing; it owns both. Every command
 * has a `decide`, every event an `apply`, and neither may be async. Throws ERR_ENTITY_DEFINITION with the path of what is wrong.
 *
 * With `states` the type is a state machine: their receivers stand in place of `decide`, and each transition is an event `Transitioned`, which names the states
 * and is applied by itself: `state.state` is the name of the current one.
 */
export function defineEntity<
  const N extends string,
  E extends FieldsByName,
  C extends FieldsByName,
  S extends object,
  D extends Handlers<E, C, NoInfer<S>> = Handlers<E, C, NoInfer<S>>,
  const U extends FormerFields = {},
  const P extends string = never,
  M = {},
>(
  definition: {
    /** Lower-case letters, digits and dashes: the part of entity ids before the slash. */
    readonly name: N
    readonly events: E
    readonly commands: C
    /** A new state each time: plain data, see encodeCanonical. */
    readonly initial: () => S
    readonly decide?: D & OnlySynchronous<D, C>
    /** By name; they may have parents. A command that no receiver takes is refused with UNHANDLED. */
    readonly states?: StatesOf<E, C, NoInfer<S>, P> & M & OnlySynchronousStates<M>
    /** The state that the first command starts the machine in, and enters it; the first of `states` unless told. */
    readonly start?: NoInfer<P>
    /** States that the machine had once, each with the one that it is now: `{ Ajar: 'Open' }`. */
    readonly renamedStates?: { readonly [former: string]: NoInfer<P> }
    /** What else a transition does to the state of a type with `states`, which has the new name then. */
    readonly applyTransition?: (
      state: InState<NoInfer<S>, NoInfer<P>>,
      transition: DataOf<TransitionFields<NoInfer<P>>['Transitioned']>,
    ) => undefined | void
    readonly apply: { readonly [K in keyof E]: (state: NoInfer<S>, event: DataOf<E[K]>) => undefined | void }
    readonly snapshotEvery?: number
    /** When its entities leave memory, where the plant's `workers.passivateAfterMs` is too long or too short for them. */
    readonly passivate?: Passivate
    readonly class?: EntityClass
    /**
     * By event the shapes that it was stored in before, the oldest first, each with the pure function that makes it the next one, the last the event as it is:
     * `{ Sampled: [{ from: { temp: f64('°F') }, to: (old) => ({ temperature: (old.temp - 32) / 1.8 }) }] }`. `event` is the name it had then.
     */
    readonly upcast?: UpcastsOf<U, E>
    /** Events that the type had once: what is stored of them stays, counts as versions and changes no state. */
    readonly dropped?: readonly string[]
    /**
     * Commands that leave no row unless their handler emits events or tells something that is stored: for looks, signs of life and other things of the moment. Not
     * stored, they are done at most once: one that another entity told is gone with its process, and one that a device sends twice is done twice.
     */
    readonly volatile?: readonly NoInfer<keyof C & string>[]
    /** Raise it when `apply` makes something else of the same events: then all snapshots are made anew from the log. From 1. */
    readonly stateVersion?: number
    /** Makes today's state of the state in a base snapshot, which stands for rows that retention has dropped; other snapshots are folded anew instead. Pure. */
    readonly upcastState?: FromOld<NoInfer<S>>
    /** What its commands have done outside of the plant: made by defineEffect or httpPost. */
    readonly effects?: readonly Effect[]
    /** What it does about errors of those that it spawns; they are restarted unless told, see `Supervision`. */
    readonly supervise?: Supervision<C, NoInfer<S>>
  } & OneOfBoth<P>,
): [P] extends [never]
  ? Entity<N, E, C, S, Returns<D>>
  : Entity<N, Written<E & TransitionFields<P>>, C, Written<InState<S, P>>, MachineReturns<M, C>> {
  const wrong = whatIsWrong(definition)
  if (wrong !== undefined) {
    throw new MillraceError('ERR_ENTITY_DEFINITION', {
      fact: 'an entity type is defined wrongly',
      action: 'operator',
      values: { path: `${definition?.name}${wrong.path === '' ? '' : `.${wrong.path}`}` },
      next: wrong.what,
    })
  }
  const whole = (
    definition.states === undefined ? definition : withoutStates(definition as unknown as MachineDefinition)
  ) as WholeDefinition
  const { name, events, commands, initial, decide, apply } = whole
  const makers = (kind: 'event' | 'command', names: object) =>
    Object.freeze(Object.fromEntries(Object.keys(names).map((one) => [one, (data: object) => ({ [kind]: one, data })])))
  return Object.freeze({
    name,
    events,
    commands,
    initial,
    decide,
    apply,
    snapshotEvery: definition.snapshotEvery ?? SNAPSHOT_EVERY_DEFAULT,
    passivate: definition.passivate,
    class: definition.class ?? 'normal',
    upcast: Object.freeze({ ...whole.upcast }),
    dropped: Object.freeze([...(definition.dropped ?? [])]),
    volatile: Object.freeze([...(definition.volatile ?? [])]),
    stateVersion: definition.stateVersion ?? 1,
    upcastState: definition.upcastState,
    adoptState: whole.adoptState,
    effects: Object.freeze([...(definition.effects ?? [])]),
    supervise: definition.supervise,
    event: makers('event', events),
    command: makers('command', commands),
  }) as never
}

/** Whether a value of unknown origin is what defineEntity returned, also by another copy of this package. */
export function isEntity(value: unknown): value is AnyEntity {
  if (!isRecord(value)) return false
  const { name, events, commands, decide, apply, snapshotEvery } = value
  return (
    typeof name === 'string' &&
    isRecord(events) &&
    isRecord(commands) &&
    isRecord(decide) &&
    isRecord(apply) &&
    typeof snapshotEvery === 'number'
  )
}

/** Checks what the compiler checks once more, since plain JavaScript comes by too. */
function whatIsWrong(definition: object): Wrong | undefined {
  const given = definition as Readonly<Record<string, unknown>>
  if (!isRecord(given)) return { path: '', what: 'give an object with name, events, commands, initial, decide and apply' }
  if (typeof given.name !== 'string' || !isTypeName(given.name)) {
    return { path: 'name', what: 'use at most 64 lower-case letters, digits and dashes, a letter first' }
  }
  const isMachine = given.states !== undefined
  return (
    wrongFieldsByName('events', given.events) ??
    wrongFieldsByName('commands', given.commands) ??
    (isMachine ? wrongStates(given) : wrongHandlers('decide', given.decide, 'command', given.commands as object)) ??
    wrongHandlers('apply', given.apply, 'event', given.events as object) ??
    wrongUpcasts(given) ??
    wrongOptions(given) ??
    wrongSupervision(given.supervise, (name) => takesSignalNamed(given.commands as FieldsByName, name)) ??
    wrongInitial(given.initial, isMachine)
  )
}

/** What is wrong with the events or commands of a definition. */
function wrongFieldsByName(path: string, value: unknown): Wrong | undefined {
  if (!isRecord(value)) return { path, what: 'give an object of objects of fields, such as { Sampled: { temperature: f64() } }' }
  const names = Object.keys(value)
  if (names.length > NAMES_MAX) return { path, what: `have at most ${NAMES_MAX} of them` }
  for (const name of names) {
    const wrong = wrongName(name)
    if (wrong !== undefined) return { path: `${path}.${name}`, what: wrong }
    const wrongOne = wrongFields(`${path}.${name}`, value[name])
    if (wrongOne !== undefined) return wrongOne
  }
  return undefined
}

function wrongHandlers(path: string, value: unknown, kind: 'command' | 'event', names: object): Wrong | undefined {
  if (!isRecord(value)) return { path, what: `give an object with a function for each ${kind}` }
  for (const name of Object.keys(names)) {
    if (!Object.hasOwn(value, name) || typeof value[name] !== 'function')
      return { path: `${path}.${name}`, what: `give a function for this ${kind}` }
    const { name: className } = (value[name] as object).constructor
    if (className !== 'Function') return { path: `${path}.${name}`, what: 'make it a plain function, neither async nor a generator' }
  }
  const extra = Object.keys(value).find((name) => !Object.hasOwn(names, name))
  return extra === undefined ? undefined : { path: `${path}.${extra}`, what: `there is no ${kind} of this name` }
}

function wrongOptions(given: Readonly<Record<string, unknown>>): Wrong | undefined {
  const { snapshotEvery } = given
  if (snapshotEvery !== undefined && !(Number.isSafeInteger(snapshotEvery) && (snapshotEvery as number) > 0)) {
    return { path: 'snapshotEvery', what: 'give a whole number of rows above 0' }
  }
  if (given.stateVersion !== undefined && !(Number.isSafeInteger(given.stateVersion) && (given.stateVersion as number) > 0)) {
    return { path: 'stateVersion', what: 'give a whole number above 0' }
  }
  const unknown = unknownVolatile(given)
  if (unknown !== undefined) return { path: 'volatile', what: unknown }
  if (given.upcastState !== undefined && typeof given.upcastState !== 'function')
    return { path: 'upcastState', what: 'give a function from an old state to a new one' }
  if (!isPassivate(given.passivate)) return { path: 'passivate', what: "use 'never' or { afterMs } with whole milliseconds above 0" }
  const { effects = [] } = given
  if (!Array.isArray(effects) || effects.some((one: unknown) => !isRecord(one) || one['kind'] !== 'effect'))
    return { path: 'effects', what: 'give a list of what defineEffect or httpPost made' }
  if (given.class !== undefined && given.class !== 'critical' && given.class !== 'normal')
    return { path: 'class', what: "use 'critical' or 'normal'" }
  const known = [
    'name',
    'events',
    'commands',
    'initial',
    ...(given.states === undefined ? ['decide'] : ['states', 'start', 'renamedStates', 'applyTransition']),
  ]
  known.push('apply', 'snapshotEvery', 'passivate', 'class')
  known.push('upcast', 'dropped', 'volatile', 'stateVersion', 'upcastState', 'effects', 'supervise')
  const extra = Object.keys(given).find((key) => !known.includes(key))
  return extra === undefined ? undefined : { path: extra, what: `there is no such part, only ${known.join(', ')}` }
}

function unknownVolatile({ volatile: names, commands }: Readonly<Record<string, unknown>>): string | undefined {
  if (names === undefined) return undefined
  if (!Array.isArray(names)) return "give a list of commands, such as ['look']"
  const isKnown = (name: unknown): boolean => typeof name === 'string' && Object.hasOwn(commands as object, name)
  const index = names.findIndex((name) => !isKnown(name))
  return index < 0 ? undefined : `there is no command ${inspect(names[index])}`
}

function isPassivate(passivate: unknown): boolean {
  if (passivate === undefined || passivate === 'never') return true
  return isRecord(passivate) && Number.isSafeInteger(passivate['afterMs']) && (passivate['afterMs'] as number) > 0
}

function wrongInitial(initial: unknown, isMachine: boolean): Wrong | undefined {
  if (typeof initial !== 'function') return { path: 'initial', what: 'give a function that returns a new state' }
  let state: unknown
  try {
    state = initial()
  } catch (error) {
    return { path: 'initial', what: `make it work without the world, it threw: ${messageOf(error)}` }
  }
  if (typeof state !== 'object' || state === null || !isPlainObject(state)) return { path: 'initial', what: 'return a plain object' }
  if (state === initial()) return { path: 'initial', what: 'return a new object each time: entities would share this one' }
  try {
    encodeCanonical(state)
  } catch (error) {
    return { path: 'initial', what: messageOf(error) }
  }
  return isMachine ? wrongInitialOfStates(state) : undefined
}
