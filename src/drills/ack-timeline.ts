import type { Clock } from '#base/clock.js'
import { percentile, type Timeline } from '#recovery/report.js'

export const BUCKET_MS = 100

/** Acknowledgements over time in buckets of 100 ms, of which each keeps four numbers: an hour takes about a megabyte. */
export class AckTimeline {
  readonly #clock: Clock
  readonly #startMs: number
  readonly #acked: number[] = []
  readonly #p50Ms: number[] = []
  readonly #p99Ms: number[] = []
  /** The longest time without an acknowledgement that ended in the bucket. */
  readonly #quietMs: number[] = []
  #open: number[] = []
  #latestMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#startMs = clock.monotonicMs()
    this.#latestMs = this.#startMs
  }

  /** Now, of a command that took so many microseconds. */
  record(micros: number): void {
    const nowMs = this.#clock.monotonicMs()
    const bucket = Math.floor((nowMs - this.#startMs) / BUCKET_MS)
    if (bucket >= this.#acked.length) this.#extendTo(bucket)
    this.#acked[bucket] = (this.#acked[bucket] as number) + 1
    this.#quietMs[bucket] = Math.max(this.#quietMs[bucket] as number, nowMs - this.#latestMs)
    this.#latestMs = nowMs
    this.#open.push(micros / 1000)
  }

  /** The buckets that lie in a stretch of the run, in milliseconds since its start. */
  window(fromMs: number, toMs: number): Timeline {
    this.#close()
    const first = Math.max(0, Math.floor(fromMs / BUCKET_MS))
    const end = Math.min(this.#acked.length, Math.ceil(toMs / BUCKET_MS))
    const orNull = (values: readonly number[]) =>
      values.slice(first, end).map((value, index) => (this.#acked[first + index] === 0 ? null : rounded(value)))
    return {
      fromMs: first * BUCKET_MS,
      bucketMs: BUCKET_MS,
      acked: this.#acked.slice(first, end),
      ackP50Ms: orNull(this.#p50Ms),
      ackP99Ms: orNull(this.#p99Ms),
    }
  }

  /** The longest time without an acknowledgement that ended in a stretch of the run, milliseconds. */
  quietMs(fromMs: number, toMs: number): number {
    const first = Math.max(0, Math.floor(fromMs / BUCKET_MS))
    return this.#quietMs.slice(first, Math.ceil(toMs / BUCKET_MS)).reduce((longest, one) => Math.max(longest, one), 0)
  }

  #extendTo(bucket: number): void {
    this.#close()
    this.#open = []
    while (this.#acked.length <= bucket) {
      this.#acked.push(0)
      this.#p50Ms.push(0)
      this.#p99Ms.push(0)
      this.#quietMs.push(0)
    }
  }

  /** Percentiles of the newest bucket; it may still grow. */
  #close(): void {
    const newest = this.#acked.length - 1
    if (newest < 0) return
    const sorted = Float64Array.from(this.#open).sort()
    this.#p50Ms[newest] = percentile(sorted, 0.5)
    this.#p99Ms[newest] = percentile(sorted, 0.99)
  }
}

function rounded(ms: number): number {
  return Math.round(ms * 1000) / 1000
}
