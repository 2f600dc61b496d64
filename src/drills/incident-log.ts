import { seatName } from '#processes/process-role.js'
import type { FaultCount, Incident } from '#recovery/report.js'
import type { AckTimeline } from './ack-timeline.js'
import { FAULTS, type Fault, type FaultKind } from './fault.js'
import type { FaultOutcome } from './fault-executor.js'

/** How much of the run is shown before and behind an incident. */
const AROUND_MS = 1000
/** Incidents of a kind that have a timeline: an hour of chaos has hundreds. */
const TIMELINES_PER_KIND = 8

interface Entry {
  readonly fault: Fault
  readonly atMs: number
  readonly endMs: number
  readonly replaced: number
}

/** What was done to the plant in a run, and what the devices saw of it. */
export class IncidentLog {
  readonly #counts = new Map<FaultKind, { count: number; skipped: number; readonly reasons: Set<string> }>()
  readonly #entries: Entry[] = []

  /** `planned`: each of these kinds stands in the report, also when its turn never came. */
  constructor(planned: readonly Fault[]) {
    for (const fault of planned) this.#countOf(fault.kind)
  }

  add(fault: Fault, atMs: number, endMs: number, { recoveries, skipped }: FaultOutcome): void {
    const count = this.#countOf(fault.kind)
    if (skipped !== undefined) {
      count.skipped++
      count.reasons.add(skipped)
      if (fault.during !== undefined && recoveries.length > 0) this.#countOf(fault.during.kind).count++
      return
    }
    count.count++
    if (fault.during !== undefined) this.#countOf(fault.during.kind).count++
    this.#entries.push({ fault, atMs, endMs, replaced: recoveries.length })
  }

  counts(): FaultCount[] {
    return [...this.#counts].map(([kind, { count, skipped, reasons }]) => ({
      kind,
      count,
      skipped,
      reasons: [...reasons],
      how: FAULTS[kind],
    }))
  }

  incidents(acks: AckTimeline): Incident[] {
    const shown = new Set(this.#longestOfEachKind())
    return this.#entries.map((entry) => {
      const { fault, atMs, endMs, replaced } = entry
      return {
        kind: fault.during === undefined ? fault.kind : `${fault.kind} + ${fault.during.kind}`,
        process: seatName(fault.seat),
        atMs,
        endMs,
        quietMs: acks.quietMs(atMs, endMs),
        replaced,
        ...(shown.has(entry) ? { timeline: acks.window(atMs - AROUND_MS, endMs + AROUND_MS) } : {}),
      }
    })
  }

  #longestOfEachKind(): Entry[] {
    const longest = [...this.#entries].sort((a, b) => b.endMs - b.atMs - (a.endMs - a.atMs))
    return [...this.#counts.keys()].flatMap((kind) => longest.filter(({ fault }) => fault.kind === kind).slice(0, TIMELINES_PER_KIND))
  }

  #countOf(kind: FaultKind) {
    let count = this.#counts.get(kind)
    if (count === undefined) this.#counts.set(kind, (count = { count: 0, skipped: 0, reasons: new Set() }))
    return count
  }
}
