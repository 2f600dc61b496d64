import type { Clock } from '#base/clock.js'
import type { EntityId } from '#base/ids.js'
import type { TrialSabotage } from './sabotage.js'
import type { NotedTimer, TimerBook } from './timer-book.js'
import type { TrialClient } from './trial-client.js'

/** Entities of one trial: more than one for each worker. */
const BELLS = 6
/** Timers of each that go off once, the first of them after so long, then one every so long. */
const ONCE = 16
const FIRST_MS = 200
const STEP_MS = 25
/** Every so many-th is cancelled, the last one among them. */
const CANCELLED_EACH = 4
/** The one that goes off every so long, until all else is over and it has done so a few times. */
const EVERY_MS = 80
const AGAIN_MIN = 4

/** As the entity is told to set it. */
interface ToldTimer extends NotedTimer {
  readonly key: string
}

/**
 * Has entities of the type `bell` set timers, and tells the book of each. Such an entity takes `set { timers }`, after which it says `Set`, and for each timer `Rang { timer }` or, of one
 * that does so every so long, `RangAgain { timer }` when it goes off; `cancel { keys }`, which answers those that there were; and `look`, which answers how often
 * it has said either.
 */
export class TimerTrial {
  readonly #client: TrialClient
  readonly #book: TimerBook
  readonly #clock: Clock
  readonly #bells: readonly EntityId[]
  readonly #takeSabotage: (sabotage: TrialSabotage) => boolean
  #beganMs = 0

  /** `name`: tells its entities from those of all other trials. `takeSabotage`: whether this one is to be done now, true once. */
  constructor(options: {
    readonly client: TrialClient
    readonly book: TimerBook
    readonly clock: Clock
    readonly name: string
    readonly takeSabotage: (sabotage: TrialSabotage) => boolean
  }) {
    this.#client = options.client
    this.#book = options.book
    this.#clock = options.clock
    this.#takeSabotage = options.takeSabotage
    this.#bells = Array.from({ length: BELLS }, (_, bell): EntityId => `bell/${options.name}-${bell}`)
  }

  /** Sets all timers, and cancels some. Resolves when that is durable. */
  async set(): Promise<void> {
    this.#beganMs = this.#clock.monotonicMs()
    await Promise.all(this.#bells.map((bell) => this.#setOf(bell)))
  }

  /** Until the first timers are due. */
  get msToFirst(): number {
    return this.#beganMs + FIRST_MS - this.#clock.monotonicMs()
  }

  /** Resolves when all have gone off that are to, or time is up; then the others are cancelled. */
  async untilOver(): Promise<void> {
    const lastMs = this.#beganMs + FIRST_MS + ONCE * STEP_MS
    await this.#client.pause(lastMs - this.#clock.monotonicMs())
    await Promise.all(this.#bells.map((bell) => this.#endOf(bell)))
  }

  /** Nobody asks any more what becomes of them. */
  async abandon(): Promise<void> {
    for (const bell of this.#bells) this.#book.strike(bell)
    const keys = timersOf().map(({ key }) => key)
    await Promise.all(this.#bells.map((bell) => this.#client.done(bell, 'cancel', { keys })))
  }

  async #setOf(bell: EntityId): Promise<void> {
    const noted = timersOf()
    const sentMicros = this.#clock.nowMicros()
    await this.#client.done(bell, 'set', { timers: this.#spoilt(noted) })
    this.#book.recordSet(bell, noted, sentMicros, this.#clock.nowMicros())
    const toCancel = noted.filter(({ timer, isEvery }) => !isEvery && isToBeCancelled(timer))
    await this.#cancel(bell, toCancel, this.#takeSabotage('keep-timer') ? 1 : 0)
  }

  /** What the entity is told, which is what is noted unless the check is to find that it is not. */
  #spoilt(noted: readonly ToldTimer[]): readonly ToldTimer[] {
    const [first, ...others] = inOrder(noted) as [ToldTimer, ...ToldTimer[]]
    if (this.#takeSabotage('lose-timer')) return others
    if (this.#takeSabotage('repeat-timer')) return [...noted, { ...first, key: 'again' }]
    if (this.#takeSabotage('hurry-timer')) return [...others, { ...first, ms: first.ms / 2 }]
    if (this.#takeSabotage('delay-timer')) return [...others, { ...first, ms: first.ms + 1.5 * STEP_MS }]
    return noted
  }

  /** Those that went off before, or else that the book has as cancelled from then on. The first `spared` are not cancelled but noted so. */
  async #cancel(bell: EntityId, timers: readonly ToldTimer[], spared: number): Promise<void> {
    const keys = timers.slice(spared).map(({ key }) => key)
    const { version, reply } = await this.#client.done(bell, 'cancel', { keys })
    const cancelled = new Set([...(reply as readonly string[]), ...timers.slice(0, spared).map(({ key }) => key)])
    for (const { timer, key } of timers) if (cancelled.has(key)) this.#book.recordCancelled(bell, timer, version)
  }

  async #endOf(bell: EntityId): Promise<void> {
    const noted = timersOf()
    const onceMin = noted.filter(({ timer, isEvery }) => !isEvery && !isToBeCancelled(timer)).length
    await this.#client.until(async () => {
      const { reply } = await this.#client.done(bell, 'look', {})
      const { once, again } = reply as { readonly once: number; readonly again: number }
      return once >= onceMin && again >= AGAIN_MIN
    })
    await this.#cancel(
      bell,
      noted.filter(({ isEvery }) => isEvery),
      0,
    )
  }
}

/** Of one entity, not in the order in which they are due. */
function timersOf(): ToldTimer[] {
  const once = Array.from({ length: ONCE }, (_, timer) => ({ key: `${timer}`, timer, ms: FIRST_MS + timer * STEP_MS, isEvery: false }))
  const [even, odd] = [0, 1].map((rest) => once.filter(({ timer }) => timer % 2 === rest)) as [ToldTimer[], ToldTimer[]]
  return [...odd.reverse(), { key: 'every', timer: ONCE, ms: EVERY_MS, isEvery: true }, ...even]
}

function inOrder(timers: readonly ToldTimer[]): ToldTimer[] {
  return timers.toSorted((a, b) => Number(a.isEvery) - Number(b.isEvery) || a.ms - b.ms)
}

function isToBeCancelled(timer: number): boolean {
  return timer % CANCELLED_EACH === CANCELLED_EACH - 1
}
