import type { Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import type { Role } from '#processes/process-role.js'
import { percentile, type PlantReport, type Recovery, rtoOf, type StateHashes } from '#recovery/report.js'
import { type DeviceFleet, SABOTAGED_COMMAND } from './device-fleet.js'
import type { Ledger, LoggedCommand } from './ledger.js'
import type { Sabotage } from './sabotage.js'

/** The plant as a drill sees it: something to break, and something to look into afterwards. */
export interface PlantUnderTest {
  /** SIGKILLs the holder of the seat. Resolves with its recovery once the seat works again. */
  breakAndRecover(role: Role, slot: number): Promise<Recovery>
  /** The rows that end commands, in global order. */
  log(): AsyncIterable<LoggedCommand>
  stateHashes(): Promise<StateHashes>
  size(): Promise<{ readonly rows: number; readonly bytes: number }>
}

export interface Fault {
  readonly role: Role
  readonly slot: number
  /** Since the start of the run, milliseconds; undefined: as soon as the one before is recovered and the plant has run a moment. */
  readonly atMs?: number
}

export interface DrillOptions {
  readonly plant: PlantUnderTest
  readonly fleet: DeviceFleet
  readonly ledger: Ledger
  readonly clock: Clock
  readonly faults: readonly Fault[]
  /** How long the devices send at least, milliseconds. */
  readonly runMs: number
  readonly onProgress?: (progress: DrillProgress) => void
  readonly onFault?: (fault: Fault, recovery: Recovery | undefined) => void
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
  /** In the log without having been sent, and the first few faults in words. */
  readonly invented: number
  readonly examples: readonly string[]
  readonly refused: number
}

const STEP_MS = 10
const PROGRESS_EVERY_MS = 500
/** The plant runs so long under load between two faults. */
const CALM_MS = 600
const SETTLE_WITHIN_MS = 30_000

/**
 * Sends, breaks, waits for the recovery, sends on; then lets everything settle and holds the log against the ledger. Throws ERR_DRILL_UNSETTLED when
 * what was sent is not acknowledged in the end, ERR_DRILL_COMMAND when a command came to nothing, ERR_DRILL_TOO_SHORT when the devices sent too little
 * for the sabotage asked for: a check that had nothing to find must not look like one that found nothing.
 */
export async function runDrill(options: DrillOptions): Promise<DrillResult> {
  const { plant, fleet, ledger, clock, faults } = options
  const startMs = clock.monotonicMs()
  const elapsedMs = () => clock.monotonicMs() - startMs
  const recoveries: Recovery[] = []
  const ackMicros: number[] = []
  const progress = new ProgressMeter(options, ackMicros, startMs)
  const waiting = [...faults]
  let breaking: Promise<void> | undefined
  let failure: Error | undefined
  let calmFromMs = 0

  while (failure === undefined && (elapsedMs() < options.runMs || waiting.length > 0 || breaking !== undefined)) {
    fleet.step(clock.nowMicros())
    if (fleet.failure !== undefined) throw failedCommand(fleet.failure)
    progress.look()
    const next = waiting[0]
    if (breaking === undefined && next !== undefined && elapsedMs() >= (next.atMs ?? calmFromMs + CALM_MS)) {
      waiting.shift()
      options.onFault?.(next, undefined)
      breaking = plant.breakAndRecover(next.role, next.slot).then(
        (recovery) => {
          recoveries.push(recovery)
          options.onFault?.(next, recovery)
          calmFromMs = elapsedMs()
          breaking = undefined
        },
        (error: unknown) => {
          failure = error as Error
        },
      )
    }
    await pause(clock, STEP_MS)
  }
  if (failure !== undefined) throw failure
  if (fleet.openSabotage !== undefined) throw tooShort(fleet.openSabotage, ledger.sent)
  const sendingMs = elapsedMs()
  const ackedWhileSending = ledger.acked

  const settleByMs = elapsedMs() + SETTLE_WITHIN_MS
  fleet.flush()
  while (!fleet.isSettled) {
    if (fleet.failure !== undefined) throw failedCommand(fleet.failure)
    if (elapsedMs() > settleByMs) throw unsettled(ledger, fleet)
    progress.look()
    await pause(clock, STEP_MS)
  }
  progress.finish()

  const verdict = await ledger.check(plant.log())
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
    stateHash,
    recoveries,
    rtoMs: rtoOf(recoveries),
    ackMs: { p50: percentile(sorted, 0.5) / 1000, p99: percentile(sorted, 0.99) / 1000 },
    eventsPerSecond: ackedWhileSending / (sendingMs / 1000),
    ...(rows === 0 ? {} : { bytesPerEvent: bytes / rows }),
  }
  return { report, invented: verdict.invented, examples: verdict.examples, refused: fleet.refusedCount }
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
    next: 'let more machines send for longer: --machines, --seconds',
  })
}
