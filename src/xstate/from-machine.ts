import type { AnyStateMachine, ContextFrom, EventFrom, InputFrom, OutputFrom, StateValueFrom } from 'xstate'
import { MillraceError } from '#base/errors.js'
import { STEPPED } from '#schema/index.js'
import { type DataOf, defineEntity, type Entity, type EntityClass, type FieldsByName, json, label, type Refusal } from '#entity/index.js'
import type { DecideContext } from '#entity/entity.js'
import { type Unrunnable, whyNotRunnable } from './machine-check.js'
import { Renames } from './renames.js'
import { leavesOf } from './state-paths.js'
import { applyStep, type ChartState, Statechart, type Step, type StepContext } from './statechart.js'

/** The state of an entity made of a machine: its snapshot as plain data, `value` null and `context` empty before the first command. */
export interface MachineState<T extends AnyStateMachine> {
  readonly value: StateValueFrom<T> | null
  readonly context: ContextFrom<T>
  readonly history: Readonly<Record<string, readonly string[]>>
  readonly status: 'active' | 'done'
  readonly output: OutputFrom<T> | null
}

/** The event that each step of a machine is stored as: what it came to, so that replay does not run the machine. */
const STEPPED_FIELDS = {
  event: label(),
  /** Where the machine is, as a path; of a parallel state the first region. */
  state: label(),
  value: json(),
  context: json<object>({ optional: true }),
  dropped: json<readonly string[]>({ optional: true }),
  history: json<object>({ optional: true }),
  status: label({ oneOf: ['active', 'done'] }),
  output: json({ optional: true }),
} as const

/** Asks the impossible of commands that are no events of the machine, or have other fields. */
type CommandsOf<T extends AnyStateMachine, C extends FieldsByName> = {
  readonly [K in keyof C]: string extends EventFrom<T>['type']
    ? unknown
    : K extends EventFrom<T>['type']
      ? { readonly type: K } & DataOf<C[K]> extends Extract<EventFrom<T>, { type: K }>
        ? unknown
        : 'these fields do not make the event of the machine'
      : 'the machine has no event of this name'
}

/** Not written as a mapping of C alone: the compiler would declare it as the commands' own fields where these are empty. */
type Replies<T extends AnyStateMachine, C> = {
  [K in Extract<keyof C, string>]:
    | { readonly value: StateValueFrom<T> }
    | Refusal<'UNHANDLED', { readonly value: StateValueFrom<T>; readonly command: K }>
}

/** A method, so that an action may declare what its parameters are. */
type Action<E extends FieldsByName, C extends FieldsByName> = { run(params: unknown, context: DecideContext<E, C>): void }['run']

export interface FromMachineOptions<N extends string, T extends AnyStateMachine, C extends FieldsByName, E extends FieldsByName> {
  readonly name: N
  /** By the type of the machine's event its fields: TypeScript alone knows what an event carries, and what is sent must be checked. */
  readonly commands: C & CommandsOf<T, C>
  /** What the machine's `emit` actions emit: stored, and seen by subscriptions and queries. */
  readonly events?: E
  /** What the machine's own actions do here, by name: `decide` at its pure best, with `emit`, `refuse` and the rest of its context. Never run by a replay. */
  readonly actions?: { readonly [name: string]: Action<E, C> }
  /** Made when the first command comes. */
  readonly input?: (context: { readonly entity: string; readonly at: number }) => InputFrom<T>
  /** States that the machine had once, by their path, each with the one that it is now: `{ 'on.soaking': 'on.filling' }`. None of them has states below it. */
  readonly renamedStates?: { readonly [former: string]: string }
  readonly snapshotEvery?: number
  readonly class?: EntityClass
}

/**
 * An entity type that runs an XState 5 machine: its events are the commands, and every step is stored as what it came to (value, what changed of the context, what
 * history states remember), so that state comes from the log alone and another version of the machine reads it as it was. The order within a step is
 * XState's own. Each command replies the state's value; one that enables no transition, or comes after the final state, is refused with UNHANDLED.
 * Context and output are JSON; parts of the context that are undefined count as absent. Throws ERR_ENTITY_DEFINITION naming the
 * part that cannot run: invoked and spawned actors, delays, actions that nothing is said about.
 */
export function fromMachine<const N extends string, T extends AnyStateMachine, C extends FieldsByName, E extends FieldsByName = {}>(
  machine: T,
  options: FromMachineOptions<N, T, C, E>,
): Entity<N, E & { readonly Stepped: typeof STEPPED_FIELDS }, C, MachineState<T>, Replies<T, C>> {
  const { name, commands, events = {}, actions = {}, input, renamedStates = {}, ...rest } = options
  const leaves = leavesOf(machine)
  const wrong = whyNotRunnable(machine, Object.keys(actions)) ?? wrongCommands(machine, commands) ?? wrongRenames(leaves, renamedStates)
  if (wrong !== undefined) {
    throw new MillraceError('ERR_ENTITY_DEFINITION', {
      fact: 'an entity type cannot be made of a machine',
      action: 'operator',
      values: { path: `${name}.${wrong.path}` },
      next: wrong.what,
    })
  }
  const chart = new Statechart({ name, machine, events: Object.keys(events), actions: actions as never, input })
  const decide = Object.keys(commands).map((command) => [
    command,
    (state: ChartState, data: object, context: StepContext) => chart.decide(state, { ...data, type: command }, command, context),
  ])
  const renames = new Renames(name, machine, renamedStates)
  const fields = (states: readonly string[]) => ({ ...STEPPED_FIELDS, state: label({ oneOf: [...states].sort() }) })
  const former = Object.keys(renamedStates)
  const upcast =
    former.length === 0 ? {} : { [STEPPED]: [{ from: fields([...leaves, ...former]), to: (step: Step) => renames.step(step) }] }
  const define = defineEntity as unknown as (definition: object) => object
  const entity = define({
    ...rest,
    name,
    commands,
    events: { ...events, [STEPPED]: fields(leaves) },
    initial: (): ChartState => ({ value: null, context: {}, history: {}, status: 'active', output: null }),
    decide: Object.fromEntries(decide),
    apply: {
      ...Object.fromEntries(Object.keys(events).map((event) => [event, () => undefined])),
      [STEPPED]: (state: ChartState, step: Step) => applyStep(state, step),
    },
    upcast,
  })
  return Object.freeze({ ...entity, adoptState: (state: ChartState) => renames.adopt(state) }) as never
}

function wrongCommands(machine: AnyStateMachine, commands: FieldsByName): Unrunnable | undefined {
  const takesAny = machine.events.some((event) => String(event).endsWith('*'))
  for (const [command, fields] of Object.entries(commands)) {
    if (!takesAny && !machine.events.includes(command))
      return { path: `commands.${command}`, what: `the machine has no event of this type, only ${machine.events.join(', ')}` }
    if (typeof fields === 'object' && fields !== null && Object.hasOwn(fields, 'type'))
      return { path: `commands.${command}.type`, what: 'the type of the event is the name of the command' }
  }
  return undefined
}

function wrongRenames(leaves: readonly string[], renamed: Readonly<Record<string, string>>): Unrunnable | undefined {
  for (const [former, now] of Object.entries(renamed)) {
    const path = `renamedStates.${former}`
    if (leaves.includes(former)) return { path, what: 'the machine still has this state' }
    if (!leaves.includes(now)) return { path, what: `there is no state ${now} without states below it, only ${leaves.join(', ')}` }
  }
  return undefined
}
