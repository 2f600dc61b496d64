import type { VolatileCause } from '#entity/index.js'
import type { Slot } from './slot.js'

/** A volatile ask whose answer has not come. */
export class VolatileAsk {
  readonly from: Slot
  readonly to: string
  readonly number: number
  readonly answerIndex: number
  /** On the clock's `monotonicMs`. */
  readonly dueMs: number
  readonly cause: VolatileCause
  isOver = false

  constructor(parts: Omit<VolatileAsk, 'isOver'>) {
    this.from = parts.from
    this.to = parts.to
    this.number = parts.number
    this.answerIndex = parts.answerIndex
    this.dueMs = parts.dueMs
    this.cause = parts.cause
  }
}

/** Those of a worker that wait for their answers. Most get them at once, so that nothing is sorted by time: when the earliest could be due all are looked at. */
export class VolatileAsks {
  readonly #pending = new Set<VolatileAsk>()
  #earliestMs = Number.POSITIVE_INFINITY

  get count(): number {
    return this.#pending.size
  }

  /** Nothing is due before; infinity when there is none. */
  get earliestMs(): number {
    return this.#pending.size === 0 ? Number.POSITIVE_INFINITY : this.#earliestMs
  }

  add(ask: VolatileAsk): void {
    if (this.#pending.size === 0 || ask.dueMs < this.#earliestMs) this.#earliestMs = ask.dueMs
    this.#pending.add(ask)
  }

  /** False when it was over already. */
  end(ask: VolatileAsk): boolean {
    if (ask.isOver) return false
    ask.isOver = true
    this.#pending.delete(ask)
    return true
  }

  /** Those that are too late by now, in the order in which they were asked; they still have to be ended. */
  due(nowMs: number): readonly VolatileAsk[] {
    const due: VolatileAsk[] = []
    let earliestMs = Number.POSITIVE_INFINITY
    for (const ask of this.#pending) {
      if (ask.dueMs <= nowMs) due.push(ask)
      else if (ask.dueMs < earliestMs) earliestMs = ask.dueMs
    }
    this.#earliestMs = earliestMs
    return due
  }
}
