import { PassivationHand, type PassivationOptions } from './passivation-hand.js'
import type { Slot } from './slot.js'

/**
 * The one policy of which entities stay in memory. An entity that is idle for longer than its type, or the plant, allows goes; above the limit of live ones those go too that were not used since
 * the hand last came by (the clock algorithm, Corbató 1968). Types that are never passivated stay whatever the limit says. Only entities whose newest row is durable and who have nothing
 * under way go; a snapshot is handed over first, so that coming back costs no replay.
 */
export class Passivation {
  readonly #options: PassivationOptions
  /** By the time that their entities may be idle: those of a short time are looked at often without all others. */
  readonly #hands = new Map<number, PassivationHand>()
  #order: PassivationHand[] = []

  constructor(options: PassivationOptions) {
    this.#options = options
  }

  /** A slot became live. */
  watch(slot: Slot): void {
    const { passivateAfterMs = this.#options.limits.passivateAfterMs } = slot.model
    if (passivateAfterMs !== Number.POSITIVE_INFINITY) this.#handOf(passivateAfterMs).watch(slot)
  }

  /** Whether a sweep would look for something to evict because there are too many. Idle ones go by the clock, whenever the worker turns. */
  hasWork(released: number): boolean {
    return this.#order.some((hand) => hand.hasWork(released))
  }

  /** One sweep of each hand; returns how many entities went. Rows up to `released` are durable. Under pressure another hand is the first each time. */
  sweep(nowMs: number, released: number): number {
    let gone = 0
    for (const hand of this.#order) gone += hand.sweep(nowMs, released)
    if (this.#order.length > 1 && gone > 0) this.#order.push(this.#order.shift() as PassivationHand)
    return gone
  }

  #handOf(idleMs: number): PassivationHand {
    let hand = this.#hands.get(idleMs)
    if (hand === undefined) {
      this.#hands.set(idleMs, (hand = new PassivationHand(this.#options, idleMs)))
      this.#order = [...this.#hands.values()]
    }
    return hand
  }
}
