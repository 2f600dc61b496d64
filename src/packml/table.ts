/**
 * The states, commands and transitions of ANSI/ISA-TR88.00.02-2022 as data, with its numbers. (OPC 30060 numbers the states differently.)
 */
export const PACKML_STATES = {
  Clearing: 1,
  Stopped: 2,
  Starting: 3,
  Idle: 4,
  Suspended: 5,
  Execute: 6,
  Stopping: 7,
  Aborting: 8,
  Aborted: 9,
  Holding: 10,
  Held: 11,
  Unholding: 12,
  Suspending: 13,
  Unsuspending: 14,
  Resetting: 15,
  Completing: 16,
  Complete: 17,
} as const

export type PackmlState = keyof typeof PACKML_STATES

export const PACKML_COMMANDS = {
  reset: 1,
  start: 2,
  stop: 3,
  hold: 4,
  unhold: 5,
  suspend: 6,
  unsuspend: 7,
  abort: 8,
  clear: 9,
  complete: 10,
} as const

export type PackmlCommand = keyof typeof PACKML_COMMANDS

/** Where an acting state goes when it is complete. A state that is not here is a wait state, and is left by commands alone. */
export const STATE_COMPLETE = {
  Clearing: 'Stopped',
  Starting: 'Execute',
  Execute: 'Completing',
  Stopping: 'Stopped',
  Aborting: 'Aborted',
  Holding: 'Held',
  Unholding: 'Execute',
  Suspending: 'Suspended',
  Unsuspending: 'Execute',
  Resetting: 'Idle',
  Completing: 'Complete',
} as const satisfies Partial<Record<PackmlState, PackmlState>>

export type ActingState = keyof typeof STATE_COMPLETE

/** States that every mode has. */
const MINIMUM: ReadonlySet<PackmlState> = new Set(['Stopped', 'Idle', 'Execute', 'Aborted'])

/** Wait states that a mode may do without, each with the acting states that lead to it or away: they go together. */
const BRANCHES: Readonly<Partial<Record<PackmlState, readonly PackmlState[]>>> = {
  Held: ['Holding', 'Unholding'],
  Suspended: ['Suspending', 'Unsuspending'],
  Complete: ['Completing'],
}

/** From where the standard lets a machine be held by choice, besides Execute and Suspended. */
export type HoldFrom = 'Idle' | 'Starting' | 'Unholding' | 'Suspending' | 'Unsuspending' | 'Completing' | 'Complete'
const HOLD_FROM: readonly PackmlState[] = ['Idle', 'Starting', 'Unholding', 'Suspending', 'Unsuspending', 'Completing', 'Complete']

const ABORTED: ReadonlySet<PackmlState> = new Set(['Aborting', 'Aborted'])
const STOPPED: ReadonlySet<PackmlState> = new Set(['Stopped', 'Stopping', 'Clearing', ...ABORTED])
const ALL = Object.keys(PACKML_STATES) as PackmlState[]

/** By command from which states it is taken, and where it leads. */
const TRANSITIONS: Readonly<Record<PackmlCommand, { readonly from: readonly PackmlState[]; readonly to: PackmlState }>> = {
  reset: { from: ['Stopped', 'Complete'], to: 'Resetting' },
  start: { from: ['Idle'], to: 'Starting' },
  stop: { from: ALL.filter((state) => !STOPPED.has(state)), to: 'Stopping' },
  hold: { from: ['Execute', 'Suspended'], to: 'Holding' },
  unhold: { from: ['Held'], to: 'Unholding' },
  suspend: { from: ['Execute'], to: 'Suspending' },
  unsuspend: { from: ['Suspended'], to: 'Unsuspending' },
  abort: { from: ALL.filter((state) => !ABORTED.has(state)), to: 'Aborting' },
  clear: { from: ['Aborted'], to: 'Clearing' },
  complete: { from: ['Execute', 'Held', 'Suspended'], to: 'Completing' },
}

export function isActing(state: PackmlState): state is ActingState {
  return Object.hasOwn(STATE_COMPLETE, state)
}

/** The commands that a state takes, with where they lead when nothing is disabled. */
export function commandsOf(state: PackmlState, holdFrom: readonly HoldFrom[]): [PackmlCommand, PackmlState][] {
  return (Object.keys(TRANSITIONS) as PackmlCommand[])
    .filter(
      (command) =>
        TRANSITIONS[command].from.includes(state) || (command === 'hold' && (holdFrom as readonly PackmlState[]).includes(state)),
    )
    .map((command) => [command, TRANSITIONS[command].to])
}

/** Where a transition comes to in a mode: an acting state that is disabled is passed through. Undefined when it ends in a wait state that the mode has not. */
export function reached(to: PackmlState, disabled: readonly PackmlState[]): PackmlState | undefined {
  let state = to
  while (disabled.includes(state) && isActing(state)) state = STATE_COMPLETE[state]
  return disabled.includes(state) ? undefined : state
}

/** What is wrong with the states that a mode does without, or undefined. */
export function wrongDisabled(disabled: readonly PackmlState[]): string | undefined {
  for (const state of disabled) {
    if (!Object.hasOwn(PACKML_STATES, state)) return `there is no state ${state}`
    if (MINIMUM.has(state)) return `every mode has ${state}`
    const missing = (BRANCHES[state] ?? []).find((one) => !disabled.includes(one))
    if (missing !== undefined) return `a mode without ${state} is without ${missing} too`
  }
  return undefined
}

/** What is wrong with a choice of states from which a machine may be held too. */
export function wrongHoldFrom(states: readonly string[]): string | undefined {
  const wrong = states.find((state) => !(HOLD_FROM as readonly string[]).includes(state))
  return wrong === undefined ? undefined : `a machine is held from ${HOLD_FROM.join(', ')} by choice, and not from ${wrong}`
}
