import type { Clock } from '#base/clock.js'

interface Bucket {
  tokens: number
  filledMs: number
}

/** Client addresses remembered. Above this the one that was quiet longest is forgotten and starts over with a full bucket. */
const ADDRESSES_MAX = 10_000

/** A token bucket per client address: `ratePerSecond` on average, one second's worth at once. 0 is no limit. */
export class RateLimit {
  readonly #ratePerSecond: number
  readonly #clock: Clock
  readonly #addressesMax: number
  /** In the order of their last use. */
  readonly #buckets = new Map<string, Bucket>()

  constructor(ratePerSecond: number, clock: Clock, addressesMax = ADDRESSES_MAX) {
    this.#ratePerSecond = ratePerSecond
    this.#clock = clock
    this.#addressesMax = addressesMax
  }

  get addressCount(): number {
    return this.#buckets.size
  }

  /**
   * Takes `count` tokens and answers 0, or takes none and answers the seconds after which there will be enough. More than a second's worth is let
   * through by a full bucket, which then is in debt.
   */
  take(address: string, count: number): number {
    if (this.#ratePerSecond === 0) return 0
    const bucket = this.#bucket(address)
    const needed = Math.min(count, this.#ratePerSecond)
    if (bucket.tokens < needed) return (needed - bucket.tokens) / this.#ratePerSecond
    bucket.tokens -= count
    return 0
  }

  #bucket(address: string): Bucket {
    const nowMs = this.#clock.monotonicMs()
    const bucket = this.#buckets.get(address) ?? { tokens: this.#ratePerSecond, filledMs: nowMs }
    bucket.tokens = Math.min(this.#ratePerSecond, bucket.tokens + ((nowMs - bucket.filledMs) / 1000) * this.#ratePerSecond)
    bucket.filledMs = nowMs
    this.#buckets.delete(address)
    this.#buckets.set(address, bucket)
    const quietest = this.#buckets.keys().next().value
    if (this.#buckets.size > this.#addressesMax && quietest !== undefined) this.#buckets.delete(quietest)
    return bucket
  }
}
