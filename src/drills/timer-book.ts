import { distribution, type TimerReport } from '#recovery/report.js'
import type { LoggedRow } from './plant-under-test.js'

/** A timer as it was set. */
export interface NotedTimer {
  /** Tells it from the other timers of its entity; what the entity says when it goes off. */
  readonly timer: number
  readonly ms: number
  /** Every so long, until it is cancelled. */
  readonly isEvery: boolean
}

export interface TimerVerdict {
  readonly report: TimerReport
  /** The first few of what is wrong, for a person. */
  readonly examples: readonly string[]
}

/** The events of the entity type that timers are set of, see TimerTrial. */
const SET = 'Set'
const RANG = 'Rang'
const RANG_AGAIN = 'RangAgain'
/** Timers promise 10 ms, and clocks of processes differ by less. */
const TOLERANCE_MICROS = 10_000
const EXAMPLES_MAX = 10

interface Page {
  /** When the command that sets them was sent and answered, by the clock of who sent it, microseconds since 1970. */
  readonly sentMicros: number
  readonly answeredMicros: number
  readonly timers: readonly NotedTimer[]
  /** By timer, the version behind which it must not go off. */
  readonly cancelled: Map<number, number>
}

/** A timer that went off, as the log says. */
interface Ring {
  readonly timer: number
  readonly version: number
  /** When it was due. */
  readonly at: number
  /** When it went off. */
  readonly accepted: number
}

interface Found {
  setMicros: number | undefined
  readonly rings: Ring[]
}

/**
 * The book of who sets timers: what was set and cancelled, and when. Which timers went off, and when, only the log knows, which is held against it in the end. All timers of an entity are
 * set by one command, so that they are due in the order of their times.
 */
export class TimerBook {
  readonly #pages = new Map<string, Page>()
  #examples: string[] = []

  get setCount(): number {
    return [...this.#pages.values()].reduce((sum, { timers }) => sum + timers.length, 0)
  }

  recordSet(entity: string, timers: readonly NotedTimer[], sentMicros: number, answeredMicros: number): void {
    this.#pages.set(entity, { timers, sentMicros, answeredMicros, cancelled: new Map() })
  }

  /** By a command that made the entity's version this one. */
  recordCancelled(entity: string, timer: number, version: number): void {
    this.#pages.get(entity)?.cancelled.set(timer, version)
  }

  /** The entity was given up: what becomes of its timers says nothing. */
  strike(entity: string): void {
    this.#pages.delete(entity)
  }

  /** Holds the log against the book. Rows of each entity come in order of version. */
  async check(rows: AsyncIterable<LoggedRow>): Promise<TimerVerdict> {
    const found = new Map<string, Found>()
    for await (const { entity, version, event, data, at, accepted } of rows) {
      let one = found.get(entity)
      if (one === undefined) found.set(entity, (one = { setMicros: undefined, rings: [] }))
      if (event === SET) one.setMicros ??= accepted
      else if (event === RANG || event === RANG_AGAIN) one.rings.push({ timer: data['timer'] as number, version, at, accepted })
    }
    this.#examples = []
    const tally = new Tally()
    for (const [entity, page] of this.#pages) this.#checkPage(entity, page, found.get(entity), tally)
    return { report: tally.report(), examples: this.#examples.slice(0, EXAMPLES_MAX) }
  }

  #checkPage(entity: string, page: Page, found: Found | undefined, tally: Tally): void {
    const note: Note = (wrong, timer, times = 1) => {
      tally.wrong[wrong] += times
      if (times > 0) this.#examples.push(`${SAID[wrong]} timer ${timer} of ${entity}`)
    }
    const rings = found?.rings ?? []
    const setMicros = setAt(page, found?.setMicros)
    const dueOf = new Map(page.timers.filter(({ isEvery }) => !isEvery).map(({ timer, ms }) => [timer, setMicros + ms * 1000]))
    for (const noted of page.timers) {
      const own = rings.filter(({ timer }) => timer === noted.timer)
      const cancelledAt = page.cancelled.get(noted.timer)
      tally.set++
      if (cancelledAt !== undefined) tally.cancelled++
      if (noted.isEvery) checkEvery(noted, own, setMicros, cancelledAt, tally, note)
      else checkOnce(noted.timer, own, dueOf.get(noted.timer) as number, cancelledAt !== undefined, tally, note)
    }
    let latestDue = Number.NEGATIVE_INFINITY
    const seen = new Set<number>()
    for (const { timer } of rings) {
      const due = dueOf.get(timer)
      if (due === undefined || seen.has(timer) || page.cancelled.has(timer)) continue
      seen.add(timer)
      if (due < latestDue) note('outOfOrder', timer)
      latestDue = Math.max(latestDue, due)
    }
    const known = new Set(page.timers.map(({ timer }) => timer))
    for (const { timer } of rings) if (!known.has(timer)) note('unwanted', timer)
  }
}

type Wrong = 'missing' | 'repeated' | 'unwanted' | 'early' | 'outOfOrder'
type Note = (wrong: Wrong, timer: number, times?: number) => void

const SAID: Readonly<Record<Wrong, string>> = {
  missing: 'never went off:',
  repeated: 'went off twice:',
  unwanted: 'went off though nobody wanted it any more:',
  early: 'went off too early:',
  outOfOrder: 'went off behind a later one:',
}

class Tally {
  set = 0
  cancelled = 0
  readonly wrong: Record<Wrong, number> = { missing: 0, repeated: 0, unwanted: 0, early: 0, outOfOrder: 0 }
  readonly #lateMs: number[] = []

  wentOff(lateMicros: number): void {
    this.#lateMs.push(Math.max(0, lateMicros / 1000))
  }

  report(): TimerReport {
    const { set, cancelled, wrong } = this
    return { set, cancelled, wentOff: this.#lateMs.length, ...wrong, lateMs: distribution(this.#lateMs) }
  }
}

/** When the plant took the command: by its own word, as far as that can be. */
function setAt({ sentMicros, answeredMicros }: Page, said = sentMicros): number {
  return Math.min(Math.max(said, sentMicros - TOLERANCE_MICROS), answeredMicros + TOLERANCE_MICROS)
}

function checkOnce(timer: number, rings: readonly Ring[], due: number, isCancelled: boolean, tally: Tally, note: Note): void {
  if (isCancelled) {
    note('unwanted', timer, rings.length)
    return
  }
  const [first, ...again] = rings
  note('repeated', timer, again.length)
  if (first === undefined) return note('missing', timer)
  if (first.accepted < due - TOLERANCE_MICROS) note('early', timer)
  tally.wentOff(first.accepted - due)
}

/** One that is late leaves out the times that have passed by, and only those. */
function checkEvery(
  { timer, ms }: NotedTimer,
  rings: readonly Ring[],
  setMicros: number,
  cancelledAt: number | undefined,
  tally: Tally,
  note: Note,
): void {
  const periodMicros = ms * 1000
  let due = setMicros + periodMicros
  let last: number | undefined
  if (rings.length === 0) note('missing', timer)
  for (const { version, at, accepted } of rings) {
    if (cancelledAt !== undefined && version > cancelledAt) {
      note('unwanted', timer)
      continue
    }
    if (at === last) {
      note('repeated', timer)
      continue
    }
    if (at < due || accepted < at - TOLERANCE_MICROS) note('early', timer)
    if (at > due) note('missing', timer)
    tally.wentOff(accepted - at)
    last = at
    due = at + periodMicros * Math.max(1, Math.floor((accepted - at) / periodMicros) + 1)
  }
}
