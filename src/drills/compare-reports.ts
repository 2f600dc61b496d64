import { isoMicros } from '#base/micros.js'
import { HEALTHS } from '#recovery/health.js'
import type { PlantReport } from '#recovery/report.js'

/** A number of a run beside that of the run before. */
export interface Change {
  readonly what: string
  readonly before: string
  readonly now: string
  readonly verdict: 'better' | 'worse' | 'same'
}

/** Within so much of each other, two runs say the same: what a machine does besides moves them by more than most changes do. */
const NOISE = 0.1

interface Measure {
  readonly what: string
  readonly of: (report: PlantReport) => number | undefined
  readonly isMoreBetter?: true
  /** Any difference counts. */
  readonly isExact?: true
  readonly show: (value: number) => string
}

const ms = (value: number) => `${value.toFixed(1)} ms`
const whole = (value: number) => Math.round(value).toLocaleString('en-US')

const MEASURES: readonly Measure[] = [
  {
    what: 'health',
    of: ({ health }) => (health === undefined ? undefined : HEALTHS.indexOf(health)),
    isExact: true,
    show: (rank) => String(HEALTHS[rank]),
  },
  { what: 'missing', of: (report) => report.ackedMissing, isExact: true, show: whole },
  { what: 'duplicated', of: (report) => report.duplicated, isExact: true, show: whole },
  { what: 'out of order', of: (report) => report.outOfOrder, isExact: true, show: whole },
  { what: 'torn', of: (report) => report.torn, isExact: true, show: whole },
  { what: 'timers late max', of: ({ timers }) => timers?.lateMs.max, show: ms },
  { what: 'recovery p50', of: (report) => timesOf(report)?.p50, show: ms },
  { what: 'recovery p99', of: (report) => timesOf(report)?.p99, show: ms },
  { what: 'recovery max', of: (report) => timesOf(report)?.max, show: ms },
  { what: 'ack p50', of: (report) => report.ackMs.p50, show: ms },
  { what: 'ack p99', of: (report) => report.ackMs.p99, show: ms },
  { what: 'events/s', of: (report) => report.eventsPerSecond, isMoreBetter: true, show: whole },
  { what: 'bytes per event', of: (report) => report.bytesPerEvent, show: (bytes) => bytes.toFixed(1) },
]

/** Each measure that both runs have. */
export function compareReports(before: PlantReport, now: PlantReport): Change[] {
  return MEASURES.flatMap((measure) => {
    const was = measure.of(before)
    const is = measure.of(now)
    if (was === undefined || is === undefined) return []
    return [{ what: measure.what, before: measure.show(was), now: measure.show(is), verdict: verdictOf(measure, was, is) }]
  })
}

/** For a person: what got worse first, then what got better, and in one line what did not change. */
export function describeChanges(changes: readonly Change[], last: { readonly name: string; readonly at: number }): string[] {
  const width = Math.max(0, ...changes.map(({ what }) => what.length))
  const lines = (['worse', 'better'] as const).flatMap((verdict) =>
    changes
      .filter((change) => change.verdict === verdict)
      .map(({ what, before, now }) => `  ${verdict.padEnd(6)}  ${what.padEnd(width)}  ${before} → ${now}`),
  )
  const same = changes.filter(({ verdict }) => verdict === 'same').map(({ what }) => what)
  return [
    `against the last run of ${last.name}, ${isoMicros(last.at)}:`,
    ...lines,
    ...(same.length === 0 ? [] : [`  ${'same'.padEnd(6)}  ${same.join(', ')}`]),
  ]
}

function verdictOf({ isMoreBetter, isExact }: Measure, was: number, is: number): Change['verdict'] {
  const isSame = isExact === true ? was === is : Math.abs(is - was) <= NOISE * Math.max(Math.abs(was), Math.abs(is))
  if (isSame) return 'same'
  return is > was === (isMoreBetter === true) ? 'better' : 'worse'
}

function timesOf({ recoveries, rtoMs }: PlantReport): PlantReport['rtoMs'] | undefined {
  return recoveries.length === 0 ? undefined : rtoMs
}
