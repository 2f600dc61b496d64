import type { Clock } from '#base/clock.js'
import { DeviceFleet, type DeviceScript } from '#drills/device-fleet.js'
import { type DrillResult, runDrill } from '#drills/drill-run.js'
import type { Fault } from '#drills/fault.js'
import { Ledger, type LedgerVerdict } from '#drills/ledger.js'
import type { PlantUnderTest } from '#drills/plant-under-test.js'
import type { Sabotage, TrialSabotage } from '#drills/sabotage.js'
import type { Door } from '#ingest/door.js'
import type { Seat } from '#processes/process-role.js'
import type { DeathCause, SupervisionEvent } from '#processes/supervision-event.js'

/** What the machines of a plant are like. */
export interface MachinesOptions {
  readonly machines: number
  /** What the machines' network does to one of the first five hundred reports. */
  readonly sabotage?: Sabotage | undefined
}

export interface PlantAtWorkOptions extends MachinesOptions {
  readonly plant: PlantUnderTest
  readonly door: Door
  readonly clock: Clock
  /** Tells these machines from those of the same names that reported to the same plant before. */
  readonly run: string
  /** How long anything may take, on that clock. */
  readonly patienceMs: number
}

const REPORT_EVERY_MS = 10

/**
 * A plant on either tier, and machines that report to it and keep books of their own. The machines report whenever somebody waits for something, and only
 * then.
 */
export abstract class PlantAtWork {
  readonly plant: PlantUnderTest
  readonly fleet: DeviceFleet
  /** What the supervisor said since the machines began, in order. */
  readonly said: SupervisionEvent[] = []
  readonly ledger = new Ledger()
  protected readonly clock: Clock
  readonly #patienceMs: number
  readonly #unsubscribe: () => void
  #isReporting = true

  constructor({ plant, door, clock, run, patienceMs, machines, sabotage }: PlantAtWorkOptions) {
    this.plant = plant
    this.clock = clock
    this.#patienceMs = patienceMs
    this.fleet = new DeviceFleet({ door, script: countingMachines(machines), ledger: this.ledger, clock, run, sabotage })
    this.#unsubscribe = plant.onEvent((event) => this.said.push(event))
  }

  /** What an operator is told who asks why nothing is taken; empty while reports are taken. */
  abstract complaint(): Promise<string>

  /** How many reports of a machine can be read. */
  abstract readReports(machine: number): Promise<number>

  /** Whether a process that was frozen and replaced can still do something to the plant, now that it is awake. */
  abstract canWrite(frozen: { readonly pid: number }): boolean

  /** Lets a moment pass for everybody but the machines. */
  protected abstract moment(): Promise<void>

  async close(): Promise<void> {
    this.#unsubscribe()
  }

  /** Waits, while the machines report. Rejects with the claim when it lasts too long, and when a report came to nothing. */
  async until(claim: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const deadlineMs = this.clock.monotonicMs() + this.#patienceMs
    while (!(await condition())) {
      if (this.fleet.failure !== undefined) throw new Error(`a report came to nothing: ${this.fleet.failure}`)
      if (this.clock.monotonicMs() > deadlineMs) throw new Error(`did not come about: ${claim}`)
      if (this.#isReporting) this.fleet.step(this.clock.nowMicros())
      await this.moment()
    }
  }

  /** Waits for work that is under way, while the machines report. */
  async during<T>(claim: string, work: Promise<T>): Promise<T> {
    let isOver = false
    const end = () => (isOver = true)
    work.then(end, end)
    await this.until(claim, () => isOver)
    return work
  }

  async untilAcked(reports: number): Promise<void> {
    const target = this.ledger.acked + reports
    await this.until(`${reports} more reports are acknowledged`, () => this.ledger.acked >= target)
  }

  /** Of processes that ended in that way, `kind` of its cause. */
  isReplaced({ role, slot }: Seat, kind: DeathCause['kind']): boolean {
    return this.said.some(
      (event) =>
        event.kind === 'replaced' &&
        event.replacement.role === role &&
        event.replacement.slot === slot &&
        event.replacement.cause.kind === kind,
    )
  }

  /** A drill in which these machines report for so long at least. */
  drill(faults: readonly Fault[], runMs: number, sabotage?: TrialSabotage): Promise<DrillResult> {
    const { plant, fleet, ledger, clock } = this
    this.#isReporting = false
    return this.during('the drill is over', runDrill({ plant, fleet, ledger, clock, faults, runMs, sabotage }))
  }

  /** The machines fall silent, all that they reported is acknowledged, and the log is held against their books. */
  async verdict(): Promise<LedgerVerdict> {
    this.#isReporting = false
    this.fleet.flush()
    await this.until('everything that was reported is acknowledged', () => this.fleet.isSettled)
    if (this.fleet.openSabotage !== undefined) throw new Error('too few reports for the network to have done what it was to do')
    return this.during('the log is read', this.ledger.check(this.plant.log()))
  }
}

/** Machines that each count up, a report every few milliseconds. */
function countingMachines(machines: number): DeviceScript {
  let due: number | undefined
  let n = 0
  return {
    *advanceTo(micros) {
      for (due ??= micros; due <= micros; due += REPORT_EVERY_MS * 1000) {
        n++
        for (let machine = 0; machine < machines; machine++)
          yield { entity: `counter/machine-${machine}`, command: 'count', data: { n }, at: due }
      }
    },
  }
}
