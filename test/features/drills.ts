import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DrillHistory } from '#drills/drill-history.js'
import type { Fault } from '#drills/fault.js'
import { isSabotage, type Sabotage, type TrialSabotage } from '#drills/sabotage.js'
import type { PlantReport } from '#recovery/report.js'
import { dataPaths } from '#runtime/data-directory.js'
import { WITHOUT_SPARES } from '#runtime/plant-session.js'
import { finishRun } from '../../apps/cli/drill-output.js'
import { Output } from '../../apps/cli/output.js'
import { runCli } from '../apps/cli/run-cli.js'
import { InlinePlantAtWork } from './inline-plant.js'

/** What is to be done in a drill. */
export interface PlannedDrill {
  /** As the report calls it. */
  readonly name: string
  /** As the command is told. */
  readonly words: readonly string[]
  readonly faults: readonly Fault[]
}

/** What a drill leaves an operator with. */
export interface ReadDrill {
  readonly code: number
  readonly text: string
  readonly page: string
  /** As programs read it. */
  readonly report: PlantReport | undefined
}

const MACHINES = 300
const INLINE_MACHINES = 12
/** Long enough for a network to do what it is to do to a report. */
const INLINE_RUN_MS = 1000

/** Drills on one data directory, of which each is compared with the one before. */
export class Drills {
  readonly #folder = mkdtempSync(join(tmpdir(), 'millrace-drills-'))
  readonly #page = join(this.#folder, 'report.html')
  readonly #data = join(this.#folder, 'data')
  readonly #isOfProcesses: boolean
  readonly #machines: number

  constructor(isOfProcesses: boolean) {
    this.#isOfProcesses = isOfProcesses
    this.#machines = isOfProcesses ? MACHINES : INLINE_MACHINES
  }

  async run(planned: PlannedDrill, sabotage?: Sabotage | TrialSabotage): Promise<ReadDrill> {
    rmSync(this.#page, { force: true })
    const { code, text } = await (this.#isOfProcesses ? this.#command(planned, sabotage) : this.#inline(planned, sabotage))
    const report = new DrillHistory(dataPaths(this.#data).drills).last(planned.name, this.#machines)?.report
    return { code, text, report, page: existsSync(this.#page) ? readFileSync(this.#page, 'utf8') : '' }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #command({ words: told, faults }: PlannedDrill, sabotage: string | undefined): Promise<{ code: number; text: string }> {
    const times = [...told, '--times', String(faults.length), '--machines', String(this.#machines)]
    const place = ['--data', this.#data, '--html', this.#page]
    const words = ['drill', ...times, ...place, ...(sabotage === undefined ? [] : ['--sabotage', sabotage])]
    const { code, stdout } = await runCli(words, { env: WITHOUT_SPARES })
    return { code, text: stdout }
  }

  /** As the command does it, but on the plant without processes. */
  async #inline({ name, faults }: PlannedDrill, sabotage?: Sabotage | TrialSabotage): Promise<{ code: number; text: string }> {
    const ofMachines = sabotage !== undefined && isSabotage(sabotage) ? sabotage : undefined
    const ofTrials = sabotage === undefined || isSabotage(sabotage) ? undefined : sabotage
    const plant = await InlinePlantAtWork.open({ machines: this.#machines, sabotage: ofMachines })
    try {
      const result = await plant.drill(faults, INLINE_RUN_MS, ofTrials)
      const place = { name, machines: this.#machines, dataDirectory: this.#data, htmlFile: this.#page }
      const output = new KeptOutput({ isJson: false, isDebug: false, env: {} })
      const code = finishRun(result.report, result, place, output)
      return { code, text: output.text }
    } finally {
      await plant.close()
    }
  }
}

/** Keeps what a command would print. */
class KeptOutput extends Output {
  text = ''

  override line(text = ''): boolean {
    this.text += `${text}\n`
    return true
  }
}
