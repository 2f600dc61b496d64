import type { Clock } from '#base/clock.js'
import type { Prng } from '#base/prng.js'
import type { BackOffLimits } from './back-off.js'
import type { CommandPlace, NamedCommand } from './command-at-hand.js'
import type { Assignment } from './control-message.js'
import type { Edition } from './editions.js'
import type { Decide } from './process-facts.js'
import type { ChildRole, Seat } from './process-role.js'
import type { ProcessTable } from './process-table.js'
import type { SupervisionEvent } from './supervision-event.js'
import type { TermCounter } from './term-counter.js'

export interface RoleOptions {
  /** Compiled JavaScript with the role's main. */
  readonly entry: string
  /** Seats: 1 journal, as many workers and gateways as configured. */
  readonly count: number
  /** Seats that there may come to be while the plant runs; as many as `count` unless said. */
  readonly countMax?: number
  /** Processes kept loaded beside the seats. */
  readonly spares: number
  readonly execArgv?: readonly string[]
  /** Reaches the process as `birth.settings`. */
  readonly settings?: Readonly<Record<string, unknown>>
}

export interface SupervisionLimits {
  /** How often the counters are looked at. */
  readonly tickMs: number
  /** A process whose native thread does not move its pulse for so long is replaced. */
  readonly pulseLimitMs: number
  /** A turn of the event loop that takes so long is told of, with the command that it executes. */
  readonly longTurnMs: number
  /** A process whose event loop does not turn for so long is replaced; longer than any honest turn of user code. */
  readonly turnLimitMs: number
  /** Spawn to `loaded`. */
  readonly loadLimitMs: number
  /** From the request to stop to the last SIGKILL. */
  readonly stopWithinMs: number
  readonly backOff: BackOffLimits
}

export const SUPERVISION_LIMITS: SupervisionLimits = {
  tickMs: 50,
  pulseLimitMs: 1000,
  longTurnMs: 1000,
  turnLimitMs: 10_000,
  loadLimitMs: 30_000,
  stopWithinMs: 10_000,
  backOff: { firstMs: 50, delayMsMax: 10_000, stableMs: 300, failuresMax: 5, windowMs: 60_000 },
}

export interface SupervisionOptions {
  readonly roles: Readonly<Record<ChildRole, RoleOptions>>
  readonly limits: SupervisionLimits
  readonly table: ProcessTable
  /** Where the table is mapped from, for the children. */
  readonly tablePath?: string | undefined
  readonly terms: TermCounter
  /** src/recovery/decision.ts */
  readonly decide: Decide
  /** What a process gets to know with its seat. */
  readonly assign: (seat: Seat<ChildRole>, term: number, edition: Edition) => Assignment
  /** Makes the living processes known to the next supervisor, durably; called before any of them is given a seat. */
  readonly record: (processes: readonly LivingProcess[]) => void
  /** Clock ticks since boot at which the process started, or undefined when it is gone already. */
  readonly startTimeOf: (pid: number) => number | undefined
  readonly onEvent: (event: SupervisionEvent) => void
  /** Whether a process that failed for want of room may find it now; undefined: always. */
  readonly hasRoom?: (() => boolean) | undefined
  readonly commands?: PlantCommands | undefined
  /** Children write to `<directory>/<role>.log`; undefined: to the supervisor's output. */
  readonly logDirectory?: string | undefined
  readonly clock: Clock
  readonly prng: Prng
}

/** What is known of the commands of a plant by those who can read its channels: the supervision itself knows their places only. */
export interface PlantCommands {
  /** What the place in the channels of a worker's slot holds; undefined: nothing (any more). */
  name(slot: number, place: CommandPlace): NamedCommand | undefined
  /** A command ended so many workers of the slot that it is to be parked before the next one. Told by the events of deaths. */
  isFatal(slot: number): boolean
  /** Parks what `isFatal` is about; from then on it is not. Must not throw. */
  park(slot: number): void
}

export interface LivingProcess {
  readonly role: ChildRole
  readonly pid: number
  readonly startTime: number
}
