import { isDeepStrictEqual } from 'node:util'
import { type AnyMachineSnapshot, type AnyStateMachine, initialTransition, transition } from 'xstate'
import { whyNotJson } from '#schema/index.js'
import { leavesOf, pathsOf, type StateValue } from './state-paths.js'

/** What a step of a machine comes to, as it is stored: all that replay needs, so that it never runs the machine. */
export interface Step {
  /** The type of the machine's event. */
  readonly event: string
  /** Path of the first state in `value` that has none below it. */
  readonly state: string
  readonly value: unknown
  /** Parts of the context that are new or others, whole. */
  readonly context?: object
  /** Parts of the context that are gone. */
  readonly dropped?: readonly string[]
  /** What history states remember, by their node the ids of the remembered ones. */
  readonly history?: object
  readonly status: 'active' | 'done'
  readonly output?: unknown
}

/** The state of an entity that is a machine: its snapshot as plain data. `value` is null before the first command. */
export interface ChartState {
  value: unknown
  context: Record<string, unknown>
  history: unknown
  status: 'active' | 'done'
  output: unknown
}

/** What of a `decide` context is used here. */
export interface StepContext {
  readonly emit: Readonly<Record<string, (data: object) => undefined>>
  readonly refuse: (code: string, detail: object) => unknown
  readonly entity: string
  readonly at: number
}

export interface ChartOptions {
  /** Of the entity type, for errors. */
  readonly name: string
  readonly machine: AnyStateMachine
  readonly events: readonly string[]
  readonly actions: Readonly<Record<string, (params: unknown, context: object) => unknown>>
  readonly input: ((context: { readonly entity: string; readonly at: number }) => unknown) | undefined
}

const INIT = 'xstate.init'

/** Runs a machine step by step through its pure transition. Holds nothing between two steps. */
export class Statechart {
  readonly #options: ChartOptions
  readonly #leaves: readonly string[]

  constructor(options: ChartOptions) {
    this.#options = options
    this.#leaves = leavesOf(options.machine)
  }

  /** Decides one event of the machine: the reply, or the refusal UNHANDLED where it enables no transition. Throws what the machine throws. */
  decide(state: ChartState, event: { readonly type: string }, command: string, context: StepContext): unknown {
    const { machine } = this.#options
    let known = state
    if (state.value === null) {
      const [first, actions] = initialTransition(machine, this.#options.input?.({ entity: context.entity, at: context.at }))
      known = this.#take({ ...state, context: {} }, INIT, first, actions, context)
    }
    const before = this.#restore(known)
    if (before.status !== 'active' || !before.can(event)) return context.refuse('UNHANDLED', { value: known.value, command })
    const [next, actions] = transition(machine, before, event)
    return { value: this.#take(known, event.type, next, actions, context).value }
  }

  /** Emits what a step comes to, and tells the state after it. */
  #take(state: ChartState, event: string, snapshot: AnyMachineSnapshot, actions: readonly Executable[], context: StepContext): ChartState {
    if (snapshot.status === 'error') throw snapshot.error
    const children = Object.keys(snapshot.children)
    if (children.length > 0) throw this.#error(event, `it spawned ${children.join(', ')}, and an entity has no actors of its own`)
    for (const action of actions) this.#act(event, action, context)
    const step = this.#stepOf(state, event, snapshot)
    if (step === undefined) return state
    context.emit['Stepped']?.(step)
    const after = { ...state, context: { ...state.context } }
    applyStep(after, structuredClone(step))
    return after
  }

  #act(event: string, { type, params }: Executable, context: StepContext): void {
    const own = this.#options.actions[type]
    if (own !== undefined) {
      const returned = own(params, context)
      if (typeof (returned as { then?: unknown } | undefined)?.then === 'function') {
        Promise.resolve(returned).then(undefined, () => undefined)
        throw this.#error(event, `the action ${type} returned a promise: actions are synchronous, as decide is`)
      }
      return
    }
    const { delay, event: what } = (params ?? {}) as { readonly delay?: unknown; readonly event?: { readonly type: string } }
    if (type === 'xstate.raise' && delay === undefined) return
    if (type !== 'xstate.emit' || what === undefined)
      throw this.#error(event, `the action ${type}${delay === undefined ? '' : ' with a delay'} is not run by an entity`)
    const { type: name, ...data } = what
    if (!this.#options.events.includes(name))
      throw this.#error(event, `it emitted ${name}, which is not among the events of ${this.#options.name}`)
    context.emit[name]?.(data)
  }

  /** Undefined when nothing has changed. */
  #stepOf(state: ChartState, event: string, snapshot: AnyMachineSnapshot): Step | undefined {
    const { value, status } = snapshot
    const output = status === 'done' ? (snapshot.output as unknown) : undefined
    const context = definedParts(snapshot.context as object)
    const changed = Object.entries(context).filter(([key, part]) => !isDeepStrictEqual(part, state.context[key]))
    const dropped = Object.keys(state.context).filter((key) => !Object.hasOwn(context, key))
    const history = this.#historyOf(snapshot)
    const isSame =
      isDeepStrictEqual(value, state.value) &&
      changed.length + dropped.length === 0 &&
      isDeepStrictEqual(history, state.history) &&
      status === state.status
    if (isSame) return undefined
    const parts = Object.fromEntries(changed)
    const wrong = whyNotJson(parts, 'context') ?? (output === undefined ? undefined : whyNotJson(output, 'output'))
    if (wrong !== undefined) throw this.#error(event, `${wrong}: it is stored as JSON`)
    return {
      event,
      state: this.#firstOf(pathsOf(value as StateValue)),
      value,
      ...(changed.length === 0 ? {} : { context: parts }),
      ...(dropped.length === 0 ? {} : { dropped }),
      ...(isDeepStrictEqual(history, state.history) ? {} : { history }),
      status: status === 'done' ? 'done' : 'active',
      ...(output === undefined ? {} : { output }),
    }
  }

  /** In document order, which a value that was read from a log has not. */
  #firstOf(paths: readonly string[]): string {
    const [first = ''] = paths.length === 1 ? paths : this.#leaves.filter((leaf) => paths.includes(leaf))
    return first
  }

  #historyOf({ historyValue }: AnyMachineSnapshot): object {
    const remembered = Object.entries(historyValue as Readonly<Record<string, readonly { readonly id: string }[]>>)
    return Object.fromEntries(remembered.map(([node, nodes]) => [node, nodes.map(({ id }) => id)]))
  }

  /** The machine gets copies: what it changes in place must not get past the log. */
  #restore(state: ChartState): AnyMachineSnapshot {
    const { machine, name } = this.#options
    const { context, value, history, status } = structuredClone(state)
    const historyValue = Object.fromEntries(
      Object.entries(history as Readonly<Record<string, readonly string[]>>).map(([node, ids]) => [node, ids.map((id) => ({ id }))]),
    )
    try {
      const snapshot = { value, context, historyValue, status, output: undefined, error: undefined, children: {} }
      return machine.restoreSnapshot(snapshot, NO_SCOPE) as AnyMachineSnapshot
    } catch (cause) {
      throw new Error(`${name}: it is in the state ${JSON.stringify(state.value)}, which the machine has no more`, { cause })
    }
  }

  #error(event: string, what: string): Error {
    return new Error(`${this.#options.name}: ${event}: ${what}`)
  }
}

/** Read by machines with children alone. */
const NO_SCOPE = undefined as never

interface Executable {
  readonly type: string
  readonly params: unknown
}

/** Changes the state by a step that was stored. It owns both. */
export function applyStep(state: ChartState, { value, context, dropped, history, status, output }: Step): void {
  state.value = value
  if (context !== undefined) Object.assign(state.context, context)
  for (const key of dropped ?? []) delete state.context[key]
  if (history !== undefined) state.history = history
  state.status = status
  if (output !== undefined) state.output = output
}

/** To a machine a part that is undefined is one that is not there, and JSON knows only the latter. */
function definedParts(context: object): object {
  return Object.fromEntries(Object.entries(context).filter(([, part]) => part !== undefined))
}
