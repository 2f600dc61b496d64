import type { FailureKind } from './failure-kind.js'
import type { ChildRole } from './process-role.js'

/** All that a decision about a seat may depend on, as far as the supervisor knows it at that moment. */
export interface SeatFacts {
  readonly role: ChildRole
  /** Of the seat's holder. `unknown`: SIGKILL was sent and the end not yet seen. `exited`: reaped, or the seat never had one. */
  readonly process: 'alive' | 'unknown' | 'exited'
  /** The native thread's counter moved within its limit. */
  readonly pulse: 'fresh' | 'stale'
  /**
   * The event loop's counter moved. `long`: not for longer than an ordinary turn takes, but within the limit; `named`: such a turn that was told of already;
   * `stale`: not within its limit.
   */
  readonly turn: 'fresh' | 'long' | 'named' | 'stale'
  /** The holder is known to all others under the term under which the seat was given away last. */
  readonly isTermNewest: boolean
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
  /** Why the last process that was to hold the seat failed; `none` once one has been ready since. */
  readonly lastFailure: 'none' | FailureKind
  /** Looked at only after a process failed for want of it. */
  readonly hasRoom: boolean
  /** A command ended so many workers of the seat, one after the other, that the next one must not execute it. */
  readonly isCommandFatal: boolean
}

/**
 * `none`: all is well, or all is done. `kill`: SIGKILL the holder. `wait`: something that must come first has not come yet.
 * `take-spare`: seat a process in standby under a new term. `start-new`: spawn one, which will be a spare first.
 * `name-turn`: leave the holder alone, and say which command takes it so long. `park-command`: put the command aside that ends one worker after the other.
 * `report-failing`: wait as well, and say aloud that this seat keeps failing. `ask-operator`: wait, and say aloud what only a person can change.
 */
export type SeatAction =
  | 'none'
  | 'kill'
  | 'wait'
  | 'take-spare'
  | 'start-new'
  | 'name-turn'
  | 'park-command'
  | 'report-failing'
  | 'ask-operator'

export type Decide = (facts: SeatFacts) => SeatAction
