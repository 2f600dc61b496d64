import { type DataOf, type DeepReadonly, type Field, type Fields, label, TRANSITIONED } from '#schema/index.js'
import type { DecideContext, FieldsByName, Refusal } from './entity.js'
import { MachineRuns, type Receiver, type RunnableState } from './state-machine-run.js'

/** One state of `states`. Receivers answer commands like `decide` does; what they return is the reply. */
export interface StateDefinition<E extends FieldsByName, C extends FieldsByName, S, P extends string> {
  /** Whose receivers take what this state has none for. It is neither entered nor exited with this one. */
  readonly parent?: P
  readonly onEnter?: Hook<E, C, S, P>
  readonly onExit?: Hook<E, C, S, P>
  /** By command. */
  readonly on?: {
    readonly [K in keyof C]?: (state: StateBefore<S, P>, command: DataOf<C[K]>, context: MachineContext<E, C, P>) => unknown
  }
  /** Takes every command that `on` of this same state does not, the parents' too: it stands before them. Gets the command with its name. */
  readonly otherwise?: (state: StateBefore<S, P>, command: WholeCommand<C>, context: MachineContext<E, C, P>) => unknown
}

/** Runs when a command makes the machine enter or leave the state, never when a log is replayed; what it emits is stored in that order. */
type Hook<E extends FieldsByName, C extends FieldsByName, S, P extends string> = (
  state: StateBefore<S, P>,
  context: MachineContext<E, C, P>,
  transition: Transition<C, P>,
) => void | undefined

/** The state before the command, whatever happened in this one. */
type StateBefore<S, P extends string> = DeepReadonly<InState<S, P>>

/** The state of an entity with `states`: `state` is the name of the one that it is in, null before its first command. */
export type InState<S, P extends string> = S & { state: P | null }

/** What receivers and hooks get besides what `decide` gets. Valid until the command is decided. */
export type MachineContext<E extends FieldsByName, C extends FieldsByName, P extends string> = DecideContext<E, C> & {
  /**
   * Leaves the current state (`onExit`), is in the new one, enters it (`onEnter`); at once, so that what the caller emits next comes after. To the current state too.
   * Called by `onEnter` it is nested and just so; called by `onExit` it happens first, and what was under way leaves from there.
   */
  readonly goto: (state: P) => undefined
  /** The state that the machine is in now. */
  readonly current: P
}

/** What is under way when a hook runs. */
export interface Transition<C extends FieldsByName, P extends string> {
  /** Null when the machine starts. */
  readonly from: P | null
  readonly to: P
  /** What caused it. */
  readonly command: WholeCommand<C>
}

/** A command with its name. */
export type WholeCommand<C extends FieldsByName> = {
  readonly [K in keyof C]: { readonly command: K; readonly data: DataOf<C[K]> }
}[keyof C]

/** What the compiler asks of `states`; the names of the states are inferred from its keys. */
export type StatesOf<E extends FieldsByName, C extends FieldsByName, S, P extends string> = {
  readonly [K in P]: StateDefinition<E, C, S, NoInfer<P>>
}

/** Asks the impossible of receivers that return a promise. */
export type OnlySynchronousStates<M> = {
  [K in keyof M]: M[K] extends { readonly on: infer O }
    ? { readonly on: { [I in keyof O]: ReturnOf<O[I]> extends infer R ? NotPromised<R> : never } }
    : unknown
}
type NotPromised<R> = Extract<R, PromiseLike<unknown>> extends never ? unknown : 'decide must not return a promise'

/** The fields of the event that transitions are. */
export type TransitionFields<P extends string> = {
  readonly Transitioned: { readonly from: Field<P, 'optional'>; readonly to: Field<P, 'required'> }
}

/** By command what any state may return for it. */
export type MachineReturns<M, C> = Written<{
  [K in Extract<keyof C, string>]: Received<M, K> | Refusal<'UNHANDLED', { readonly state: keyof M & string; readonly command: K }>
}>

/**
 * For what declaration files show: what the type comes to, not how. A mapping of all keys of a type with empty objects in it is declared as these objects; hence `Extract`
 * above.
 */
export type Written<T> = T extends infer Flat ? { [K in keyof Flat]: Flat[K] } : never

type Received<M, K> = {
  [I in keyof M]: (M[I] extends { readonly on: infer O } ? (K extends keyof O ? ReturnOf<O[K]> : never) : never) | OtherwiseOf<M[I]>
}[keyof M]
type OtherwiseOf<T> = T extends { readonly otherwise: infer F } ? ReturnOf<F> : never
type ReturnOf<F> = F extends (...args: never) => infer R ? R : never

/** What a definition with `states` has, once its types are gone. Checked by `wrongStates`. */
export interface MachineDefinition {
  readonly name: string
  readonly events: FieldsByName
  readonly commands: FieldsByName
  readonly initial: () => object
  readonly apply: object
  readonly applyTransition?: (state: object, transition: object) => unknown
  readonly states: Readonly<Record<string, LooseState>>
  readonly start?: string
  readonly renamedStates?: Readonly<Record<string, string>>
  readonly upcast?: object
}

interface LooseState {
  readonly parent?: string
  readonly onEnter?: RunnableState['onEnter']
  readonly onExit?: RunnableState['onExit']
  readonly on?: Readonly<Record<string, Receiver['receive']>>
  readonly otherwise?: Receiver['receive']
}

/**
 * The same definition without `states`, which become a `decide` per command, an event and how it is applied: all that the rest of the runtime
 * sees. Transitions are decided once and stored, so that replay runs no receiver and no hook.
 */
export function withoutStates(definition: MachineDefinition): object {
  const { states, start, renamedStates = {}, applyTransition, ...rest } = definition
  const names = Object.keys(states)
  const runs = new MachineRuns({
    entity: definition.name,
    states: new Map(names.map((name) => [name, runnable(definition, name)])),
    start: start ?? (names[0] as string),
  })
  const decide = Object.keys(definition.commands).map((command) => [
    command,
    (state: object, data: object, context: object) => runs.run(state as { readonly state: string | null }, { command, data }, context),
  ])
  return {
    ...rest,
    events: { ...definition.events, [TRANSITIONED]: transitionFields(names) },
    initial: () => ({ state: null, ...definition.initial() }),
    decide: Object.fromEntries(decide),
    apply: {
      ...definition.apply,
      [TRANSITIONED]: (state: { state: unknown }, event: { readonly to: string }) => {
        state.state = event.to
        return applyTransition?.(state, event)
      },
    },
    upcast: { ...definition.upcast, ...upcastOf(names, renamedStates) },
    adoptState: (state: { state: string | null }) => {
      if (state.state === null) return
      state.state = presentName(renamedStates, state.state)
      if (!names.includes(state.state))
        throw new Error(`it is in the state ${state.state}, which is no more: say under renamedStates what it is now`)
    },
  }
}

/**
 * Who receives each command in a state: the state's own receiver of that name, else its `otherwise`, else the same of its parent, and so on. A child's
 * `otherwise` therefore stands before a parent's receiver.
 */
function runnable({ states, commands }: MachineDefinition, name: string): RunnableState {
  const { onEnter, onExit } = states[name] as LooseState
  const receivers = new Map<string, Receiver>()
  for (const command of Object.keys(commands)) {
    const receiver = receiverOf(states, name, command)
    if (receiver !== undefined) receivers.set(command, receiver)
  }
  return { onEnter, onExit, receivers }
}

function receiverOf(states: MachineDefinition['states'], name: string, command: string): Receiver | undefined {
  for (let at: string | undefined = name; at !== undefined; at = states[at]?.parent) {
    const { on = {}, otherwise } = states[at] as LooseState
    const receive = Object.hasOwn(on, command) ? on[command] : undefined
    if (receive !== undefined) return { receive, takesWhole: false }
    if (otherwise !== undefined) return { receive: otherwise, takesWhole: true }
  }
  return undefined
}

/** In alphabetical order, so that another order of the same states is the same schema. */
function transitionFields(names: readonly string[]): Fields {
  const oneOf = [...names].sort()
  return { from: label({ oneOf, optional: true }), to: label({ oneOf }) }
}

/** One former shape that has all the names there ever were: any stored one is read as it, and then renamed. */
function upcastOf(names: readonly string[], renamed: Readonly<Record<string, string>>): object {
  const former = Object.keys(renamed)
  if (former.length === 0) return {}
  const to = (old: { readonly from?: string; readonly to: string }): object => ({
    ...(old.from === undefined ? {} : { from: presentName(renamed, old.from) }),
    to: presentName(renamed, old.to),
  })
  return { [TRANSITIONED]: [{ from: transitionFields([...names, ...former]), to }] }
}

function presentName(renamed: Readonly<Record<string, string>>, name: string): string {
  return Object.hasOwn(renamed, name) ? (renamed[name] as string) : name
}
