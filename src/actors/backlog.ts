import { byReadOrder } from './inbound.js'
import type { InFlight } from './in-flight.js'
import type { Slot } from './slot.js'

/**
 * Commands that were read and cannot be executed yet, since their shard or their entity is loading, and those that can go on since. Within a
 * gateway they go on in the order in which they were read, and before anything new.
 */
export class Backlog {
  /** Per loading shard its commands. */
  readonly #closed = new Map<number, InFlight[]>()
  #ready: InFlight[] = []

  get closedCount(): number {
    return this.#closed.size
  }

  get readyCount(): number {
    return this.#ready.length
  }

  isClosed(shard: number): boolean {
    return this.#closed.has(shard)
  }

  /** From now on commands to this shard wait for it to be loaded, also those that were about to go on. */
  close(shard: number): void {
    const waiting: InFlight[] = []
    this.#closed.set(shard, waiting)
    this.#ready = this.#ready.filter((entry) => {
      if (entry.shard !== shard) return true
      waiting.push(entry)
      return false
    })
  }

  /** False when the shard is open. */
  tryWaitForShard(entry: InFlight): boolean {
    if (this.#closed.size === 0) return false
    const waiting = this.#closed.get(entry.shard)
    waiting?.push(entry)
    return waiting !== undefined
  }

  waitForSlot(entry: InFlight, slot: Slot): void {
    if (slot.stalled === undefined) slot.stalled = [entry]
    else slot.stalled.push(entry)
  }

  open(shard: number): void {
    const waiting = this.#closed.get(shard)
    this.#closed.delete(shard)
    if (waiting !== undefined) this.#goOn(waiting)
  }

  /** The slot was loaded, or its shard will be. */
  leaveSlot(slot: Slot): void {
    const { stalled } = slot
    slot.stalled = undefined
    if (stalled === undefined) return
    const waiting = this.#closed.get(slot.shard)
    if (waiting !== undefined) waiting.push(...stalled)
    else this.#goOn(stalled)
  }

  /** Takes out all that can go on; what still cannot is put back. */
  take(): InFlight[] {
    const ready = this.#ready
    this.#ready = []
    return ready
  }

  /** The end of what `take` gave, or the newest command read: they come before all that is here. */
  putBack(entries: readonly InFlight[]): void {
    this.#ready = [...entries, ...this.#ready]
  }

  #goOn(entries: readonly InFlight[]): void {
    for (const entry of entries) this.#ready.push(entry)
    this.#ready.sort(byReadOrder)
  }
}
