import type { Clock } from '#base/clock.js'

interface Bucket {
  tokens: number
  filledMs: number
}

/** A token bucket per client address: `ratePerSecond` on average, one second's worth at once. 0 is no limit. */
export class RateLimit {
  readonly #ratePerSecond: number
  readonly #clock: Clock
  readonly #buckets = new Map<string, Bucket>()

  constructor(ratePerSecond: number, clock: Clock) {
    this.#ratePerSecond = ratePerSecond
    this.#clock = clock
  }

  /** Takes `count` tokens; otherwise the seconds after which there would be enough. More than a second's worth is let through when the bucket is full. */
  take(address: string, count: number): number {
    if (this.#ratePerSecond === 0) return 0
    const nowMs = this.#clock.monotonicMs()
    const bucket = this.#bucket(address, nowMs)
    bucket.tokens = Math.min(this.#ratePerSecond, bucket.tokens + ((nowMs - bucket.filledMs) / 1000) * this.#ratePerSecond)
    bucket.filledMs = nowMs
    const needed = Math.min(count, this.#ratePerSecond)
    if (bucket.tokens < needed) return (needed - bucket.tokens) / this.#ratePerSecond
    bucket.tokens -= count
    return 0
  }

  #bucket(address: string, nowMs: number): Bucket {
    const known = this.#buckets.get(address)
    if (known !== undefined) return known
    if (this.#buckets.size >= ADDRESSES_MAX) this.#dropFull(nowMs)
    const bucket = { tokens: this.#ratePerSecond, filledMs: nowMs }
    this.#buckets.set(address, bucket)
    return bucket
  }

  /** Those that are full again say nothing that a new one would not. */
  #dropFull(nowMs: number): void {
    for (const [address, bucket] of this.#buckets) if (nowMs - bucket.filledMs > 1000) this.#buckets.delete(address)
  }
}

const ADDRESSES_MAX = 10_000
