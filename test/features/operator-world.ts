import { QuickPickleWorld } from 'quickpickle'
import type { TestContext } from 'vitest'
import type { LedgerVerdict } from '#drills/ledger.js'
import type { StoppedProcess } from '#drills/plant-under-test.js'
import type { Sabotage } from '#drills/sabotage.js'
import type { Recovery } from '#recovery/report.js'
import { InlinePlantAtWork } from './inline-plant.js'
import type { PlantAtWork } from './plant-at-work.js'
import { PlantOfProcesses, ProcessesAtWork, type ProcessesOptions } from './plant-of-processes.js'

/** As far as it is used here: the package's own declarations name its files in a way that is not found under this compiler's module resolution. */
interface ScenarioWorld {
  readonly context: TestContext
  readonly worldConfig: { readonly keepsPlants?: boolean }
  /** Those of the tags that the scenario has; null when it has none of them. */
  tagsMatch(tags: readonly string[]): string[] | null
}

const ScenarioWorld = QuickPickleWorld as new (context: TestContext, info: object) => ScenarioWorld

/** Of the scenarios of one file that say nothing else. */
let shared: Promise<PlantOfProcesses> | undefined

/**
 * What an operator has before him in one scenario: on tier 0 (@inline) a plant without processes, on tier 1 (@processes) a real one. Whatever a scenario
 * opens is closed behind it, also when a step fails.
 */
export class OperatorWorld extends ScenarioWorld {
  /** What the machines' network is to do to a report. */
  sabotage: Sabotage | undefined
  frozen: StoppedProcess | undefined
  /** Of starts of the whole plant. */
  readonly restarts: Recovery[] = []
  readonly #closing: (() => unknown)[] = []
  #atWork: PlantAtWork | undefined
  #running: PlantOfProcesses | undefined
  #verdict: LedgerVerdict | undefined

  constructor(context: TestContext, info: object) {
    super(context, info)
    context.onTestFinished(() => this.#end())
  }

  get isOfProcesses(): boolean {
    return this.tagsMatch(['@processes']) !== null
  }

  get atWork(): PlantAtWork {
    if (this.#atWork === undefined) throw new Error('the scenario has not said yet which plant it is about')
    return this.#atWork
  }

  /** Runs when the scenario is over, the last one first. */
  onEnd(close: () => unknown): void {
    this.#closing.unshift(close)
  }

  /** The plant of a scenario that runs on processes only. */
  get running(): PlantOfProcesses {
    if (this.#running === undefined) throw new Error('the scenario has not started a plant of processes yet')
    return this.#running
  }

  /** A plant and machines that report to it. One of processes is shared with the scenarios behind this one, unless it is to be like no other. */
  async open(machines: number, unlike?: ProcessesOptions): Promise<void> {
    const options = { machines, sabotage: this.sabotage }
    if (this.isOfProcesses) {
      if (unlike === undefined) await this.share({})
      else await this.startOwn(unlike)
      this.#atWork = await ProcessesAtWork.open(this.running, options)
    } else this.#atWork = await InlinePlantAtWork.open(options)
    this.onEnd(() => this.#atWork?.close())
  }

  /** The plant of processes that all scenarios of the file share, which must ask for the same one. */
  async share(options: ProcessesOptions): Promise<void> {
    shared ??= PlantOfProcesses.start(options)
    this.#running = await shared
  }

  /** A plant of processes that ends with the scenario. */
  async startOwn(options: ProcessesOptions): Promise<void> {
    const plant = await PlantOfProcesses.start(options)
    this.onEnd(() => plant.end())
    this.#running = plant
  }

  /** Of the log and the machines' books, once the machines have fallen silent. */
  async verdict(): Promise<LedgerVerdict> {
    return (this.#verdict ??= await this.atWork.verdict())
  }

  async #end(): Promise<void> {
    const failures: unknown[] = []
    for (const close of this.#closing)
      try {
        await close()
      } catch (error) {
        failures.push(error)
      }
    // What a scenario that failed leaves is nothing to begin the next one with.
    const hasFailed = failures.length > 0 || this.context.task.result?.state === 'fail'
    if (hasFailed && this.worldConfig.keepsPlants !== true) await endSharedPlant()
    if (failures.length > 0) throw failures[0]
  }
}

/** At the end of a file. */
export async function endSharedPlant(): Promise<void> {
  const plant = await shared?.catch(() => undefined)
  shared = undefined
  await plant?.end()
}
