import type { Clock } from '#base/clock.js'
import type { PlantReport } from '#recovery/report.js'
import type { LoggedRow, PlantUnderTest } from './plant-under-test.js'
import type { TrialSabotage } from './sabotage.js'
import { TimerBook } from './timer-book.js'
import { TimerTrial } from './timer-trial.js'
import { TreeBook } from './tree-book.js'
import { TreeTrial } from './tree-trial.js'
import { TrialClient } from './trial-client.js'

export interface TrialVerdict {
  /** Only of what was tried. */
  readonly reports: Pick<PlantReport, 'timers' | 'supervision'>
  readonly examples: readonly string[]
}

const BELLS = 'bell/*'
const TREES = ['tool/*', 'cell-*', 'line/*'] as const

/** What a drill tries out on a plant besides what devices send: timers, and trees of supervision. Both keep books of their own, which the log is held against in the end. */
export class Trials {
  readonly #plant: Pick<PlantUnderTest, 'send' | 'rows'>
  readonly #clock: Clock
  readonly #client: TrialClient
  readonly #timers = new TimerBook()
  readonly #trees = new TreeBook()
  /** Tells the entities from those of earlier drills on the same data. */
  readonly #run: string
  #count = 0
  #treeTrials = 0
  #sabotage: TrialSabotage | undefined
  #underWay: { abandon(): Promise<void> | void } | undefined

  constructor(options: {
    readonly plant: Pick<PlantUnderTest, 'send' | 'rows'>
    readonly clock: Clock
    readonly sabotage?: TrialSabotage | undefined
  }) {
    this.#plant = options.plant
    this.#clock = options.clock
    this.#client = new TrialClient(options.plant, options.clock)
    this.#sabotage = options.sabotage
    this.#run = String(options.clock.nowMicros())
  }

  /** The sabotage that was asked for and has not been done. */
  get openSabotage(): TrialSabotage | undefined {
    return this.#sabotage
  }

  /** Resolves when all timers have gone off that were set. `meanwhile` is told how long it is until the first are due, once all are set. */
  async tryTimers(meanwhile: (msToFirst: number) => Promise<void>): Promise<void> {
    const trial = new TimerTrial({ ...this.#next(), clock: this.#clock, book: this.#timers })
    this.#underWay = trial
    await trial.set()
    await meanwhile(trial.msToFirst)
    await trial.untilOver()
    this.#underWay = undefined
  }

  /** Resolves when all trees are stopped. `amid` is called once, while children err. */
  async tryTrees(amid: () => void): Promise<void> {
    const trial = new TreeTrial({ ...this.#next(), number: this.#treeTrials++, book: this.#trees })
    this.#underWay = trial
    await trial.run(amid)
    this.#underWay = undefined
  }

  /** What is under way could not be carried out, for reasons that are not the plant's: it leaves nothing that goes on, and says nothing. */
  async abandon(): Promise<void> {
    await this.#underWay?.abandon()
    this.#underWay = undefined
  }

  /** Holds the log against the books. */
  async check(): Promise<TrialVerdict> {
    const timers = this.#timers.setCount === 0 ? undefined : await this.#timers.check(this.#plant.rows(BELLS))
    const trees = this.#trees.treeCount === 0 ? undefined : await this.#trees.check(this.#rowsOfTrees())
    return {
      reports: {
        ...(timers === undefined ? {} : { timers: timers.report }),
        ...(trees === undefined ? {} : { supervision: trees.report }),
      },
      examples: [...(timers?.examples ?? []), ...(trees?.examples ?? [])],
    }
  }

  async *#rowsOfTrees(): AsyncGenerator<LoggedRow> {
    for (const pattern of TREES) yield* this.#plant.rows(pattern)
  }

  #next() {
    return {
      client: this.#client,
      name: `${this.#run}-${this.#count++}`,
      takeSabotage: (sabotage: TrialSabotage) => {
        if (sabotage !== this.#sabotage) return false
        this.#sabotage = undefined
        return true
      },
    }
  }
}
