import { assert } from '#base/assert.js'
import type { Clock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import { pack } from '#base/pack.js'
import type { Prng } from '#base/prng.js'
import type { DutyCycle } from '#bus/index.js'
import { EffectFailure, type EffectModel, type EffectTarget } from '#entity/effect.js'
import type { EffectOutcome, EffectRequest } from '#entity/effect-frame.js'
import { attempt, type AttemptEnd, type RunningAttempt } from './attempt.js'
import { type EffectJob, idempotencyKey } from './effect-job.js'
import { type EffectChannelEnds, EffectLink } from './effect-link.js'
import { EffectPlace, type PlaceLimits, placeLimits } from './effect-place.js'

/** A target and the bounds for what goes there. */
export interface ConfiguredTarget extends EffectTarget {
  readonly limits: PlaceLimits
}

/** An effect that failed for good, as it is kept for people. */
export interface FailedEffect {
  readonly effect: EffectRequest
  readonly key: string
  readonly code: string
  /** Of the last attempts. */
  readonly failures: readonly string[]
}

export interface EffectRunnerOptions {
  /** By worker slot. */
  readonly channels: readonly EffectChannelEnds[]
  readonly effects: ReadonlyMap<string, EffectModel>
  readonly targets: ReadonlyMap<string, ConfiguredTarget>
  /** For effects without a target. */
  readonly limits: PlaceLimits
  readonly clock: Clock
  readonly random: Prng
  /** Says that there is work that no peer rings for. */
  readonly wake: () => void
  /** Keeps an effect that failed for good, durably, and answers under which id. What it throws has the effect tried again. */
  readonly park: (failed: FailedEffect) => string
  /** The id under which an effect is kept already, since its end was not stored before somebody died. */
  readonly parkedAs: (effect: EffectRequest) => string | undefined
  /** Told of each attempt that failed. */
  readonly onFailure?: (effect: EffectRequest, failure: EffectFailure, attempts: number) => void
}

export interface EffectCounters {
  /** Effects that workers handed over, each once. */
  taken: number
  done: number
  parked: number
  /** Attempts that failed and were, or will be, followed by another. */
  retries: number
}

/** Ends that are remembered, so that a worker that comes again with an effect hears what came of it. More than all workers can have under way with ends that are not durable. */
const ENDS_MAX = 4096
const FAILURES_KEPT = 5
const DETAIL_BYTES_MAX = 4096

/**
 * Has effects done, in a gateway: each at least once, as often as is needed until it is done or given up, whatever of the plant dies meanwhile. Keeps nothing that matters: an effect is in the outbox of its
 * entity until what came of it is stored there. While this process lives, an effect that comes a second time is not done a second time.
 */
export class EffectRunner implements DutyCycle {
  readonly counters: EffectCounters = { taken: 0, done: 0, parked: 0, retries: 0 }
  readonly #options: EffectRunnerOptions
  readonly #links: readonly EffectLink[]
  readonly #places = new Map<string, EffectPlace>()
  readonly #jobs = new Map<string, EffectJob>()
  readonly #ends = new Map<string, Omit<EffectOutcome, 'request' | 'term'>>()
  readonly #running = new Set<RunningAttempt>()
  #mayBegin = true

  constructor(options: EffectRunnerOptions) {
    this.#options = options
    this.#links = options.channels.map((channel) => new EffectLink(channel))
  }

  /** Effects that wait for their first attempt or for another one. */
  get waitingCount(): number {
    return sum(this.#places.values(), (place) => place.waitingCount)
  }

  /** Attempts under way. */
  get inFlightCount(): number {
    return this.#running.size
  }

  /** No attempt is under way or could begin now, and nothing is to be read or told: what waits, waits for time to pass. */
  get isQuiet(): boolean {
    return (
      this.#running.size === 0 && this.#links.every((link) => link.isQuiet) && ![...this.#places.values()].some((place) => place.canBegin)
    )
  }

  doWork(): number {
    let work = 0
    for (const [index, link] of this.#links.entries()) {
      for (const effect of link.read()) {
        this.#take(effect, index)
        work++
      }
    }
    if (this.#mayBegin) {
      for (const place of this.#places.values()) {
        for (; place.canBegin; work++) this.#begin(place.begin(), place)
      }
    }
    for (const link of this.#links) work += link.send()
    return work
  }

  hasWork(): boolean {
    if (this.#links.some((link) => link.hasWork())) return true
    return this.#mayBegin && [...this.#places.values()].some((place) => place.canBegin)
  }

  /** Begins no further attempt; what is under way may end. */
  close(): void {
    this.#mayBegin = false
  }

  /** Aborts what is under way. Nothing comes of it here any more. */
  stop(): void {
    this.close()
    for (const place of this.#places.values()) place.stop()
    for (const running of this.#running) running.abort()
    this.#running.clear()
  }

  /** One attempt at an effect that was parked, for a person who waits for what comes of it. It has the key of the attempts before. */
  async tryOnce(effect: EffectRequest): Promise<AttemptEnd> {
    const model = this.#modelOf(effect)
    if (model instanceof EffectFailure) return { failure: model }
    const running = this.#attempt(effect, model, 1)
    const end = await running.end
    this.#running.delete(running)
    return end
  }

  #take(effect: EffectRequest, link: number): void {
    const { term, request } = effect
    const key = idempotencyKey(effect)
    const requester = { link, term, request }
    const job = this.#jobs.get(key)
    if (job !== undefined) {
      job.requesters = [...job.requesters.filter((one) => one.link !== link), requester]
      return
    }
    const ended = this.#ends.get(key)
    if (ended !== undefined) return this.#links[link]?.tell({ ...ended, term, request })
    this.counters.taken++
    const taken: EffectJob = { effect, key, requesters: [requester], attempts: 0, failures: [] }
    this.#jobs.set(key, taken)
    const parked = this.#options.parkedAs(effect)
    if (parked !== undefined) return this.#end(taken, 'failed', faultOf('PARKED', { parked, message: 'it failed for good before' }))
    const model = this.#modelOf(effect)
    if (model instanceof EffectFailure) this.#giveUp(taken, model)
    else this.#placeOf(model).add(taken)
  }

  #begin(job: EffectJob, place: EffectPlace): void {
    const model = this.#modelOf(job.effect)
    assert(!(model instanceof EffectFailure), 'an effect that waits can be done')
    const running = this.#attempt(job.effect, model, job.attempts)
    void running.end.then((end) => {
      if (!this.#running.delete(running)) return
      this.#ended(job, place, end)
      this.#options.wake()
    })
  }

  #attempt(effect: EffectRequest, model: EffectModel, attempts: number): RunningAttempt {
    const { target: name, run } = model.effect
    const { timeoutMs } = this.#placeOf(model).limits
    const { entity, at, correlation } = effect
    const target = name === undefined ? undefined : this.#options.targets.get(name)
    const running = attempt(
      (signal) => run(effect.data, { key: idempotencyKey(effect), entity, at, correlation, attempt: attempts, signal, target }),
      timeoutMs,
      this.#options.clock,
    )
    this.#running.add(running)
    return running
  }

  #ended(job: EffectJob, place: EffectPlace, end: AttemptEnd): void {
    const { failure } = end
    if (failure === undefined) {
      place.answered()
      this.counters.done++
      return this.#end(job, 'done', end.reply)
    }
    job.failures = [...job.failures.slice(1 - FAILURES_KEPT), `${failure.code}: ${failure.message}`]
    this.#options.onFailure?.(job.effect, failure, job.attempts)
    const isOver = failure.isFinal || job.attempts >= place.limits.attemptsMax
    if (isOver && this.#tryPark(job, failure)) {
      if (failure.isFinal) place.answered()
      else place.givenUp()
      return
    }
    this.counters.retries++
    place.failed(job, failure.afterMs)
  }

  /** What cannot even be tried. */
  #giveUp(job: EffectJob, failure: EffectFailure): void {
    job.failures = [`${failure.code}: ${failure.message}`]
    if (!this.#tryPark(job, failure)) this.#end(job, 'failed', faultOf(failure.code, { message: failure.message }))
  }

  /** False when it cannot be kept: then it is not over. */
  #tryPark(job: EffectJob, { code, message, detail }: EffectFailure): boolean {
    let parked: string
    try {
      parked = this.#options.park({ effect: job.effect, key: job.key, code, failures: job.failures })
    } catch (error) {
      job.failures.push(`it could not be parked: ${messageOf(error)}`)
      return false
    }
    this.counters.parked++
    this.#end(job, 'failed', faultOf(code, { message, parked, detail }))
    return true
  }

  #end(job: EffectJob, outcome: EffectOutcome['outcome'], bytes: Uint8Array): void {
    this.#jobs.delete(job.key)
    this.#ends.set(job.key, { outcome, bytes })
    if (this.#ends.size > ENDS_MAX) this.#ends.delete(this.#ends.keys().next().value as string)
    for (const { link, term, request } of job.requesters) this.#links[link]?.tell({ outcome, bytes, term, request })
  }

  /** How the effect is done; or why it cannot be. */
  #modelOf({ name, data }: EffectRequest): EffectModel | EffectFailure {
    const model = this.#options.effects.get(name)
    if (model === undefined)
      return new EffectFailure('NO_SUCH_EFFECT', { message: `the plant has no effect ${name} any more`, isFinal: true })
    const { target } = model.effect
    if (target !== undefined && !this.#options.targets.has(target))
      return new EffectFailure('NO_SUCH_TARGET', { message: `the configuration has no target ${target}`, isFinal: true })
    const wrong = model.codec.check(data)
    return wrong === undefined ? model : new EffectFailure('WRONG_DATA', { message: wrong, isFinal: true })
  }

  #placeOf({ effect }: EffectModel): EffectPlace {
    const { clock, random, wake } = this.#options
    const target = effect.target === undefined ? undefined : this.#options.targets.get(effect.target)
    const name = target === undefined ? `effect ${effect.name}` : `target ${target.name}`
    let place = this.#places.get(name)
    if (place === undefined) {
      const limits = target?.limits ?? placeLimits(this.#options.limits, effect)
      this.#places.set(name, (place = new EffectPlace({ limits, clock, random, wake })))
    }
    return place
  }
}

/** As the outcome of a refused command is packed that is a fault. */
function faultOf(code: string, detail: { readonly message: string; readonly parked?: string; readonly detail?: unknown }): Uint8Array {
  const bytes = pack([code, detail, true])
  return bytes.length <= DETAIL_BYTES_MAX ? bytes : pack([code, { message: detail.message.slice(0, 500), parked: detail.parked }, true])
}

function sum<T>(of: Iterable<T>, count: (one: T) => number): number {
  let total = 0
  for (const one of of) total += count(one)
  return total
}
