import type { PlantReport } from '#recovery/report.js'
import { RecordFiles } from '#recovery/record-files.js'
import { parseReport } from '#recovery/report-schema.js'

const FILES_KEPT = 100
const NAMES = /^\d{15,17}$/

/** A run as it stands in its file. */
export interface DrillRecord {
  /** When it ended, microseconds since 1970. */
  readonly at: number
  /** What was run: `chaos`, `kill worker`. */
  readonly name: string
  readonly machines: number
  readonly report: PlantReport
}

/** One file for every drill on a data directory, in `<data>/drills`, the newest ones kept. */
export class DrillHistory {
  readonly #files: RecordFiles

  /** Makes the directory, mode 0700. */
  constructor(directory: string, filesKept = FILES_KEPT) {
    this.#files = new RecordFiles({ directory, names: NAMES, filesKept })
  }

  add(record: DrillRecord): void {
    this.#files.add(`${record.at}`, record)
  }

  /** The newest run of the name with so many machines. A file that is no such record is passed over: another version may have written it. */
  last(name: string, machines: number): DrillRecord | undefined {
    for (const file of this.#files.names().reverse()) {
      const record = this.#read(file)
      if (record?.name === name && record.machines === machines) return record
    }
    return undefined
  }

  #read(file: string): DrillRecord | undefined {
    try {
      const record = this.#files.read(file) as DrillRecord
      return { ...record, report: parseReport(record.report) }
    } catch {
      return undefined
    }
  }
}
