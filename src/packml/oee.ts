import { type MachineEvent, type Timeline, timeline } from './timeline.js'

/** A stretch of time, `to` exclusive, microseconds since 1970. */
export interface Window {
  readonly from: number
  readonly to: number
}

export interface OeeOptions {
  /** What one part takes at best. */
  readonly idealCycleMs: number
  /** Modes that are production; the others are planned stops. Production unless told. */
  readonly plannedModes?: readonly string[]
  /** The mode that the machine began in, as `packml` had it: the first one. Production unless told. */
  readonly firstMode?: string
  /** Breaks, changes of shift and the like. They may overlap. */
  readonly plannedStops?: readonly Window[]
}

/** What is wrong with the figures, or was not to be expected of them. Nothing is ever clamped. */
export type OeeFlag =
  /** More parts than the ideal cycle allows for: it is too long, or the counts are wrong. */
  | 'PERFORMANCE_ABOVE_1'
  /** Parts were counted, and the machine never ran. */
  | 'PARTS_WITHOUT_RUN_TIME'
  | 'MORE_DEFECTIVE_THAN_PRODUCED'

/** Overall equipment effectiveness in a window, by ISO 22400's names. A figure that nothing was there to make of is null, never 0/0. */
export interface Oee {
  readonly window: Window
  /** Run time / planned time; null when none was planned. */
  readonly availability: number | null
  /** Ideal cycle × parts / run time; null when the machine did not run. */
  readonly performance: number | null
  /** Good / all parts; null when there were none. */
  readonly quality: number | null
  /** Good parts × ideal cycle / planned time, which is the product of the three where each is there; null when no time was planned. */
  readonly oee: number | null
  /** The same of all the time in the window; null when it is empty. */
  readonly teep: number | null
  /** In a mode of production, and not in a planned stop. */
  readonly plannedMicros: number
  /** In Execute, of that. */
  readonly runMicros: number
  /** Counted in planned time; what was counted otherwise is `unplannedParts`. */
  readonly parts: number
  readonly goodParts: number
  readonly unplannedParts: number
  /** Of the planned time: not run, run slower than ideal (below 0 when faster), run for parts that were not good. They add up to what is missing. */
  readonly lossMicros: { readonly availability: number; readonly performance: number; readonly quality: number }
  readonly flags: readonly OeeFlag[]
}

/** The figures of one machine in each window, from its events: a pure fold. Events before a window count, too: they say how the machine was when it began. */
export function oee(events: Iterable<MachineEvent>, windows: readonly Window[], options: OeeOptions): Oee[] {
  const line = timeline(events)
  const stops = merged(options.plannedStops ?? [])
  return windows.map((window) => oeeOf(line, window, stops, options))
}

function oeeOf({ stretches, counts }: Timeline, window: Window, stops: readonly Window[], options: OeeOptions): Oee {
  const { idealCycleMs, plannedModes = ['Production'], firstMode = 'Production' } = options
  const isProduction = (mode: string | undefined): boolean => plannedModes.includes(mode ?? firstMode)
  const isInWindow = (at: number): boolean => at >= window.from && at < window.to
  const isPlanned = (at: number): boolean => !stops.some(({ from, to }) => at >= from && at < to)

  let [plannedMicros, runMicros] = [0, 0]
  for (const { from, to, state, mode } of stretches) {
    if (!isProduction(mode)) continue
    const micros = plannedIn({ from: Math.max(from, window.from), to: Math.min(to, window.to) }, stops)
    plannedMicros += micros
    if (state === 'Execute') runMicros += micros
  }
  let [parts, defective, unplannedParts] = [0, 0, 0]
  for (const count of counts) {
    if (!isInWindow(count.at)) continue
    if (isProduction(count.mode) && isPlanned(count.at)) {
      parts += count.produced
      defective += count.defective
    } else unplannedParts += count.produced
  }

  const goodParts = parts - defective
  const idealMicros = idealCycleMs * 1000
  const calendarMicros = window.to - window.from
  const performance = ratio(idealMicros * parts, runMicros)
  const flags: OeeFlag[] = []
  if (performance !== null && performance > 1) flags.push('PERFORMANCE_ABOVE_1')
  if (runMicros === 0 && parts > 0) flags.push('PARTS_WITHOUT_RUN_TIME')
  if (defective > parts) flags.push('MORE_DEFECTIVE_THAN_PRODUCED')
  return {
    window,
    availability: ratio(runMicros, plannedMicros),
    performance,
    quality: ratio(goodParts, parts),
    oee: ratio(goodParts * idealMicros, plannedMicros),
    teep: ratio(goodParts * idealMicros, calendarMicros),
    plannedMicros,
    runMicros,
    parts,
    goodParts,
    unplannedParts,
    lossMicros: {
      availability: plannedMicros - runMicros,
      performance: runMicros - idealMicros * parts,
      quality: idealMicros * defective,
    },
    flags,
  }
}

function ratio(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null
}

/** How much of a stretch is in no stop; the stops do not overlap. */
function plannedIn({ from, to }: Window, stops: readonly Window[]): number {
  if (to <= from) return 0
  return stops.reduce((micros, stop) => micros - Math.max(0, Math.min(to, stop.to) - Math.max(from, stop.from)), to - from)
}

function merged(stops: readonly Window[]): Window[] {
  const apart: { from: number; to: number }[] = []
  for (const { from, to } of [...stops].sort((a, b) => a.from - b.from)) {
    const last = apart.at(-1)
    if (last !== undefined && from <= last.to) last.to = Math.max(last.to, to)
    else if (from < to) apart.push({ from, to })
  }
  return apart
}
