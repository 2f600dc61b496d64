import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PlantReport } from '#recovery/report.js'
import { parseReport } from '#recovery/report-schema.js'

const FILES_KEPT = 100
const FILE_NAME = /^\d{15,17}\.json$/

/** A run as it stands in its file. */
export interface DrillRecord {
  /** When it ended, microseconds since 1970. */
  readonly at: number
  /** What was run: `chaos`, `kill worker`. */
  readonly name: string
  readonly machines: number
  readonly report: PlantReport
}

/** One file for every drill on a data directory, in `<data>/drills`, the newest ones kept. Each appears as a whole. */
export class DrillHistory {
  readonly #directory: string
  readonly #filesKept: number

  /** Makes the directory, mode 0700. */
  constructor(directory: string, filesKept = FILES_KEPT) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#directory = directory
    this.#filesKept = filesKept
  }

  /** Writes the run's file and drops the oldest beyond the bound. Errors of the file system come through as they are. */
  add(record: DrillRecord): void {
    const path = join(this.#directory, `${record.at}.json`)
    writeFileSync(`${path}.next`, `${JSON.stringify(record)}\n`, { mode: 0o600 })
    renameSync(`${path}.next`, path)
    for (const name of this.#names().slice(0, -this.#filesKept)) rmSync(join(this.#directory, name), { force: true })
  }

  /** The newest run of the name with so many machines. A file that is no such record is passed over: another version may have written it. */
  last(name: string, machines: number): DrillRecord | undefined {
    for (const file of this.#names().reverse()) {
      const record = this.#read(file)
      if (record?.name === name && record.machines === machines) return record
    }
    return undefined
  }

  #read(file: string): DrillRecord | undefined {
    try {
      const record = JSON.parse(readFileSync(join(this.#directory, file), 'utf8')) as DrillRecord
      return { ...record, report: parseReport(record.report) }
    } catch {
      return undefined
    }
  }

  #names(): string[] {
    return readdirSync(this.#directory)
      .filter((name) => FILE_NAME.test(name))
      .sort()
  }
}
