import { byReadOrder } from './inbound.js'
import type { InFlight } from './in-flight.js'
import type { Slot } from './slot.js'

/**
 * Commands that were read and cannot be executed yet, since their shard or their entity is loading or the shard has left for another worker, and those that can go on since. Within a
 * gateway they go on in the order in which they were read, and before anything new.
 */
export class Backlog {
  /** Per shard that is not loaded its commands. */
  readonly #closed = new Map<number, ClosedShard>()
  /** Of the closed ones those that are not loading, since another worker has them. */
  readonly #away = new Set<number>()
  #ready: InFlight[] = []
  #isSorted = true

  /** Shards that are loading. */
  get loadingCount(): number {
    return this.#closed.size - this.#away.size
  }

  get readyCount(): number {
    return this.#ready.length
  }

  isClosed(shard: number): boolean {
    return this.#closed.has(shard)
  }

  /** Whether the shard was closed when everything up to this position had been sent: what came of that went with the shard's state. */
  wasClosedAfter(shard: number, position: number): boolean {
    const closed = this.#closed.get(shard)
    return closed !== undefined && position <= closed.position
  }

  /** From now on commands to this shard wait for it to be loaded, also those that were about to go on. `position`: what was sent so far. */
  close(shard: number, position: number): void {
    const waiting = this.#closed.get(shard)?.waiting ?? []
    this.#closed.set(shard, { waiting, position })
    this.#away.delete(shard)
    this.#ready = this.#ready.filter((entry) => {
      if (entry.shard !== shard) return true
      waiting.push(entry)
      return false
    })
  }

  /** As `close`, for a shard that nobody loads here before it comes back: whoever waits is looked at again. */
  leave(shard: number, position: number): void {
    this.close(shard, position)
    this.#away.add(shard)
    this.lookAgain(shard)
  }

  /** False when the shard is open. */
  tryWaitForShard(entry: InFlight): boolean {
    if (this.#closed.size === 0) return false
    const closed = this.#closed.get(entry.shard)
    closed?.waiting.push(entry)
    return closed !== undefined
  }

  waitForSlot(entry: InFlight, slot: Slot): void {
    if (slot.stalled === undefined) slot.stalled = [entry]
    else slot.stalled.push(entry)
  }

  open(shard: number): void {
    this.lookAgain(shard)
    this.#closed.delete(shard)
  }

  /** More is known of the shard: those that wait for it are looked at again, before anything new. */
  lookAgain(shard: number): void {
    const closed = this.#closed.get(shard)
    if (closed !== undefined) for (const entry of closed.waiting.splice(0)) this.goOn(entry)
  }

  /** The slot was loaded, or dropped: whoever waits for it is looked at again. */
  leaveSlot(slot: Slot): void {
    const { stalled } = slot
    slot.stalled = undefined
    if (stalled !== undefined) for (const entry of stalled) this.goOn(entry)
  }

  /** The commands that have waited longest for closed shards, at most `count`. */
  firstWaiting(count: number): InFlight[] {
    return [...this.#closed.values()]
      .flatMap(({ waiting }) => waiting)
      .sort(byReadOrder)
      .slice(0, count)
  }

  /** The command is looked at again, in its turn. */
  goOn(entry: InFlight): void {
    this.#ready.push(entry)
    this.#isSorted = false
  }

  /** Takes out all that can go on, in read order; what still cannot is put back. */
  take(): InFlight[] {
    const ready = this.#ready
    // Once for all that has come since, since after a load there is much of it.
    if (!this.#isSorted) ready.sort(byReadOrder)
    this.#ready = []
    this.#isSorted = true
    return ready
  }

  /** The end of what `take` gave, or the newest commands read. */
  putBack(entries: readonly InFlight[]): void {
    if (this.#ready.length > 0) this.#isSorted = false
    this.#ready = [...entries, ...this.#ready]
  }
}

interface ClosedShard {
  readonly waiting: InFlight[]
  /** As JournalClient counts: everything up to there was sent when it was closed. */
  readonly position: number
}
