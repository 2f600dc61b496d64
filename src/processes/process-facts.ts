import type { ChildRole } from './process-role.js'

/** All that a decision about a seat may depend on, as far as the supervisor knows it at that moment. */
export interface SeatFacts {
  readonly role: ChildRole
  /** Of the seat's holder. `unknown`: SIGKILL was sent and the end not yet seen. `exited`: reaped, or the seat never had one. */
  readonly process: 'alive' | 'unknown' | 'exited'
  /** The native thread's counter moved within its limit. */
  readonly pulse: 'fresh' | 'stale'
  /** The event loop's counter moved within its limit. */
  readonly turn: 'fresh' | 'stale'
  /** The supervisor itself was not scheduled since it last looked, so what it saw says nothing. */
  readonly isSupervisorPaused: boolean
  readonly isStopping: boolean
  /** A process of the role that holds no seat: loaded, still loading, or none. */
  readonly spare: 'standby' | 'loading' | 'none'
  readonly isJournalUp: boolean
  /** Every worker seat is ready, or has been since the start: from then on the gateway need not wait for one that is being replaced. */
  readonly haveWorkersBeenUp: boolean
  /** The seat's holders failed lately and the next one has to wait. */
  readonly seatBackOff: 'over' | 'active'
  /** Processes of the role failed lately before they took a seat, and the next one has to wait. */
  readonly startBackOff: 'over' | 'active'
  /** Failures of this seat, or of processes that were to take it, within the window, against the limit. */
  readonly failures: 'few' | 'many'
}

/**
 * `none`: all is well, or all is done. `kill`: SIGKILL the holder. `wait`: something that must come first has not come yet.
 * `take-spare`: seat a process in standby under a new term. `start-new`: spawn one, which will be a spare first.
 * `report-failing`: wait as well, and say aloud that this seat keeps failing.
 */
export type SeatAction = 'none' | 'kill' | 'wait' | 'take-spare' | 'start-new' | 'report-failing'

export type Decide = (facts: SeatFacts) => SeatAction
