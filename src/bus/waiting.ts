import { availableParallelism } from 'node:os'
import type { Cancel, Clock } from '#base/clock.js'
import { AWAKE, PARKED, SPINNING } from './peer.js'
import { PARKED_MS, PARKS, WOKEN_BY_RING, WOKEN_BY_TIME } from './layout.js'

/** One step of a process's own work. Called often; never blocks, never awaits. */
export interface DutyCycle {
  /** Does a bounded amount of what there is to do and answers how much that was; 0 when there was nothing. */
  doWork(): number
  /** Whether `doWork` would find something. Looks at shared words, not at cached ones: it is the second look before parking. */
  hasWork(): boolean
  /** When `doWork` has to run even if nothing comes, on the clock's `monotonicMs`; undefined: never. */
  nextDeadlineMs?(): number | undefined
}

/**
 * What to do when there is no work. `spin`: look again at once, for ever (a core of one's own). `adaptive`: look again for a short
 * while, then park. `park`: park at once.
 */
export type IdleStrategy = 'spin' | 'adaptive' | 'park'

/** What a process hears its peers ring with. */
export interface RingListener {
  /** One listener; it is called on the event loop, once or more per ring, perhaps without one. */
  onRing(listener: () => void): void
}

/**
 * Where a duty cycle writes what other processes may see of its waiting, so that it costs them nothing: `values[index]` and what follows, by
 * WAIT_COUNTERS. Only the duty cycle writes there, twice per park and never per frame; numbers of a predecessor run on.
 */
export interface WaitCounters {
  readonly values: Float64Array
  readonly index: number
}

/** Parks begun, those that a ring ended and those that time did, and the milliseconds of all that have ended. */
export const WAIT_COUNTERS = ['parks', 'wokenByRing', 'wokenByTime', 'parkedMs'] as const

/** Runs a callback in a later turn of the event loop. */
export type Schedule = (callback: () => void) => void

export interface DutyCycleOptions {
  readonly strategy: IdleStrategy
  /** The word that says to peers how this process waits. */
  readonly parked: { readonly words: Int32Array; readonly index: number }
  /** Undefined when nobody rings: then parking ends by looking again, and by `wake`. */
  readonly bell: RingListener | undefined
  readonly clock: Clock
  readonly counters?: WaitCounters
  /** How long `adaptive` spins after the last work, default `spinMicrosFor(2)`: this process and its peer. */
  readonly spinMicros?: number
  /** A parked process looks again by itself after this time: a ring is lost when its ringer dies half-way. Infinity: never. */
  readonly lookAgainMs?: number
  /** How long work may keep the event loop from its timers and sockets. */
  readonly turnMillisMax?: number
  /** Called at the start of every turn: the sign that the event loop is alive. */
  readonly onTurn?: () => void
  /** Told what `doWork`, `hasWork` or `nextDeadlineMs` threw. The duty cycle has stopped then. */
  readonly onError: (error: unknown) => void
  /** `setImmediate` unless a test drives the turns itself. */
  readonly schedule?: Schedule
}

export interface DutyCycleStats {
  turns: number
  /** How often it parked, and what ended that. */
  parks: number
  wokenByRing: number
  wokenByWake: number
  wokenByTime: number
  /** Parking attempts that the second look found to be wrong. */
  parksAverted: number
  parkedMs: number
}

export interface RunningDutyCycle {
  /** Says that something other than a peer made work: a promise, a timer, a socket. Cheap; may be called from `doWork` too. */
  wake(): void
  /** From now on `adaptive` spins for so long: the number of processes that do has changed. */
  limitSpin(micros: number): void
  /** No further `doWork` begins. May be called from `doWork`. */
  stop(): void
  readonly isParked: boolean
  readonly stats: Readonly<DutyCycleStats>
}

export const LOOK_AGAIN_MS = 100
export const TURN_MILLIS_MAX = 1
const SPIN_MICROS = 50

/** About what a timer of Node can wait for: longer ones fire at once. */
const TIMER_MS_MAX = 2 ** 30

/** Times add up no better than this: a timer for less would fire at once, for ever under a clock that stands still. */
const CLOCK_ERROR_MS = 0.01

/** Between two looks at the clock, which costs as much as several empty rounds. */
const ROUNDS_PER_CLOCK_LOOK = 16
/** A turn ends after so many rounds whatever the clock says: a clock may stand still. */
const TURN_ROUNDS_MAX = 1024
/** The same for spinning: no empty round is faster than 5 ns. */
const SPIN_ROUNDS_PER_MICRO = 200

/**
 * How long to spin when `processCount` processes do. Not at all unless they leave a core to the rest of the machine: a spinning process that
 * wakes its peer on a busy machine gets it onto its own core, and both wait out each other's spinning (measured on two busy cores: 113 µs a
 * round trip where parking at once takes 20).
 */
export function spinMicrosFor(processCount: number): number {
  return processCount < availableParallelism() ? SPIN_MICROS : 0
}

/** Starts in the next turn of the event loop and goes on until stopped or until something throws. */
export function runDutyCycle(duty: DutyCycle, options: DutyCycleOptions): RunningDutyCycle {
  return new Runner(duty, options)
}

type State = 'scheduled' | 'working' | 'parked' | 'stopped'

/**
 *   scheduled ──▶ working ──▶ scheduled   the turn is over and there was work up to its end
 *       ▲            └──────▶ parked      there was none, also at the second look
 *       └──────────────────────┘          a ring, `wake`, a deadline, or the time to look again
 */
class Runner implements RunningDutyCycle {
  readonly stats: DutyCycleStats = { turns: 0, parks: 0, wokenByRing: 0, wokenByWake: 0, wokenByTime: 0, parksAverted: 0, parkedMs: 0 }
  readonly #duty: DutyCycle
  readonly #options: DutyCycleOptions
  readonly #parkedWords: Int32Array
  readonly #parkedIndex: number
  readonly #counters: WaitCounters
  readonly #clock: Clock
  readonly #schedule: Schedule
  #spinMicros: number
  readonly #lookAgainMs: number
  readonly #turnMillisMax: number
  readonly #runTurn = () => this.#turn(this.#clock.monotonicMs())
  #state: State = 'scheduled'
  #isWokenMeanwhile = false
  #parkedAtMs = 0
  /** When the park is to end by itself. */
  #lookAtMs = 0
  /** When the timer fires: not after `#lookAtMs` while parked. */
  #timerAtMs = Number.POSITIVE_INFINITY
  #cancelTimer: Cancel | undefined

  constructor(duty: DutyCycle, options: DutyCycleOptions) {
    this.#duty = duty
    this.#options = options
    this.#parkedWords = options.parked.words
    this.#parkedIndex = options.parked.index
    this.#counters = options.counters ?? { values: new Float64Array(WAIT_COUNTERS.length), index: 0 }
    this.#clock = options.clock
    this.#schedule = options.schedule ?? setImmediate
    this.#lookAgainMs = options.lookAgainMs ?? LOOK_AGAIN_MS
    this.#turnMillisMax = options.turnMillisMax ?? TURN_MILLIS_MAX
    this.#spinMicros = spinMicrosOf(options, this.#turnMillisMax * 1000)
    options.bell?.onRing(() => this.#rung())
    // Also over what a predecessor left there.
    Atomics.store(this.#parkedWords, this.#parkedIndex, options.strategy === 'spin' ? SPINNING : AWAKE)
    this.#schedule(this.#runTurn)
  }

  get isParked(): boolean {
    return this.#state === 'parked'
  }

  wake(): void {
    if (this.#state === 'working') this.#isWokenMeanwhile = true
    if (this.#state !== 'parked') return
    this.stats.wokenByWake++
    this.#unpark()
    this.#scheduleTurn()
  }

  limitSpin(micros: number): void {
    this.#spinMicros = spinMicrosOf({ ...this.#options, spinMicros: micros }, this.#turnMillisMax * 1000)
  }

  stop(): void {
    if (this.#state === 'parked') this.#unpark()
    this.#state = 'stopped'
    this.#cancelTimer?.()
  }

  /** Straight from the bell into the work: a parked round trip does not pay for another turn of the loop. */
  #rung(): void {
    if (this.#state !== 'parked') return
    this.stats.wokenByRing++
    this.#count(WOKEN_BY_RING, 1)
    this.#turn(this.#unpark())
  }

  #timerFired(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY
    if (this.#state !== 'parked') return
    const leftMs = this.#lookAtMs - this.#clock.monotonicMs()
    if (leftMs > CLOCK_ERROR_MS) return this.#setTimer(leftMs)
    this.stats.wokenByTime++
    this.#count(WOKEN_BY_TIME, 1)
    this.#turn(this.#unpark())
  }

  /** Answers the time. */
  #unpark(): number {
    Atomics.store(this.#parkedWords, this.#parkedIndex, AWAKE)
    this.#state = 'scheduled'
    const nowMs = this.#clock.monotonicMs()
    this.stats.parkedMs += nowMs - this.#parkedAtMs
    this.#count(PARKED_MS, nowMs - this.#parkedAtMs)
    return nowMs
  }

  #count(counter: number, by: number): void {
    const { values, index } = this.#counters
    values[index + counter] = (values[index + counter] as number) + by
  }

  #scheduleTurn(): void {
    this.#state = 'scheduled'
    this.#schedule(this.#runTurn)
  }

  #turn(nowMs: number): void {
    if (this.#state !== 'scheduled') return
    this.#state = 'working'
    this.stats.turns++
    try {
      this.#options.onTurn?.()
      const isIdle = this.#work(nowMs)
      if (this.#isStopped()) return
      if (isIdle && this.#options.strategy !== 'spin') this.#park()
      else this.#scheduleTurn()
    } catch (error) {
      this.stop()
      this.#options.onError(error)
    }
  }

  /** Works until the turn is over or there was nothing to do for the spinning time; says which. */
  #work(startMs: number): boolean {
    const spinRoundsMax = this.#spinMicros * SPIN_ROUNDS_PER_MICRO
    let idleSinceMs = startMs
    let idleRounds = 0
    let busyRounds = 0
    for (;;) {
      this.#isWokenMeanwhile = false
      const done = this.#duty.doWork()
      if (this.#isStopped()) return true
      if (done > 0 || this.#isWokenMeanwhile) {
        idleRounds = 0
        busyRounds++
        if (busyRounds >= TURN_ROUNDS_MAX) return false
        if (busyRounds % ROUNDS_PER_CLOCK_LOOK === 0 && this.#clock.monotonicMs() - startMs >= this.#turnMillisMax) return false
        continue
      }
      if (spinRoundsMax === 0) return true
      if (idleRounds === 0) idleSinceMs = this.#clock.monotonicMs()
      idleRounds++
      if (idleRounds > spinRoundsMax) return true
      if (idleRounds % ROUNDS_PER_CLOCK_LOOK !== 0) continue
      const nowMs = this.#clock.monotonicMs()
      if ((nowMs - idleSinceMs) * 1000 >= this.#spinMicros) return true
      if (nowMs - startMs >= this.#turnMillisMax) return false
    }
  }

  #park(): void {
    const nowMs = this.#clock.monotonicMs()
    const deadlineMs = this.#duty.nextDeadlineMs?.()
    this.#parkedAtMs = nowMs
    // SYNC parked: this store comes before the look for work; a peer's publish or release comes before its look at this word.
    Atomics.store(this.#parkedWords, this.#parkedIndex, PARKED)
    this.#state = 'parked'
    const hasWork = this.#duty.hasWork()
    if (this.#isStopped()) return
    if (hasWork) {
      this.stats.parksAverted++
      Atomics.store(this.#parkedWords, this.#parkedIndex, AWAKE)
      this.#scheduleTurn()
      return
    }
    this.stats.parks++
    this.#count(PARKS, 1)
    const lookAtMs = nowMs + this.#lookAgainMs
    this.#lookAtMs = deadlineMs === undefined || deadlineMs > lookAtMs ? lookAtMs : Math.max(nowMs, deadlineMs)
    if (this.#timerAtMs > this.#lookAtMs) this.#setTimer(this.#lookAtMs - nowMs)
  }

  /**
   * One timer for many parks: making and cancelling one takes longer than the rest of parking, and most parks end by a ring long before. It
   * fires too early rather than too often, and is set anew then.
   */
  #setTimer(wantedMs: number): void {
    const delayMs = Math.min(wantedMs, TIMER_MS_MAX)
    this.#cancelTimer?.()
    this.#timerAtMs = this.#clock.monotonicMs() + delayMs
    this.#cancelTimer = this.#clock.after(delayMs, () => this.#timerFired())
  }

  #isStopped(): boolean {
    return this.#state === 'stopped'
  }
}

/** Spinning ends with the turn at the latest, else a turn that began idle would never come to park. */
function spinMicrosOf(options: DutyCycleOptions, turnMicros: number): number {
  if (options.strategy === 'park') return 0
  if (options.strategy === 'spin') return turnMicros
  return Math.min(options.spinMicros ?? spinMicrosFor(2), turnMicros)
}
