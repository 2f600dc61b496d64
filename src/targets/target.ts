import type { Clock } from '#base/clock.js'
import type { SourceLog } from '#ingest/source.js'
import type { SubscribeOptions, Subscription } from '#reading/subscription.js'

/**
 * Something that takes events out of a plant, as it stands in `definePlant({ targets: [...] })`. The gateway starts it once the plant is ready. It reads the
 * log under its name, so it goes on where it was after any restart, and retention keeps what it has not had.
 */
export interface TargetDefinition {
  /** Such as `mqtt`. */
  readonly kind: string
  /** Unique in a plant: the name of its subscription, and what it is called in logs and metrics. */
  readonly name: string
  /** Throws a MillraceError when it cannot begin: options that are wrong, a file that is not there. Waits for nobody. */
  start(context: TargetContext): Promise<RunningTarget>
}

export interface TargetContext {
  /** Opens a subscription of the plant's log. The target closes it. */
  readonly subscribe: (options: SubscribeOptions) => Subscription
  readonly clock: Clock
  readonly log: SourceLog
  /** The data directory, or what else tells this plant from others. */
  readonly plant: string
  /** Relative paths in the definition start here: the folder of the plant file. Without it, the working directory. */
  readonly base?: string
}

export interface RunningTarget {
  readonly name: string
  /** Takes no more rows, gives what is on its way some seconds, and saves how far it came. Never throws. */
  stop(): Promise<void>
  stats(): TargetStats
}

export interface TargetStats {
  /** Rows that arrived at the other side, since the start. */
  readonly delivered: number
  /** Rows sent again, since it was not known whether they had arrived. */
  readonly resent: number
  /** Rows that the other side refused for good. */
  readonly rejected: number
  readonly inFlight: number
  /** Everything below is delivered. */
  readonly position: number
  /** Positions of the log that are not delivered yet. */
  readonly lag: number
  /** How often the connection was lost. */
  readonly reconnects: number
  readonly state: 'running' | 'waiting' | 'failed' | 'stopped'
  /** Why it waits or has failed. */
  readonly reason?: string
}
