import type { DecideContext, Refusal } from '#entity/entity.js'
import { bool, type DataOf, type DeepReadonly, f64, label, text, time } from '#schema/index.js'

/** The states of ANSI/ISA-18.2, by its letters, with what OPC UA calls them. */
export const ALARM_STATES = {
  Normal: { letter: 'A', isActive: false, isAcknowledged: true },
  Unacknowledged: { letter: 'B', isActive: true, isAcknowledged: false },
  Acknowledged: { letter: 'C', isActive: true, isAcknowledged: true },
  Returned: { letter: 'D', isActive: false, isAcknowledged: false },
  LatchedUnacknowledged: { letter: 'E', isActive: false, isAcknowledged: false },
  LatchedAcknowledged: { letter: 'F', isActive: false, isAcknowledged: true },
  Shelved: { letter: 'G' },
  Suppressed: { letter: 'H' },
  OutOfService: { letter: 'I' },
} as const

export type AlarmState = keyof typeof ALARM_STATES

export interface AlarmOptions {
  /** Whether the alarm stays until it is reset, once it was raised. */
  readonly isLatching?: boolean
  /** 1 is critical, 4 the least. */
  readonly priority?: 1 | 2 | 3 | 4
  /** Longest time that an operator may shelve the alarm for, milliseconds; a shift of 8 hours unless told. */
  readonly shelveMsMax?: number
}

/** What an alarm keeps besides the name of its state. Times are microseconds since 1970, null while there is none. */
export interface AlarmData {
  priority: number
  /** Whether the condition holds, whatever operators did about the alarm. */
  isActive: boolean
  value: number | null
  limit: number | null
  raisedAt: number | null
  returnedAt: number | null
  acknowledgedAt: number | null
  operator: string | null
  comment: string | null
  /** Until when it is shelved; null when it is not, or by one shot. */
  shelvedUntil: number | null
  isOneShot: boolean
  raisedCount: number
}

const BY = { operator: label(), comment: text({ optional: true }) } as const

const COMMANDS = {
  /** The condition holds. */
  raise: { value: f64({ optional: true }), limit: f64({ optional: true }) },
  /** It holds no more. */
  returnToNormal: { value: f64({ optional: true }) },
  acknowledge: BY,
  /** Of a latching alarm: it is over. */
  reset: BY,
  /** For some time; without one until the condition holds no more (one shot). */
  shelve: { ...BY, ms: f64('ms', { optional: true }) },
  unshelve: BY,
  /** By design, such as while the machine is stopped. */
  suppress: {},
  unsuppress: {},
  removeFromService: BY,
  returnToService: BY,
} as const

const EVENTS = {
  Raised: { at: time(), value: f64({ optional: true }), limit: f64({ optional: true }) },
  Returned: { at: time(), value: f64({ optional: true }) },
  /** What an operator did. */
  Operated: { at: time(), command: label(), operator: label(), comment: text({ optional: true }) },
  Shelved: { isOneShot: bool(), until: time({ optional: true }) },
} as const

/** What is needed of the context: a type that is more than an alarm has more in it. */
type Context = Pick<DecideContext<typeof EVENTS>, 'emit' | 'refuse' | 'at' | 'cancel'> & {
  readonly goto: (state: AlarmState) => undefined
  readonly current: string
  readonly after: (ms: number, command: 'unshelve', data: { readonly operator: string }, options: { readonly key: string }) => undefined
}
type Alarm = DeepReadonly<AlarmData> & { readonly state: string | null }
type Command = keyof typeof COMMANDS
/** An alias, which declaration files of others write out. */
type Reached = {
  /** The state that the alarm is in now. */
  readonly state: string
}
type NotAShelfTime = Refusal<'NOT_A_SHELF_TIME', { readonly msMax: number }>
type Receiver<C extends Command> = (
  alarm: Alarm,
  command: DataOf<(typeof COMMANDS)[C]>,
  context: Context,
) => C extends 'shelve' ? Reached | NotAShelfTime : Reached
type Receivers = { readonly [C in Command]?: Receiver<C> }
interface State {
  readonly on: Receivers
  readonly onExit?: (alarm: Alarm, context: Context) => void
}

/** The parts of an entity type that is an alarm. */
export interface AlarmParts {
  readonly events: typeof EVENTS
  readonly commands: typeof COMMANDS
  readonly initial: () => AlarmData
  readonly states: { readonly [S in AlarmState]: State }
  readonly start: 'Normal'
  readonly apply: { readonly [E in keyof typeof EVENTS]: (alarm: AlarmData, event: DataOf<(typeof EVENTS)[E]>) => void }
  readonly applyTransition: (alarm: AlarmData, transition: { readonly from?: string | undefined }) => void
}

const SHELVE_MS_MAX = 8 * 3_600_000
/** Of the timer that ends a shelving. */
const SHELF = { key: 'alarm-shelf' } as const
/** Whose doing it is when that timer goes off. */
const TIMER = 'timer'

/**
 * An alarm as ANSI/ISA-18.2 has it, as parts of an entity type: `defineEntity({ name: 'alarm', ...alarm() })`, one entity for each alarm of each machine.
 * `raise` and `returnToNormal` say whether its condition holds and are heard in every state; the others are what operators do. A condition that holds when shelving,
 * suppression or the time out of service is over raises the alarm anew; one that does not leaves it normal. A command that a state does not take is refused with UNHANDLED.
 */
export function alarm(options: AlarmOptions = {}): AlarmParts {
  const { isLatching = false, priority = 3, shelveMsMax = SHELVE_MS_MAX } = options

  const raise =
    (to?: AlarmState): Receiver<'raise'> =>
    ({ isActive }, command, context) => {
      if (!isActive) context.emit.Raised({ at: context.at, ...command })
      return reach(to, context)
    }
  const returnToNormal =
    (to: (alarm: Alarm) => AlarmState | undefined): Receiver<'returnToNormal'> =>
    (state, command, context) => {
      if (state.isActive) context.emit.Returned({ at: context.at, ...command })
      return reach(to(state), context)
    }
  /** Operators are written down. */
  const operate =
    (command: Command, to: (alarm: Alarm) => AlarmState): Receiver<'acknowledge'> =>
    (state, by, context) => {
      context.emit.Operated({ at: context.at, command, ...by })
      return reach(to(state), context)
    }
  const shelve: Receiver<'shelve'> = (state, { ms, ...by }, context) => {
    if (ms !== undefined && !(ms > 0 && ms <= shelveMsMax)) return context.refuse('NOT_A_SHELF_TIME', { msMax: shelveMsMax })
    const until = ms === undefined ? undefined : context.at + Math.round(ms * 1000)
    const reached = operate('shelve', () => 'Shelved')(state, by, context)
    context.emit.Shelved({ isOneShot: ms === undefined, until })
    if (ms !== undefined) context.after(ms, 'unshelve', { operator: TIMER }, SHELF)
    return reached
  }
  const suppress: Receiver<'suppress'> = (_alarm, _command, context) => reach('Suppressed', context)
  const removeFromService = operate('removeFromService', () => 'OutOfService')
  const setAside = { shelve, suppress, removeFromService }
  const afresh = ({ isActive }: Alarm): AlarmState => (isActive ? 'Unacknowledged' : 'Normal')
  const stay = (): undefined => undefined

  return {
    events: EVENTS,
    commands: COMMANDS,
    initial: () => ({
      priority,
      isActive: false,
      value: null,
      limit: null,
      raisedAt: null,
      returnedAt: null,
      acknowledgedAt: null,
      operator: null,
      comment: null,
      shelvedUntil: null,
      isOneShot: false,
      raisedCount: 0,
    }),
    start: 'Normal',
    states: {
      Normal: { on: { ...setAside, raise: raise('Unacknowledged'), returnToNormal: returnToNormal(stay) } },
      Unacknowledged: {
        on: {
          ...setAside,
          raise: raise(),
          returnToNormal: returnToNormal(() => (isLatching ? 'LatchedUnacknowledged' : 'Returned')),
          acknowledge: operate('acknowledge', () => 'Acknowledged'),
        },
      },
      Acknowledged: {
        on: { ...setAside, raise: raise(), returnToNormal: returnToNormal(() => (isLatching ? 'LatchedAcknowledged' : 'Normal')) },
      },
      Returned: {
        on: {
          ...setAside,
          raise: raise('Unacknowledged'),
          returnToNormal: returnToNormal(stay),
          acknowledge: operate('acknowledge', () => 'Normal'),
        },
      },
      LatchedUnacknowledged: {
        on: {
          ...setAside,
          raise: raise('Unacknowledged'),
          returnToNormal: returnToNormal(stay),
          acknowledge: operate('acknowledge', () => 'LatchedAcknowledged'),
        },
      },
      LatchedAcknowledged: {
        on: {
          ...setAside,
          raise: raise('Unacknowledged'),
          returnToNormal: returnToNormal(stay),
          reset: operate('reset', () => 'Normal'),
        },
      },
      Shelved: {
        onExit: (_alarm, { cancel }) => void cancel(SHELF.key),
        on: {
          ...setAside,
          raise: raise(),
          returnToNormal: returnToNormal(({ isActive, isOneShot }) => (isActive && isOneShot ? 'Normal' : undefined)),
          unshelve: operate('unshelve', afresh),
        },
      },
      Suppressed: {
        on: {
          removeFromService,
          raise: raise(),
          returnToNormal: returnToNormal(stay),
          unsuppress: (state, _command, context) => reach(afresh(state), context),
        },
      },
      OutOfService: { on: { raise: raise(), returnToNormal: returnToNormal(stay), returnToService: operate('returnToService', afresh) } },
    },
    apply: {
      Raised(state, { at, value, limit }) {
        state.isActive = true
        state.raisedAt = at
        state.value = value ?? null
        state.limit = limit ?? null
        state.raisedCount++
      },
      Returned(state, { at, value }) {
        state.isActive = false
        state.returnedAt = at
        state.value = value ?? state.value
      },
      Operated(state, { at, command, operator, comment }) {
        state.operator = operator
        state.comment = comment ?? null
        if (command === 'acknowledge') state.acknowledgedAt = at
      },
      Shelved(state, { isOneShot, until }) {
        state.isOneShot = isOneShot
        state.shelvedUntil = until ?? null
      },
    },
    applyTransition(state, { from }) {
      if (from !== 'Shelved') return
      state.isOneShot = false
      state.shelvedUntil = null
    },
  }
}

function reach(to: AlarmState | undefined, context: Context): Reached {
  if (to !== undefined) context.goto(to)
  return { state: context.current }
}
