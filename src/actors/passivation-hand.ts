import type { Clock } from '#base/clock.js'
import type { SnapshotSent } from './executor.js'
import type { Slot } from './slot.js'
import type { WorkerCounters } from './worker-counters.js'

/** Live slots looked at in one sweep at most. More than a turn can make live, so that the limit of live entities holds at any rate. */
const LOOKED_AT_MAX = 4096
/** While nothing presses, the hand goes round in a quarter of the idle time, but not faster or slower than this, milliseconds. */
const ROUND_MS_MIN = 100
const ROUND_MS_MAX = 60_000

export interface PassivationOptions {
  readonly clock: Clock
  readonly counters: WorkerCounters
  readonly limits: { readonly liveEntitiesMax: number; readonly passivateAfterMs: number }
  readonly trySnapshot: (slot: Slot) => SnapshotSent
  /** Whether it must stay for something other than commands. */
  readonly isBusy: (slot: Slot) => boolean
  /** The slot is not looked at any more, and may go. */
  readonly letGo: (slot: Slot) => void
}

/** The clock of the entities that may be idle equally long, with its hand: see Passivation. */
export class PassivationHand {
  readonly #clock: Clock
  readonly #counters: WorkerCounters
  readonly #liveEntitiesMax: number
  readonly #idleMs: number
  readonly #roundMs: number
  readonly #trySnapshot: (slot: Slot) => SnapshotSent
  readonly #isBusy: (slot: Slot) => boolean
  readonly #letGo: (slot: Slot) => void
  readonly #watched: Slot[] = []
  #hand = 0
  #lastSweepMs: number
  /** Looked at in vain since something went; and the released position at which that was everything, so that more looking is no use. */
  #inVain = 0
  #stuckAt = Number.NaN

  /** `idleMs`: entities that were not used for so long go. */
  constructor(options: PassivationOptions, idleMs: number) {
    this.#clock = options.clock
    this.#counters = options.counters
    this.#liveEntitiesMax = options.limits.liveEntitiesMax
    this.#idleMs = idleMs
    this.#trySnapshot = options.trySnapshot
    this.#isBusy = options.isBusy
    this.#letGo = options.letGo
    this.#roundMs = Math.min(ROUND_MS_MAX, Math.max(ROUND_MS_MIN, idleMs / 4))
    this.#lastSweepMs = options.clock.monotonicMs()
  }

  /** A slot became live. */
  watch(slot: Slot): void {
    slot.lastUsedMs = this.#clock.monotonicMs()
    this.#stuckAt = Number.NaN
    if (slot.isWatched) return
    slot.isWatched = true
    this.#watched.push(slot)
  }

  /** Whether a sweep would look for something to evict because there are too many. Idle ones go by the clock, whenever the worker turns. */
  hasWork(released: number): boolean {
    return this.#isPressed && this.#stuckAt !== released
  }

  /** One sweep of the hand; returns how many entities went. Rows up to `released` are durable. */
  sweep(nowMs: number, released: number): number {
    const isPressed = this.#isPressed
    if (isPressed && this.#stuckAt === released) return 0
    const count = this.#lookedAt(isPressed, nowMs)
    let gone = 0
    let step = 0
    for (; step < count && this.#watched.length > 0; step++) {
      if (isPressed && !this.#isPressed) break
      if (this.#hand >= this.#watched.length) this.#hand = 0
      const slot = this.#watched[this.#hand] as Slot
      if (slot.status !== 'live') {
        this.#unwatch(slot)
        continue
      }
      const isIdle = nowMs - slot.lastUsedMs >= this.#idleMs
      const isUnused = !slot.wasUsed
      slot.wasUsed = false
      if ((isIdle || (isPressed && isUnused)) && this.#tryPassivate(slot, released)) {
        this.#unwatch(slot)
        gone++
      } else {
        this.#hand++
      }
    }
    this.#inVain = isPressed && gone === 0 ? this.#inVain + step : 0
    // Twice round: the first time only clears the marks of use.
    if (isPressed && this.#inVain >= 2 * this.#watched.length) {
      this.#stuckAt = released
      this.#inVain = 0
    }
    return gone
  }

  get #isPressed(): boolean {
    return this.#counters.liveEntities > this.#liveEntitiesMax
  }

  #lookedAt(isPressed: boolean, nowMs: number): number {
    if (isPressed) return LOOKED_AT_MAX
    const due = Math.floor((this.#watched.length * (nowMs - this.#lastSweepMs)) / this.#roundMs)
    if (due > 0 || this.#watched.length === 0) this.#lastSweepMs = nowMs
    return Math.min(due, this.#watched.length, LOOKED_AT_MAX)
  }

  #unwatch(slot: Slot): void {
    slot.isWatched = false
    this.#letGo(slot)
    const last = this.#watched.pop() as Slot
    if (this.#hand < this.#watched.length) this.#watched[this.#hand] = last
  }

  #tryPassivate(slot: Slot, released: number): boolean {
    if (slot.waitPosition > released || slot.waiters !== undefined || slot.isAwaited || this.#isBusy(slot)) return false
    // The snapshot travels in front of anything that could bring the entity back, so that its load finds it.
    if (slot.snapshotVersion < slot.version && this.#trySnapshot(slot) === 'no-room') return false
    slot.forget()
    this.#counters.passivations++
    this.#counters.liveEntities--
    return true
  }
}
