import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DrillHistory } from '#drills/drill-history.js'
import { planKills } from '#drills/fault-plan.js'
import type { Sabotage } from '#drills/sabotage.js'
import type { Role } from '#processes/process-role.js'
import type { PlantReport } from '#recovery/report.js'
import { dataPaths } from '#runtime/data-directory.js'
import { WITHOUT_SPARES } from '#runtime/plant-session.js'
import { finishRun } from '../../apps/cli/drill-output.js'
import { Output } from '../../apps/cli/output.js'
import { runCli } from '../apps/cli/run-cli.js'
import { INLINE_WORKERS, InlinePlantAtWork } from './inline-plant.js'

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

  async run(killed: readonly Role[], sabotage?: Sabotage): Promise<ReadDrill> {
    rmSync(this.#page, { force: true })
    const { code, text } = await (this.#isOfProcesses ? this.#command(killed, sabotage) : this.#inline(killed, sabotage))
    const name = `kill ${killed.join()}`
    const report = new DrillHistory(dataPaths(this.#data).drills).last(name, this.#machines)?.report
    return { code, text, report, page: existsSync(this.#page) ? readFileSync(this.#page, 'utf8') : '' }
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true })
  }

  async #command(killed: readonly Role[], sabotage: Sabotage | undefined): Promise<{ code: number; text: string }> {
    const times = ['--kill', killed.join(), '--times', String(killed.length), '--machines', String(this.#machines)]
    const place = ['--data', this.#data, '--html', this.#page]
    const words = ['drill', ...times, ...place, ...(sabotage === undefined ? [] : ['--sabotage', sabotage])]
    const { code, stdout } = await runCli(words, { env: WITHOUT_SPARES })
    return { code, text: stdout }
  }

  /** As the command does it, but on the plant without processes. */
  async #inline(killed: readonly Role[], sabotage: Sabotage | undefined): Promise<{ code: number; text: string }> {
    const plant = await InlinePlantAtWork.open({ machines: this.#machines, sabotage })
    try {
      const result = await plant.drill(planKills(killed, killed.length, { workers: INLINE_WORKERS }), INLINE_RUN_MS)
      const place = { name: `kill ${killed.join()}`, machines: this.#machines, dataDirectory: this.#data, htmlFile: this.#page }
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
