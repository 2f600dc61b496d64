import type { Clock } from '#base/clock.js'
import type { Slot } from './slot.js'
import type { WorkerCounters } from './worker-counters.js'

/** Live slots looked at in one sweep step. */
const LOOKED_AT_PER_STEP = 16
/** A full round over the live slots takes about so long when nothing presses, milliseconds. */
const STEP_EVERY_MS = 20

/**
 * Evicts entities that are idle for long, and above the limit of live ones those that were not used since the hand last came by (the clock
 * algorithm, Corbató 1968). Only entities whose newest row is durable go; a snapshot is handed over first, so that coming back costs no replay.
 */
export class Passivation {
  readonly #clock: Clock
  readonly #counters: WorkerCounters
  readonly #limits: { readonly liveEntitiesMax: number; readonly passivateAfterMs: number }
  readonly #isDurable: (slot: Slot) => boolean
  readonly #trySnapshot: (slot: Slot) => boolean
  readonly #watched: Slot[] = []
  #hand = 0
  #lastStepMs = 0

  constructor(options: {
    readonly clock: Clock
    readonly counters: WorkerCounters
    readonly limits: { readonly liveEntitiesMax: number; readonly passivateAfterMs: number }
    readonly isDurable: (slot: Slot) => boolean
    readonly trySnapshot: (slot: Slot) => boolean
  }) {
    this.#clock = options.clock
    this.#counters = options.counters
    this.#limits = options.limits
    this.#isDurable = options.isDurable
    this.#trySnapshot = options.trySnapshot
  }

  /** A slot became live. */
  watch(slot: Slot): void {
    slot.lastUsedMs = this.#clock.monotonicMs()
    this.#watched.push(slot)
  }

  /** One step of the hand; returns how many entities went. */
  sweep(nowMs: number): number {
    const isPressed = this.#counters.liveEntities > this.#limits.liveEntitiesMax
    if (!isPressed && nowMs - this.#lastStepMs < STEP_EVERY_MS) return 0
    this.#lastStepMs = nowMs
    let gone = 0
    for (let step = 0; step < LOOKED_AT_PER_STEP && this.#watched.length > 0; step++) {
      if (this.#hand >= this.#watched.length) this.#hand = 0
      const slot = this.#watched[this.#hand] as Slot
      if (slot.status !== 'live') {
        this.#unwatch()
        continue
      }
      const isIdle = nowMs - slot.lastUsedMs >= this.#limits.passivateAfterMs
      const isUnused = !slot.wasUsed
      slot.wasUsed = false
      if ((isIdle || (isPressed && isUnused)) && this.#tryPassivate(slot)) {
        this.#unwatch()
        gone++
      } else {
        this.#hand++
      }
    }
    return gone
  }

  #unwatch(): void {
    const last = this.#watched.pop() as Slot
    if (this.#hand < this.#watched.length) this.#watched[this.#hand] = last
  }

  #tryPassivate(slot: Slot): boolean {
    if (!this.#isDurable(slot) || slot.waiters.length > 0) return false
    // The snapshot travels in front of anything that could bring the entity back, so that its load finds it.
    if (slot.snapshotVersion < slot.version) this.#trySnapshot(slot)
    slot.forget()
    this.#counters.passivations++
    this.#counters.liveEntities--
    return true
  }
}
