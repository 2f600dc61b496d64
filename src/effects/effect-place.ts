import type { Cancel, Clock } from '#base/clock.js'
import type { Prng } from '#base/prng.js'
import type { EffectJob } from './effect-job.js'

/** Bounds for what goes to one place. */
export interface PlaceLimits {
  /** An attempt that takes longer has failed, milliseconds. */
  readonly timeoutMs: number
  /** Attempts at a time. */
  readonly inFlightMax: number
  /** Attempts before an effect is parked. */
  readonly attemptsMax: number
  /** Wait before the second attempt; doubles from there, with jitter between half and all of it. */
  readonly retryMs: number
  readonly retryMsMax: number
}

/** The limits of a place, some of which are its own. */
export function placeLimits(
  limits: PlaceLimits,
  own: { readonly [name in 'timeoutMs' | 'inFlightMax' | 'attemptsMax']?: number | undefined },
): PlaceLimits {
  const { timeoutMs = limits.timeoutMs, inFlightMax = limits.inFlightMax, attemptsMax = limits.attemptsMax } = own
  return { ...limits, timeoutMs, inFlightMax, attemptsMax }
}

/** After so many failures in a row the place is down, and tried by one attempt at a time. */
const FAILURES_UNTIL_DOWN = 3
/** Longest wait that a place may ask for. */
const ASKED_MS_MAX = 3_600_000

/**
 * A place that effects go to, which may be slow or away: what waits for it waits here, in turns, and keeps nothing else. While it is down it gets one attempt at a time, later and later, and
 * all others wait without counting as attempts.
 */
export class EffectPlace {
  readonly limits: PlaceLimits
  readonly #clock: Clock
  readonly #random: Prng
  readonly #wake: () => void
  #ready: EffectJob[] = []
  readonly #later = new Map<EffectJob, Cancel>()
  #inFlight = 0
  #failures = 0
  #pausedUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: { readonly limits: PlaceLimits; readonly clock: Clock; readonly random: Prng; readonly wake: () => void }) {
    this.limits = options.limits
    this.#clock = options.clock
    this.#random = options.random
    this.#wake = options.wake
  }

  get waitingCount(): number {
    return this.#ready.length + this.#later.size
  }

  get inFlightCount(): number {
    return this.#inFlight
  }

  add(job: EffectJob): void {
    this.#ready.push(job)
  }

  get canBegin(): boolean {
    const max = this.#failures >= FAILURES_UNTIL_DOWN ? 1 : this.limits.inFlightMax
    return this.#ready.length > 0 && this.#inFlight < max && this.#clock.monotonicMs() >= this.#pausedUntilMs
  }

  /** The next one, which is in flight from now on. */
  begin(): EffectJob {
    this.#inFlight++
    const job = this.#ready.shift() as EffectJob
    job.attempts++
    return job
  }

  /** An attempt has shown that the place is there, whatever it said. */
  answered(): void {
    this.#inFlight--
    this.#failures = 0
    this.#pausedUntilMs = Number.NEGATIVE_INFINITY
  }

  /** An attempt failed that is followed by no other: the job is over. */
  givenUp(): void {
    this.#pause(0)
  }

  /** The job is tried again later. `afterMs`: as the place asks, for everything that goes there; 0 when it does not. */
  failed(job: EffectJob, afterMs: number): void {
    const asked = Math.min(ASKED_MS_MAX, afterMs)
    this.#pause(asked)
    const delayMs = Math.max(this.#delayMs(job.attempts), asked)
    this.#later.set(
      job,
      this.#clock.after(delayMs, () => {
        this.#later.delete(job)
        this.#ready.push(job)
        this.#wake()
      }),
    )
  }

  stop(): void {
    for (const cancel of this.#later.values()) cancel()
    this.#later.clear()
    this.#ready = []
  }

  #pause(askedMs: number): void {
    this.#inFlight--
    this.#failures++
    const isDown = this.#failures >= FAILURES_UNTIL_DOWN
    const pauseMs = isDown ? Math.max(this.#delayMs(this.#failures - FAILURES_UNTIL_DOWN + 1), askedMs) : askedMs
    if (pauseMs === 0) return
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.#clock.monotonicMs() + pauseMs)
    this.#clock.after(pauseMs, this.#wake)
  }

  #delayMs(attempts: number): number {
    const { retryMs, retryMsMax } = this.limits
    return Math.min(retryMsMax, retryMs * 2 ** Math.min(attempts - 1, 30)) * (0.5 + this.#random.next() / 2)
  }
}
