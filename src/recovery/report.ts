import type { Health } from './health.js'

/**
 * What a run of a plant came to, in one shape everywhere: demo, drill, chaos. Plain JSON; its schema is config/report.schema.json. Times are
 * milliseconds unless the name says otherwise; percentiles of nothing are 0, and the list they come from is then empty.
 */
export interface PlantReport {
  /** Commands that a source sent for the first time; a retry is not another one. */
  readonly sent: number
  /** Commands whose source was told that they are durable. */
  readonly acked: number
  /** Of the commands sent, those whose events or receipts are in the log. */
  readonly durable: number
  /** Acknowledged but absent from the log: loss, the one number that must be 0. */
  readonly ackedMissing: number
  /** In the log more than once. */
  readonly duplicated: number
  /** In the log behind a later one of the same source and entity. */
  readonly outOfOrder: number
  /** In the log with other values than were sent, where these were compared. */
  readonly torn?: number
  /** In the log without ever having been sent, where somebody knows all that was. */
  readonly invented?: number
  readonly stateHash: StateHashes
  readonly recoveries: readonly Recovery[]
  readonly rtoMs: Distribution
  readonly ackMs: { readonly p50: number; readonly p99: number }
  readonly eventsPerSecond: number
  /** Median round trip of a frame over the bus, nanoseconds, where it was measured. */
  readonly busRttNs?: number
  /** Bytes on disk for one stored event, where it was measured. */
  readonly bytesPerEvent?: number
  /** What was done to the plant, by kind, where that was planned: a drill. */
  readonly faults?: readonly FaultCount[]
  /** Each time that it was done, in order. */
  readonly incidents?: readonly Incident[]
  /** What became of timers, where a drill had entities set some. */
  readonly timers?: TimerReport
  /** What became of trees of supervision, where a drill had children err. */
  readonly supervision?: SupervisionReport
  readonly health?: Health
}

/** Of timers that were set. All that can be wrong with one is counted apart. */
export interface TimerReport {
  readonly set: number
  /** Of them, those that were cancelled before they went off, or so that they did not again. */
  readonly cancelled: number
  /** How often one went off that was to. */
  readonly wentOff: number
  readonly missing: number
  readonly repeated: number
  /** Went off though they were cancelled. */
  readonly unwanted: number
  readonly early: number
  /** Behind one of the same entity that was due later. */
  readonly outOfOrder: number
  /** From when a timer was due until it went off, also those that had to wait for a successor. */
  readonly lateMs: Distribution
}

/** Of trees of supervision: supervisors with children, of which some erred. */
export interface SupervisionReport {
  readonly trees: number
  /** Of children. */
  readonly errors: number
  /** How often a child began anew. */
  readonly restarted: number
  /** How often one went on. */
  readonly resumed: number
  /** How often there were too many errors for a supervisor. */
  readonly escalated: number
  /** Trees of which something else became than their strategies say. */
  readonly wrong: number
}

/** Of some values. */
export interface Distribution {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

/** Of one kind of fault. */
export interface FaultCount {
  readonly kind: string
  readonly count: number
  /** How often it was its turn and it could not be carried out, and why, each reason once. */
  readonly skipped: number
  readonly reasons: readonly string[]
  /** What was really done: some faults have a stand-in. */
  readonly how: string
}

/** One fault that was carried out. Times are since the start of the run. */
export interface Incident {
  readonly kind: string
  /** The seat that it hit first: `worker/0`. */
  readonly process: string
  readonly atMs: number
  /** All seats worked again and the devices had been told of a new durable command. */
  readonly endMs: number
  /** The longest time between two acknowledgements that the devices saw meanwhile. */
  readonly quietMs: number
  /** Processes that were replaced meanwhile. */
  readonly replaced: number
  /** From a second before to a second behind it; only the longest few of each kind have one. */
  readonly timeline?: Timeline
}

/** Acknowledgements in buckets of equal length, the first of which begins at `fromMs`; a bucket without any has no percentiles. */
export interface Timeline {
  readonly fromMs: number
  readonly bucketMs: number
  readonly acked: readonly number[]
  readonly ackP50Ms: readonly (number | null)[]
  readonly ackP99Ms: readonly (number | null)[]
}

/** SHA-256 over all entities' states, 64 hex digits: as the workers held them, and as a replay of the log folds them. */
export interface StateHashes {
  readonly live: string
  readonly replayed: string
}

/** One process that died and was replaced. */
export interface Recovery {
  /** Its seat: `worker/0`. */
  readonly process: string
  /** `SIGKILL`, `exit code 1`, `hang (pulse)`. */
  readonly cause: string
  /** From the first sign of the death until the seat works again. */
  readonly rtoMs: number
  /** How many entities were rebuilt, and from how many events. */
  readonly entities: number
  readonly events: number
  /** Milliseconds by name. `noticed`, `reaped`, `started` and `ready` add up to `rtoMs`; others are parts of `ready`. */
  readonly phases: Readonly<Record<string, number>>
}

/** Nothing lost, doubled, torn, invented or out of order, everything acknowledged is there, and replay gives the state that was live. */
export function isClean(report: PlantReport): boolean {
  return whatIsWrong(report).length === 0
}

/** Each thing that is wrong with a run, for a person; empty for a clean one. */
export function whatIsWrong(report: PlantReport): string[] {
  const wrong: string[] = []
  if (report.ackedMissing > 0) wrong.push(`${count(report.ackedMissing, 'acknowledged command')} missing from the log`)
  if (report.duplicated > 0) wrong.push(`${count(report.duplicated, 'command')} stored twice`)
  if (report.outOfOrder > 0) wrong.push(`${count(report.outOfOrder, 'command')} out of order`)
  if (report.invented !== undefined && report.invented > 0) wrong.push(`${count(report.invented, 'command')} in the log that nobody sent`)
  if (report.torn !== undefined && report.torn > 0) wrong.push(`${count(report.torn, 'command')} stored with other values than were sent`)
  if (report.durable < report.acked - report.ackedMissing)
    wrong.push(`fewer commands durable (${report.durable}) than acknowledged (${report.acked})`)
  wrong.push(...wrongTimers(report.timers), ...wrongTrees(report.supervision))
  if (report.stateHash.live !== report.stateHash.replayed) wrong.push('replaying the log gives another state than the live one')
  return wrong
}

function wrongTimers(timers: TimerReport | undefined): string[] {
  if (timers === undefined) return []
  const ways: readonly (readonly [number, string])[] = [
    [timers.missing, 'that never went off'],
    [timers.repeated, 'that went off twice'],
    [timers.unwanted, 'that went off though cancelled'],
    [timers.early, 'that went off too early'],
    [timers.outOfOrder, 'that went off behind a later one'],
  ]
  return ways.flatMap(([number, how]) => (number > 0 ? [`${count(number, 'timer')} ${how}`] : []))
}

function wrongTrees(supervision: SupervisionReport | undefined): string[] {
  if (supervision === undefined || supervision.wrong === 0) return []
  return [`${count(supervision.wrong, 'tree')} of supervision not as the strategy says`]
}

/** Percentiles of the recoveries' times, as the report has them. */
export function rtoOf(recoveries: readonly Recovery[]): PlantReport['rtoMs'] {
  return distribution(recoveries.map((recovery) => recovery.rtoMs))
}

/** All 0 of none. */
export function distribution(values: readonly number[]): Distribution {
  const sorted = [...values].sort((a, b) => a - b)
  return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99), max: sorted.at(-1) ?? 0 }
}

/** The p-quantile of ascending numbers, linear between neighbours (Hyndman and Fan's type 7); 0 of none. */
export function percentile(ascending: ArrayLike<number>, p: number): number {
  if (ascending.length === 0) return 0
  const rank = p * (ascending.length - 1)
  const low = ascending[Math.floor(rank)] as number
  const high = ascending[Math.ceil(rank)] as number
  return low + (high - low) * (rank - Math.floor(rank))
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
