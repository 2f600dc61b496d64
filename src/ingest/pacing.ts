import type { Clock } from '#base/clock.js'

/** `max`: as fast as the plant takes rows. `real`: in the time that lies between them. A number: so many times as fast as that. */
export type Speed = 'max' | 'real' | number

/**
 * Spreads rows over time by their own times. The first row comes at once; a row without a time, or with one that lies before, does not wait.
 */
export class Pacer {
  readonly #clock: Clock
  readonly #factor: number
  #first: { readonly at: number; readonly startMs: number } | undefined

  constructor(speed: Speed, clock: Clock) {
    this.#clock = clock
    this.#factor = speed === 'max' ? 0 : speed === 'real' ? 1 : speed
  }

  /** Milliseconds until the row is due, 0 when it is. */
  waitMs(at: number | undefined): number {
    if (this.#factor === 0 || at === undefined) return 0
    const now = this.#clock.monotonicMs()
    this.#first ??= { at, startMs: now }
    const due = this.#first.startMs + (at - this.#first.at) / 1000 / this.#factor
    return Math.max(0, due - now)
  }
}
