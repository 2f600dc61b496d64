import type { Clock } from '#base/clock.js'
import type { OutboxRow, PlantModel } from '#entity/index.js'
import type { Placement } from '#shards/placement.js'
import type { EffectEnds } from './effect-way.js'
import type { InFlight } from './in-flight.js'
import type { OutboundLink } from './message-link.js'
import type { SettledAppend } from './outbox-rows.js'
import type { Slot } from './slot.js'
import type { SlotTable } from './slot-table.js'
import type { WorkerCounters } from './worker-counters.js'

/** What a worker needs so that its entities can send messages. */
export interface MessagesOptions {
  /** By worker slot. */
  readonly links: readonly OutboundLink[]
  /** To the gateway that has effects done; undefined where there is none: they stay in the outboxes. */
  readonly effects?: EffectEnds | undefined
  /** The slot of the worker itself. */
  readonly own: number
  /** Which worker has which shard. */
  readonly placement: Placement
  /** Inbound links that are no workers': they come first. */
  readonly deviceLinks: number
  /** Commands from this number on are not known to workers with earlier code, until they are all said to know them. */
  readonly commandsKnown?: number | undefined
}

export interface MessengerOptions extends MessagesOptions {
  readonly plant: PlantModel
  readonly slots: SlotTable
  readonly shardCount: number
  readonly term: number
  readonly clock: Clock
  readonly counters: WorkerCounters
  readonly outboxMax: number
  /** Appends the first of these rows about messages of an entity; undefined when there is no room. */
  readonly settle: (slot: Slot, rows: readonly OutboxRow[], accepted: number) => SettledAppend | undefined
  /** Makes a passive entity live, now or later. */
  readonly load: (slot: Slot) => void
  /** Whether another worker has the shard. */
  readonly isAway: (shard: number) => boolean
  /** A command that was held back is to be looked at again, in its turn. */
  readonly goOn: (entry: InFlight) => void
}
