import type { Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { healthOf } from '#recovery/health.js'
import { percentile, type PlantReport, rtoOf } from '#recovery/report.js'
import { AckTimeline } from './ack-timeline.js'
import { type DeviceFleet, SABOTAGED_COMMAND } from './device-fleet.js'
import type { Fault } from './fault.js'
import { FaultExecutor, type FaultOutcome } from './fault-executor.js'
import { IncidentLog } from './incident-log.js'
import type { Ledger } from './ledger.js'
import type { PlantUnderTest } from './plant-under-test.js'
import { faultOfSabotage, type Sabotage, type TrialSabotage } from './sabotage.js'
import { Trials } from './trials.js'

export interface DrillOptions {
  readonly plant: PlantUnderTest
  readonly fleet: DeviceFleet
  readonly ledger: Ledger
  readonly clock: Clock
  readonly faults: readonly Fault[]
  /** How long the devices send at least, milliseconds. */
  readonly runMs: number
  /** Of what is tried out besides what devices send. */
  readonly sabotage?: TrialSabotage | undefined
  readonly onProgress?: (progress: DrillProgress) => void
  /** When a fault begins, and when it is over. */
  readonly onFault?: (fault: Fault, outcome: FaultOutcome | undefined) => void
}

export interface DrillProgress {
  readonly elapsedMs: number
  readonly sent: number
  readonly acked: number
  readonly inFlight: number
  readonly buffered: number
  /** Of the last interval. */
  readonly eventsPerSecond: number
  readonly ackMs: { readonly p50: number; readonly p99: number }
  readonly backPressure: number
}

export interface DrillResult {
  readonly report: PlantReport
  /** The first few faults in words. */
  readonly examples: readonly string[]
  readonly refused: number
}

const STEP_MS = 10
const PROGRESS_EVERY_MS = 500
/** The plant runs so long under load between two faults that say nothing else. */
const CALM_MS = 600
const SETTLE_WITHIN_MS = 30_000

/**
 * Sends, breaks, waits for the recovery, sends on; then lets everything settle and holds the log against the ledger. Throws ERR_DRILL_UNSETTLED when
 * what was sent is not acknowledged in the end, ERR_DRILL_COMMAND when a command came to nothing, ERR_DRILL_TOO_SHORT when the devices sent too little
 * for the sabotage asked for: a check that had nothing to find must not look like one that found nothing.
 */
export async function runDrill(options: DrillOptions): Promise<DrillResult> {
  const { plant, fleet, ledger, clock } = options
  const startMs = clock.monotonicMs()
  const elapsedMs = () => clock.monotonicMs() - startMs
  const acks = new AckTimeline(clock)
  ledger.onAck((micros) => acks.record(micros))
  const ackMicros: number[] = []
  const progress = new ProgressMeter(options, ackMicros, startMs)
  const trials = new Trials({ plant, clock, sabotage: options.sabotage })
  const executor = new FaultExecutor({ plant, fleet, clock, trials })
  const breaker = new Breaker(options, executor, elapsedMs)
  try {
    while (breaker.failure === undefined && (elapsedMs() < options.runMs || breaker.isBusy)) {
      fleet.step(clock.nowMicros())
      if (fleet.failure !== undefined) throw failedCommand(fleet.failure)
      progress.look()
      breaker.look()
      await pause(clock, STEP_MS)
    }
  } finally {
    executor.close()
  }
  if (breaker.failure !== undefined) throw breaker.failure
  if (fleet.openSabotage !== undefined) throw tooShort(fleet.openSabotage, ledger.sent)
  if (trials.openSabotage !== undefined) throw notTried(trials.openSabotage)
  const sendingMs = elapsedMs()
  const ackedWhileSending = ledger.acked

  const settleByMs = elapsedMs() + SETTLE_WITHIN_MS
  fleet.flush()
  while (!fleet.isSettled) {
    if (fleet.failure !== undefined) throw failedCommand(fleet.failure)
    if (elapsedMs() > settleByMs) throw unsettled(ledger, fleet)
    await plant.keepRoom()
    progress.look()
    await pause(clock, STEP_MS)
  }
  progress.finish()

  const verdict = await ledger.check(plant.log())
  const tried = await trials.check()
  const stateHash = await plant.stateHashes()
  const { rows, bytes } = await plant.size()
  const sorted = Float64Array.from(ackMicros).sort()
  const report: PlantReport = {
    sent: verdict.sent,
    acked: verdict.acked,
    durable: verdict.durable,
    ackedMissing: verdict.ackedMissing,
    duplicated: verdict.duplicated,
    outOfOrder: verdict.outOfOrder,
    torn: verdict.torn,
    invented: verdict.invented,
    stateHash,
    recoveries: executor.recoveries,
    rtoMs: rtoOf(executor.recoveries),
    ackMs: { p50: percentile(sorted, 0.5) / 1000, p99: percentile(sorted, 0.99) / 1000 },
    eventsPerSecond: ackedWhileSending / (sendingMs / 1000),
    ...(rows === 0 ? {} : { bytesPerEvent: bytes / rows }),
    faults: breaker.log.counts(),
    incidents: breaker.log.incidents(acks),
    ...tried.reports,
  }
  return {
    report: { ...report, health: healthOf(report) },
    examples: [...verdict.examples, ...tried.examples],
    refused: fleet.refusedCount,
  }
}

/** Does one fault after the other, each when its turn has come. */
class Breaker {
  readonly log: IncidentLog
  failure: Error | undefined
  readonly #options: DrillOptions
  readonly #executor: FaultExecutor
  readonly #elapsedMs: () => number
  readonly #waiting: Fault[]
  #isBreaking = false
  #calmFromMs = 0

  constructor(options: DrillOptions, executor: FaultExecutor, elapsedMs: () => number) {
    this.#options = options
    this.#executor = executor
    this.#elapsedMs = elapsedMs
    this.#waiting = [...options.faults]
    this.log = new IncidentLog(options.faults)
  }

  /** A fault is under way, or one must come yet. */
  get isBusy(): boolean {
    const next = this.#waiting[0]
    return this.#isBreaking || (next !== undefined && next.isOptional !== true)
  }

  look(): void {
    const next = this.#waiting[0]
    if (this.#isBreaking || next === undefined) return
    if (this.#elapsedMs() < (next.atMs ?? this.#calmFromMs + (next.calmMs ?? CALM_MS))) return
    this.#waiting.shift()
    void this.#break(next)
  }

  async #break(fault: Fault): Promise<void> {
    const { onFault } = this.#options
    this.#isBreaking = true
    onFault?.(fault, undefined)
    const atMs = this.#elapsedMs()
    try {
      const outcome = await this.#executor.carryOut(fault)
      this.log.add(fault, atMs, this.#elapsedMs(), outcome)
      onFault?.(fault, outcome)
    } catch (error) {
      this.failure = error as Error
    }
    this.#calmFromMs = this.#elapsedMs()
    this.#isBreaking = false
  }
}

/** Collects acknowledgement times and tells about the last interval. */
class ProgressMeter {
  readonly #options: DrillOptions
  readonly #all: number[]
  readonly #startMs: number
  #lastMs: number
  #lastAcked = 0

  constructor(options: DrillOptions, all: number[], startMs: number) {
    this.#options = options
    this.#all = all
    this.#startMs = startMs
    this.#lastMs = startMs
  }

  look(): void {
    const nowMs = this.#options.clock.monotonicMs()
    if (nowMs - this.#lastMs >= PROGRESS_EVERY_MS) this.#tell(nowMs)
  }

  finish(): void {
    this.#tell(this.#options.clock.monotonicMs())
  }

  #tell(nowMs: number): void {
    const { ledger, fleet, onProgress } = this.#options
    const interval = ledger.takeAckMicros()
    for (const micros of interval) this.#all.push(micros)
    const sorted = interval.sort((a, b) => a - b)
    const seconds = Math.max(0.001, (nowMs - this.#lastMs) / 1000)
    onProgress?.({
      elapsedMs: nowMs - this.#startMs,
      sent: ledger.sent,
      acked: ledger.acked,
      inFlight: ledger.openCount - fleet.bufferedCount,
      buffered: fleet.bufferedCount,
      eventsPerSecond: (ledger.acked - this.#lastAcked) / seconds,
      ackMs: { p50: percentile(sorted, 0.5) / 1000, p99: percentile(sorted, 0.99) / 1000 },
      backPressure: fleet.fullCount,
    })
    this.#lastMs = nowMs
    this.#lastAcked = ledger.acked
  }
}

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => {
    clock.after(ms, resolve)
  })
}

function unsettled(ledger: Ledger, fleet: DeviceFleet): MillraceError {
  return new MillraceError('ERR_DRILL_UNSETTLED', {
    fact: 'commands that were sent are still not acknowledged long after the last fault',
    action: 'operator',
    values: { open: ledger.openCount, buffered: fleet.bufferedCount },
    next: 'look at the logs folder of the data directory',
  })
}

function failedCommand(what: string): MillraceError {
  return new MillraceError('ERR_DRILL_COMMAND', {
    fact: 'a command of a simulated device came to nothing',
    action: 'operator',
    values: { what },
    next: 'look at the logs folder of the data directory',
  })
}

function tooShort(sabotage: Sabotage, sent: number): MillraceError {
  return new MillraceError('ERR_DRILL_TOO_SHORT', {
    fact: 'the run was too short for its sabotage, so that the check had nothing to find',
    action: 'operator',
    values: { sabotage, sent, strikesAt: SABOTAGED_COMMAND },
    next: 'let more machines send for longer: --machines, --seconds, --minutes',
  })
}

function notTried(sabotage: TrialSabotage): MillraceError {
  return new MillraceError('ERR_DRILL_TOO_SHORT', {
    fact: 'the run had no fault for its sabotage, so that the check had nothing to find',
    action: 'operator',
    values: { sabotage, strikesIn: faultOfSabotage(sabotage) },
    next: `add --scenario ${faultOfSabotage(sabotage)}`,
  })
}
