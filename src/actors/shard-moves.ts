import { assert } from '#base/assert.js'
import type { JournalClient } from '#serving/journal-client.js'
import type { Backlog } from './backlog.js'
import type { FencedList } from './fenced-list.js'
import type { Inbound } from './inbound.js'
import type { Loader, LoadReport } from './loader.js'
import type { Slot } from './slot.js'
import type { SlotTable } from './slot-table.js'
import { isBehind } from './snapshot-rounds.js'
import type { SnapshotSent } from './executor.js'
import type { WorkerCounters } from './worker-counters.js'

export interface ShardMovesOptions {
  readonly shards: readonly number[]
  readonly shardCount: number
  readonly slots: SlotTable
  readonly inbound: readonly Inbound[]
  readonly backlog: Backlog
  readonly loader: Loader
  readonly journal: JournalClient
  readonly counters: WorkerCounters
  readonly trySnapshot: (slot: Slot) => SnapshotSent
  /** Drops what the worker has of an entity that leaves, and whoever waits for it. */
  readonly forget: (slot: Slot) => void
  readonly fenced: FencedList
  /** No load is under way. */
  readonly isLoaded: () => boolean
}

/** Shards that the worker gives up. */
export interface ShardRelease {
  /** Another worker may load them. */
  readonly isOver: boolean
  /** The worker has them on, and everything else as it was. Of no use once it is over. */
  cancel(): void
}

/** `reading`: what was sent is being finished. `saving`: snapshots are taken. `draining`: they are dropped, and the journal is to have everything of them. */
type Step = 'reading' | 'saving' | 'draining' | 'over' | 'cancelled'

/** In one turn. */
const SNAPSHOTS_PER_TURN = 250

/**
 * Which shards a worker has, and how it gives some up to another worker and takes others while it goes on with the rest. Whoever calls for it has seen to it that nothing
 * new is sent to shards that leave, and that those that come have left where they were.
 */
export class ShardMoves {
  readonly #options: ShardMovesOptions
  readonly #owned: Set<number>
  #release: Release | undefined
  readonly #adoptions = new Set<Adoption>()

  constructor(options: ShardMovesOptions) {
    this.#options = options
    this.#owned = new Set(options.shards)
    for (let shard = 0; shard < options.shardCount; shard++) if (!this.owns(shard)) options.backlog.leave(shard, Number.NEGATIVE_INFINITY)
  }

  owns(shard: number): boolean {
    return this.#owned.has(shard)
  }

  /** Finishes what has been sent to these shards by now, saves and drops them. One release at a time. */
  release(shards: readonly number[]): ShardRelease {
    assert(this.#release?.isUnderWay !== true, 'a worker gives up shards one after the other')
    const own = shards.filter((shard) => this.owns(shard))
    this.#release = new Release(own, this.#options, this.#owned, (again) => void this.adopt(again))
    return this.#release
  }

  /** Loads shards that the worker has from now on; resolves when they are loaded, at once when it has them since it took its seat. */
  adopt(shards: readonly number[]): Promise<LoadReport> {
    const { slots, backlog, journal, counters, loader } = this.#options
    const come = shards.filter((shard) => !this.owns(shard))
    if (come.length === 0) return Promise.resolve({ shards, entities: 0, snapshots: 0, events: 0, waitMs: 0, snapshotMs: 0, replayMs: 0 })
    for (const shard of come) {
      this.#owned.add(shard)
      backlog.close(shard, journal.sentPosition)
      counters.knownEntities += slots.knownOf(shard)
    }
    loader.loadShards(come)
    return new Promise((resolve) => this.#adoptions.add({ waiting: new Set(come), resolve }))
  }

  /** Shards were loaded; false when nobody had called for them. */
  loaded(report: LoadReport): boolean {
    let isAwaited = false
    for (const adoption of this.#adoptions) {
      for (const shard of report.shards) isAwaited = adoption.waiting.delete(shard) || isAwaited
      if (adoption.waiting.size > 0) continue
      this.#adoptions.delete(adoption)
      adoption.resolve(report)
    }
    return isAwaited
  }

  hasWork(released: number): boolean {
    return this.#release?.hasWork(released) === true
  }

  /** `released`: as JournalClient counts. Once in each turn. */
  doWork(released: number): number {
    return this.#release?.doWork(released) ?? 0
  }
}

interface Adoption {
  readonly waiting: Set<number>
  readonly resolve: (report: LoadReport) => void
}

class Release implements ShardRelease {
  readonly #shards: ReadonlySet<number>
  readonly #options: ShardMovesOptions
  readonly #owned: Set<number>
  readonly #adopt: (shards: readonly number[]) => void
  /** Of each inbound channel: what lay in it then ends here. */
  readonly #ends: readonly number[]
  #step: Step = 'reading'
  /** As JournalClient counts: behind everything that was sent of these shards. */
  #sentPosition = 0

  constructor(shards: readonly number[], options: ShardMovesOptions, owned: Set<number>, adopt: (shards: readonly number[]) => void) {
    this.#shards = new Set(shards)
    this.#options = options
    this.#owned = owned
    this.#adopt = adopt
    this.#ends = options.inbound.map((link) => link.endPosition)
  }

  get isOver(): boolean {
    return this.#step === 'over'
  }

  get isUnderWay(): boolean {
    return this.#step !== 'over' && this.#step !== 'cancelled'
  }

  cancel(): void {
    const isGone = this.#step === 'draining'
    if (this.#step !== 'over') this.#step = 'cancelled'
    if (isGone) this.#adopt([...this.#shards])
  }

  hasWork(released: number): boolean {
    if (this.#step === 'draining') return this.#sentPosition <= released
    return this.#step === 'saving' || (this.#step === 'reading' && this.#isRead())
  }

  doWork(released: number): number {
    const before = this.#step
    if (this.#step === 'reading' && this.#isRead()) this.#step = 'saving'
    if (this.#step === 'saving' && this.#trySave()) this.#drop()
    if (this.#step === 'draining' && this.#sentPosition <= released) this.#step = 'over'
    return this.#step === before ? 0 : 1
  }

  #isRead(): boolean {
    const { inbound, isLoaded } = this.#options
    return isLoaded() && inbound.every((link, index) => link.hasReleased(this.#ends[index] as number))
  }

  /** So that whoever takes the shards has little to replay. False when there is more to do, or the channel has no room. */
  #trySave(): boolean {
    const { slots, trySnapshot, isLoaded } = this.#options
    if (!isLoaded()) return false
    let left = SNAPSHOTS_PER_TURN
    for (const slot of slots.all()) {
      if (!this.#shards.has(slot.shard) || !isBehind(slot)) continue
      if (left-- === 0 || trySnapshot(slot) === 'no-room') return false
    }
    return true
  }

  #drop(): void {
    const { slots, backlog, journal, counters, forget, fenced } = this.#options
    this.#sentPosition = journal.sentPosition
    for (const shard of this.#shards) {
      this.#owned.delete(shard)
      backlog.leave(shard, this.#sentPosition)
      counters.knownEntities -= slots.knownOf(shard)
    }
    for (const slot of slots.all()) if (this.#shards.has(slot.shard)) forget(slot)
    slots.forgetTimers(this.#shards)
    fenced.left(this.#shards)
    this.#step = 'draining'
  }
}
