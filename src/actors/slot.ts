import type { EntityModel, Outcomes } from '#entity/index.js'
import type { InFlight } from './in-flight.js'

/** `live`: state in memory. `passive`: known, state in the log only. `loading`: asked for. */
export type SlotStatus = 'live' | 'passive' | 'loading'

/** The runtime's place for one known entity. Everything but the identity is meaningful only while it is live. */
export class Slot {
  readonly id: string
  readonly idBytes: Uint8Array
  readonly hash: number
  readonly shard: number
  readonly model: EntityModel
  status: SlotStatus = 'passive'
  state: unknown
  outcomes: Outcomes | undefined
  /** Of the newest row, speculative ones included; that row's writer term and append number. */
  version = 0
  term = 0
  appendNumber = 0
  /** `at` of the newest row so far, to tell late ones. */
  latestAt = 0
  /** Version of the last snapshot, and the version up to which another need not be tried: the last one could not be taken. */
  snapshotVersion = 0
  snapshotTriedVersion = 0
  /** As JournalClient counts: what this worker sent for it is durable when released up to there. Minus infinity: it sent nothing. */
  waitPosition = Number.NEGATIVE_INFINITY
  /** Used since the passivation sweep last came by, and when. */
  wasUsed = false
  lastUsedMs = 0
  /** In the list of the passivation sweep. */
  isWatched = false
  /** Loaded for commands that have not been executed yet: it stays live until the first of them is. */
  isAwaited = false
  /** Commands that came while it was loading. */
  stalled: InFlight[] | undefined
  /** Readers that wait for it to be live. */
  waiters: (() => void)[] | undefined

  constructor(id: string, idBytes: Uint8Array, hash: number, shard: number, model: EntityModel) {
    this.id = id
    this.idBytes = idBytes
    this.hash = hash
    this.shard = shard
    this.model = model
  }

  /** Drops state and everything folded; the identity and those who wait stay. */
  forget(): void {
    this.status = 'passive'
    this.state = undefined
    this.outcomes = undefined
    this.version = 0
    this.term = 0
    this.appendNumber = 0
    this.latestAt = 0
    this.snapshotVersion = 0
    this.snapshotTriedVersion = 0
    this.waitPosition = Number.NEGATIVE_INFINITY
    this.isAwaited = false
  }
}
