import type { Clock } from '#base/clock.js'
import type { PlantModel } from '#entity/index.js'
import type { JournalClient } from '#serving/journal-client.js'
import type { InboundLink } from './inbound.js'
import type { LoadReport } from './loader.js'
import type { MessagesOptions } from './messenger-options.js'

export interface WorkerLimits {
  /** Entities with state in memory; above it the least used are passivated. */
  readonly liveEntitiesMax: number
  /** Idle time after which an entity is passivated, milliseconds. */
  readonly passivateAfterMs: number
  /** Commands taken in one turn of the event loop. */
  readonly commandsPerTurn: number
  /** Rows of an entity between two snapshots, unless its type asks for fewer. */
  readonly snapshotEvery: number
  /** Rows of this worker after which each entity that has changed has another snapshot, as far as there is time: what a successor replays. 0, as by default, for never. */
  readonly tailRowsMax?: number
  /** Commands read and not yet released, per gateway; a power of two. */
  readonly inFlightMax: number
  /** Messages of an entity that are under way, above which commands to it wait that are not messages themselves; OUTBOX_MAX_DEFAULT unless told. */
  readonly outboxMax?: number
  /** Volatile messages of all entities that are under way; VOLATILE_MAX_DEFAULT unless told. Above it they are dropped, and above half of it no commands are read. */
  readonly volatileMax?: number
}

export interface WorkerOptions {
  readonly plant: PlantModel
  readonly shards: readonly number[]
  readonly shardCount: number
  readonly term: number
  /** From the gateways, then from the workers as far as entities can send messages. */
  readonly inbound: readonly InboundLink[]
  /** Undefined where entities cannot send messages. */
  readonly messages?: MessagesOptions
  readonly journal: JournalClient
  readonly clock: Clock
  readonly limits: WorkerLimits
  /** Told when shards have been loaded: at the start and after a rejected append. */
  readonly onLoaded: (report: LoadReport) => void
  /** Told of entities that were found to be hit by damage, once each. */
  readonly onFenced?: (found: FoundFenced) => void
  /** Runs the duty cycle again: something was asked for outside of it. */
  readonly wake: () => void
  /** The log could not be read, or holds what this plant cannot take, or another worker took over; the process must end. Called once. */
  readonly onFatal: (error: unknown) => void
  /** Told of each command that code fails over, before anything is stored of that: what it throws ends the worker, and the command is there for the next one. */
  readonly onFault?: ((fault: CommandFault) => void) | undefined
  /** Told which command is being executed: where its frame lies, by index of `inbound` and position. */
  readonly atHand?: { set(link: number, position: number): void; clear(): void }
  /** Commands that ended workers before this one: they are refused, with the reason. */
  readonly parked?: readonly ParkedPlace[]
  /** How the worker before this one died, where one did: entities that somebody watches tell of it. */
  readonly predecessor?: string | undefined
  /** Of the first append less one: for tests of the numbers' end. */
  readonly appendNumber?: number
}

/** A handler, or the `apply` of an event, threw or broke the rules. */
export interface CommandFault {
  readonly entity: string
  readonly code: 'DECIDE_FAILED' | 'APPLY_FAILED'
  readonly message: string
}

/** An entity that takes no commands, since it cannot be rebuilt. */
export interface FencedEntity {
  readonly entity: string
  /** Of the newest row that is gone, or of the one that could not be applied. */
  readonly version: number
  /** With which commands to it are refused. */
  readonly code: 'ROWS_FENCED' | 'APPLY_FAILED'
}

interface FoundFenced {
  readonly entities: readonly FencedEntity[]
  /** What of the log could not be read or applied, in words. */
  readonly damages: readonly string[]
}

/** Where the frame of a command lies that is not to be executed. */
export interface ParkedPlace {
  /** Index of `inbound`. */
  readonly link: number
  readonly position: number
  readonly reason: string
}
