import type { Clock } from '#base/clock.js'
import type { Prng } from '#base/prng.js'

export interface BackOffLimits {
  /** Delay after the first failure that was not preceded by a stable time; doubles from there, with jitter between half and all of it. */
  readonly firstMs: number
  readonly delayMsMax: number
  /** Who worked so long before it failed starts over without delay. */
  readonly stableMs: number
  /** So many failures within the window are `many`. */
  readonly failuresMax: number
  readonly windowMs: number
}

/** When to try again: at once after a stable time, else later and later up to a bound, for ever. Jitter keeps seats that fail together apart. */
export class BackOff {
  readonly #limits: BackOffLimits
  readonly #clock: Clock
  readonly #prng: Prng
  #streak = 0
  #wasHopeless = false
  #untilMs = Number.NEGATIVE_INFINITY
  #failedAtMs: number[] = []

  constructor(limits: BackOffLimits, clock: Clock, prng: Prng) {
    this.#limits = limits
    this.#clock = clock
    this.#prng = prng
  }

  /**
   * `workedMs`: how long it had been of use; 0 when never. `isHopeless`: the next try will fail as well, until a person has changed something; the second such
   * failure in a row waits the longest delay at once. Returns the delay in milliseconds.
   */
  failed(workedMs: number, isHopeless = false): number {
    const now = this.#clock.monotonicMs()
    if (workedMs >= this.#limits.stableMs) {
      this.#streak = 0
      this.#wasHopeless = isHopeless
      this.#untilMs = now
      return 0
    }
    this.#failedAtMs = [...this.#recent(now), now].slice(-this.#limits.failuresMax)
    const { firstMs, delayMsMax } = this.#limits
    const wholeMs = isHopeless && this.#wasHopeless ? delayMsMax : Math.min(delayMsMax, firstMs * 2 ** Math.min(this.#streak, 30))
    const delayMs = wholeMs * (0.5 + this.#prng.next() / 2)
    this.#streak++
    this.#wasHopeless = isHopeless
    this.#untilMs = now + delayMs
    return delayMs
  }

  /** Whoever fails from now on is another, and what its predecessors did does not count. */
  forgive(): void {
    this.#streak = 0
    this.#wasHopeless = false
    this.#untilMs = Number.NEGATIVE_INFINITY
    this.#failedAtMs = []
  }

  get isActive(): boolean {
    return this.#clock.monotonicMs() < this.#untilMs
  }

  get remainingMs(): number {
    return Math.max(0, this.#untilMs - this.#clock.monotonicMs())
  }

  /** Failures within the window, up to the limit. */
  get failureCount(): number {
    return this.#recent(this.#clock.monotonicMs()).length
  }

  get hasManyFailures(): boolean {
    return this.failureCount >= this.#limits.failuresMax
  }

  #recent(nowMs: number): number[] {
    return this.#failedAtMs.filter((at) => at > nowMs - this.#limits.windowMs)
  }
}
