/**
 * Time as a parameter. Everything below the composition root takes a Clock, so that an inline plant runs under a fake one and twice the same.
 */
export interface Clock {
  /** Wall time in whole microseconds since 1970; safe as a number until the year 2255. */
  nowMicros(): number
  /** Monotonic time in milliseconds with a fraction; only differences mean anything. */
  monotonicMs(): number
  /** Calls `callback` once after `delayMs`; the answer cancels it. A pending timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): Cancel
}

export type Cancel = () => void

export const systemClock: Clock = {
  nowMicros: () => Math.floor((performance.timeOrigin + performance.now()) * 1000),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** A clock that stands still until told to move. Timers fire in order of their due time, ties in order of their creation. */
export class FakeClock implements Clock {
  #micros: number
  #timers: { dueMicros: number; order: number; callback: () => void }[] = []
  #order = 0

  constructor(startMicros = Date.UTC(2026, 0, 1) * 1000) {
    this.#micros = startMicros
  }

  nowMicros(): number {
    return this.#micros
  }

  monotonicMs(): number {
    return this.#micros / 1000
  }

  after(delayMs: number, callback: () => void): Cancel {
    const timer = { dueMicros: this.#micros + Math.round(delayMs * 1000), order: this.#order++, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer)
    }
  }

  /** Moves time forward and fires what falls due on the way, each at its own time. */
  advance(ms: number): void {
    const target = this.#micros + Math.round(ms * 1000)
    for (;;) {
      const due = this.#timers
        .filter((timer) => timer.dueMicros <= target)
        .sort((a, b) => a.dueMicros - b.dueMicros || a.order - b.order)[0]
      if (due === undefined) break
      this.#timers = this.#timers.filter((timer) => timer !== due)
      this.#micros = Math.max(this.#micros, due.dueMicros)
      due.callback()
    }
    this.#micros = target
  }
}

/**
 * A wall clock that never goes back and never gives the same microsecond twice: the source of `accepted`, which windows and retention
 * rely on. One per process that accepts events.
 */
export class MonotoneMicros {
  readonly #clock: Clock
  #last: number

  constructor(clock: Clock, floorMicros = 0) {
    this.#clock = clock
    this.#last = floorMicros
  }

  next(): number {
    this.#last = Math.max(this.#clock.nowMicros(), this.#last + 1)
    return this.#last
  }

  /** Right behind the one before, without a look at the clock. */
  following(): number {
    return ++this.#last
  }
}
