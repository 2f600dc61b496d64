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
  snapshotVersion = 0
  /** Position of the appends channel behind the last append; durable when released up to there. Undefined: nothing sent by this worker. */
  waitPosition: number | undefined
  /** Used since the passivation sweep last came by, and when. */
  wasUsed = false
  lastUsedMs = 0
  /** Commands that came while it was loading, in order. */
  stalled: InFlight[] = []
  /** Start position of the command whose events `apply` could not take, and why: it is refused when taken again. */
  poison: { readonly entry: InFlight; readonly message: string } | undefined
  waiters: (() => void)[] = []

  constructor(id: string, idBytes: Uint8Array, hash: number, shard: number, model: EntityModel) {
    this.id = id
    this.idBytes = idBytes
    this.hash = hash
    this.shard = shard
    this.model = model
  }

  /** Drops state and everything folded; the identity stays. */
  forget(): void {
    this.status = 'passive'
    this.state = undefined
    this.outcomes = undefined
    this.version = 0
    this.term = 0
    this.appendNumber = 0
    this.latestAt = 0
    this.snapshotVersion = 0
    this.waitPosition = undefined
  }
}
