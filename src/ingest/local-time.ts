import { IANAZone } from 'luxon'

/** Why a local time has no answer, for a person. */
export type LocalTimeProblem = string

const DAY_MS = 86_400_000
const DAYS_KEPT_MAX = 4096

/**
 * Local times of one IANA zone as UTC. A time that the clocks skipped is refused or moved forward by the gap, one that they showed twice is
 * the earlier or the later of the two or refused, as told. Transitions are searched within a day either side, which is enough for every zone
 * of the database: none lies within 48 hours of another of the opposite sign.
 */
export class LocalTime {
  readonly #zone: IANAZone
  readonly #overlap: 'earlier' | 'later' | 'reject'
  readonly #gap: 'reject' | 'shift'
  /** By local day: the offset in ms when the day and its neighbours have one, NaN when a transition is near. */
  readonly #days = new Map<number, number>()

  /** `zone` is valid, see `isZone`. */
  constructor(zone: string, overlap: 'earlier' | 'later' | 'reject', gap: 'reject' | 'shift') {
    this.#zone = IANAZone.create(zone)
    this.#overlap = overlap
    this.#gap = gap
  }

  /** `localMs` is the wall time read as if it were UTC. The answer is UTC in milliseconds, or why there is none. */
  toUtcMs(localMs: number): number | LocalTimeProblem {
    const offset = this.#offsetOfDay(Math.floor(localMs / DAY_MS))
    return Number.isNaN(offset) ? this.#nearTransition(localMs) : localMs - offset
  }

  #offsetOfDay(day: number): number {
    const known = this.#days.get(day)
    if (known !== undefined) return known
    const before = this.#offsetMs((day - 1) * DAY_MS)
    const after = this.#offsetMs((day + 2) * DAY_MS)
    const offset = before === after ? before : Number.NaN
    if (this.#days.size >= DAYS_KEPT_MAX) this.#days.clear()
    this.#days.set(day, offset)
    return offset
  }

  #nearTransition(localMs: number): number | LocalTimeProblem {
    const before = this.#offsetMs(localMs - DAY_MS)
    const after = this.#offsetMs(localMs + DAY_MS)
    const early = localMs - before
    const late = localMs - after
    const isEarly = this.#offsetMs(early) === before
    const isLate = this.#offsetMs(late) === after
    if (isEarly && isLate && early !== late) {
      if (this.#overlap === 'reject') return `the clocks of ${this.#zone.name} showed this time twice`
      return this.#overlap === 'earlier' ? Math.min(early, late) : Math.max(early, late)
    }
    if (isEarly) return early
    if (isLate) return late
    if (this.#gap === 'reject') return `the clocks of ${this.#zone.name} skipped this time`
    return early
  }

  #offsetMs(utcMs: number): number {
    return Math.round(this.#zone.offset(utcMs) * 60_000)
  }
}

/** True for a name of the zone database that this Node knows, such as `Europe/Moscow` or `UTC`. */
export function isZone(name: string): boolean {
  return IANAZone.isValidZone(name)
}
