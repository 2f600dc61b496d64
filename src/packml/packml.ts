import { MillraceError } from '#base/errors.js'
import type { DecideContext, Refusal } from '#entity/entity.js'
import { type DataOf, type DeepReadonly, type Field, f64, i64, label } from '#schema/index.js'
import {
  type ActingState,
  commandsOf,
  type HoldFrom,
  isActing,
  PACKML_STATES,
  type PackmlCommand,
  type PackmlState,
  reached,
  STATE_COMPLETE,
  wrongDisabled,
  wrongHoldFrom,
} from './table.js'

/** A unit mode. */
export interface PackmlMode {
  /** 1 is production, 2 maintenance, 3 manual; a machine's own modes are 4 and above. */
  readonly number: number
  /** States that the mode does without: acting ones are passed through, a wait state goes with its acting ones. */
  readonly disabled?: readonly PackmlState[]
}

export interface PackmlOptions<M> {
  /** By name; the first is the one that a machine begins in. Production, Maintenance and Manual unless told. */
  readonly modes?: M
  /** States in which the mode may be changed; Stopped, Idle and Aborted unless told. */
  readonly changeModeIn?: readonly PackmlState[]
  /** From where a machine may be held, besides Execute and Suspended. */
  readonly holdFrom?: readonly HoldFrom[]
}

/** Production, maintenance and manual operation with all states. */
type StandardModes = { readonly Production: PackmlMode; readonly Maintenance: PackmlMode; readonly Manual: PackmlMode }
const STANDARD_MODES: StandardModes = { Production: { number: 1 }, Maintenance: { number: 2 }, Manual: { number: 3 } }

const CHANGE_MODE_IN: readonly PackmlState[] = ['Stopped', 'Idle', 'Aborted']

/** What the machine keeps besides the name of its state. */
export interface PackmlData<Mode extends string> {
  mode: Mode
  /** Parts a minute, as it was told. */
  speed: number
  /** Since the counts were reset: ProdConsumedCount, ProdProcessedCount, ProdDefectiveCount. */
  consumed: number
  produced: number
  defective: number
  /** Of the last stop, abort, hold or suspension that gave one. */
  reason: string | null
}

/** Commands that say why carry a reason. */
const REASON = { reason: label({ optional: true }) } as const

const COMMANDS = {
  reset: {},
  start: {},
  stop: REASON,
  hold: REASON,
  unhold: {},
  suspend: REASON,
  unsuspend: {},
  abort: REASON,
  clear: {},
  complete: {},
  /** The acting state has done its work. `state` names the one that is meant, so that a late word about one does not complete the next. */
  stateComplete: { state: label({ oneOf: Object.keys(STATE_COMPLETE) as ActingState[], optional: true }) },
  /** Parts since the last count. */
  count: { consumed: i64({ default: 0 }), produced: i64({ default: 0 }), defective: i64({ default: 0 }) },
  resetCounts: {},
  setSpeed: { speed: f64('1/min') },
} as const

const EVENTS = {
  ReasonGiven: { command: label(), reason: label() },
  Counted: { consumed: i64(), produced: i64(), defective: i64() },
  CountsReset: {},
  SpeedSet: { speed: f64('1/min') },
} as const

type EventsOf<Mode extends string> = typeof EVENTS & {
  readonly ModeChanged: { readonly from: Field<Mode, 'required'>; readonly to: Field<Mode, 'required'> }
}
type CommandsOf<Mode extends string> = typeof COMMANDS & { readonly setMode: { readonly mode: Field<Mode, 'required'> } }

/** What is needed of the context: a type that is more than a machine has more in it. */
type Context<Mode extends string> = Pick<DecideContext<EventsOf<Mode>>, 'emit' | 'refuse'> & {
  readonly goto: (state: PackmlState) => undefined
  readonly current: string
}
type Receiver<Mode extends string, C extends keyof CommandsOf<Mode>, R> = (
  machine: DeepReadonly<PackmlData<Mode>> & { readonly state: string | null },
  command: DataOf<CommandsOf<Mode>[C]>,
  context: Context<Mode>,
) => R

/** An alias, which declaration files of others write out. */
type Reached = {
  /** The state that the machine is in now. */
  readonly state: string
}
type Disabled = Refusal<'STATE_DISABLED', { readonly state: PackmlState; readonly mode: string }>

interface StateOf<Mode extends string> {
  readonly parent: 'Machine'
  readonly on: { readonly [C in PackmlCommand | 'stateComplete']?: Receiver<Mode, C, Reached | Disabled> }
}

interface Machine<Mode extends string> {
  readonly on: {
    /** In a wait state there is nothing to complete, and nothing comes of it. */
    readonly stateComplete: Receiver<Mode, 'stateComplete', Reached>
    readonly setMode: Receiver<
      Mode,
      'setMode',
      | { readonly mode: Mode }
      | Refusal<'MODE_LOCKED', { readonly state: string | null; readonly changeIn: readonly PackmlState[] }>
      | Disabled
    >
    readonly count: Receiver<
      Mode,
      'count',
      { readonly produced: number; readonly defective: number } | Refusal<'NOT_A_COUNT', { readonly field: string }>
    >
    readonly resetCounts: Receiver<Mode, 'resetCounts', undefined>
    readonly setSpeed: Receiver<Mode, 'setSpeed', undefined>
  }
}

/** The parts of an entity type that is a PackML machine. */
export interface PackmlParts<Mode extends string> {
  readonly events: EventsOf<Mode>
  readonly commands: CommandsOf<Mode>
  readonly initial: () => PackmlData<Mode>
  readonly states: { readonly [S in PackmlState]: StateOf<Mode> } & { readonly Machine: Machine<Mode> }
  readonly start: 'Stopped'
  readonly apply: { readonly [E in keyof EventsOf<Mode>]: (machine: PackmlData<Mode>, event: DataOf<EventsOf<Mode>[E]>) => void }
}

/**
 * A machine as ANSI/ISA-TR88.00.02-2022 has it, as parts of an entity type: `defineEntity({ name: 'press', ...packml() })`, or more of a type with each part spread into
 * a larger one. The state `Machine` is nowhere to go to: it is the parent of all others, so what a machine takes in every state stands there. Acting states
 * say that they are done with the command `stateComplete`. A command that the state does not take is refused with UNHANDLED, one that the mode has no states for with
 * STATE_DISABLED. Throws ERR_ENTITY_DEFINITION when modes or options do not go together.
 */
export function packml<const M extends { readonly [name: string]: PackmlMode } = StandardModes>(
  options: PackmlOptions<M> = {},
): PackmlParts<keyof M & string> {
  type Mode = keyof M & string
  const { changeModeIn = CHANGE_MODE_IN, holdFrom = [] } = options
  const modes = (options.modes ?? STANDARD_MODES) as Readonly<Record<string, PackmlMode>>
  const names = Object.keys(modes) as Mode[]
  check(modes, changeModeIn, holdFrom)

  const disabledIn = (mode: string): readonly PackmlState[] => modes[mode]?.disabled ?? []
  const advance = (mode: string, to: PackmlState, { goto, refuse }: Context<Mode>): Disabled | undefined => {
    const state = reached(to, disabledIn(mode))
    return state === undefined ? refuse('STATE_DISABLED', { state: to, mode }) : goto(state)
  }
  const receive =
    (command: PackmlCommand, to: PackmlState) =>
    (machine: { readonly mode: string }, data: object, context: Context<Mode>): Reached | Disabled => {
      const { reason } = data as { readonly reason?: string }
      if (reason !== undefined) context.emit.ReasonGiven({ command, reason })
      return advance(machine.mode, to, context) ?? { state: context.current }
    }
  const complete =
    (state: ActingState) =>
    (
      machine: { readonly mode: string },
      command: { readonly state?: ActingState | undefined },
      context: Context<Mode>,
    ): Reached | Disabled => {
      if (command.state !== undefined && command.state !== state) return { state: context.current }
      return advance(machine.mode, STATE_COMPLETE[state], context) ?? { state: context.current }
    }
  const stateOf = (state: PackmlState): StateOf<Mode> => ({
    parent: 'Machine',
    on: {
      ...Object.fromEntries(commandsOf(state, holdFrom).map(([command, to]) => [command, receive(command, to)])),
      ...(isActing(state) ? { stateComplete: complete(state) } : {}),
    },
  })
  const machine: Machine<Mode> = {
    on: {
      stateComplete: (_machine, _command, { current }) => ({ state: current }),
      setMode({ mode: from, state }, { mode: to }, { emit, refuse, current }) {
        if (!changeModeIn.includes(current as PackmlState)) return refuse('MODE_LOCKED', { state, changeIn: changeModeIn })
        if (disabledIn(to).includes(current as PackmlState)) return refuse('STATE_DISABLED', { state: current as PackmlState, mode: to })
        if (to !== from) emit.ModeChanged({ from, to } as never)
        return { mode: to }
      },
      count({ produced, defective }, command, { emit, refuse }) {
        const field = (['consumed', 'produced', 'defective'] as const).find((one) => command[one] < 0)
        if (field !== undefined) return refuse('NOT_A_COUNT', { field })
        emit.Counted(command)
        return { produced: produced + command.produced, defective: defective + command.defective }
      },
      resetCounts: (_machine, _command, { emit }) => emit.CountsReset({}),
      setSpeed: (_machine, command, { emit }) => emit.SpeedSet(command),
    },
  }
  const mode = label({ oneOf: names })
  const states = Object.fromEntries((Object.keys(PACKML_STATES) as PackmlState[]).map((state) => [state, stateOf(state)]))
  return {
    events: { ...EVENTS, ModeChanged: { from: mode, to: mode } },
    commands: { ...COMMANDS, setMode: { mode } },
    initial: () => ({ mode: names[0] as Mode, speed: 0, consumed: 0, produced: 0, defective: 0, reason: null }),
    states: { ...(states as { readonly [S in PackmlState]: StateOf<Mode> }), Machine: machine },
    start: 'Stopped',
    apply: {
      ReasonGiven: (state, { reason }) => void (state.reason = reason),
      Counted(state, { consumed, produced, defective }) {
        state.consumed += consumed
        state.produced += produced
        state.defective += defective
      },
      CountsReset(state) {
        state.consumed = 0
        state.produced = 0
        state.defective = 0
      },
      SpeedSet: (state, { speed }) => void (state.speed = speed),
      ModeChanged: (state, event) => void (state.mode = (event as { readonly to: Mode }).to),
    },
  }
}

function check(modes: Readonly<Record<string, PackmlMode>>, changeModeIn: readonly PackmlState[], holdFrom: readonly HoldFrom[]): void {
  const names = Object.keys(modes)
  if (names.length === 0) throw wrong('modes', 'give at least one mode')
  const numbers = new Set<number>()
  for (const name of names) {
    const { number, disabled = [] } = modes[name] as PackmlMode
    if (!Number.isInteger(number) || number < 1)
      throw wrong(`modes.${name}.number`, 'give a whole number from 1: 1 production, 2 maintenance, 3 manual, your own from 4')
    if (numbers.has(number)) throw wrong(`modes.${name}.number`, 'another mode has it')
    numbers.add(number)
    const what = wrongDisabled(disabled)
    if (what !== undefined) throw wrong(`modes.${name}.disabled`, what)
  }
  const acting = changeModeIn.find((state) => !Object.hasOwn(PACKML_STATES, state) || isActing(state))
  if (acting !== undefined) throw wrong('changeModeIn', `the mode changes in wait states alone, and ${acting} is none`)
  const what = wrongHoldFrom(holdFrom)
  if (what !== undefined) throw wrong('holdFrom', what)
}

function wrong(path: string, next: string): MillraceError {
  return new MillraceError('ERR_ENTITY_DEFINITION', {
    fact: 'a PackML machine is defined wrongly',
    action: 'operator',
    values: { path: `packml.${path}` },
    next,
  })
}
