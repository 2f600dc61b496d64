import { type CsvRow, rawPrefix } from './csv-source.js'
import type { Settlement } from './door.js'
import type { Reject, RejectLog } from './reject-file.js'
import type { RowEnd } from './settled-prefix.js'
import { REJECTED_PREFIX } from './stream-frames.js'

/** Says what became of a row, and writes down those that were rejected. Throws ERR_REJECT_FILE where that fails. */
export class Verdicts {
  readonly #rejects: RejectLog

  constructor(rejects: RejectLog) {
    this.#rejects = rejects
  }

  malformed(row: CsvRow, reason: string): RowEnd {
    return this.#reject(row, 'malformed', reason)
  }

  unfit(row: CsvRow, reason: string): RowEnd {
    return this.#reject(row, 'unfit', reason)
  }

  settled(row: CsvRow, settlement: Settlement): RowEnd {
    switch (settlement.kind) {
      case 'done':
        return 'accepted'
      case 'refused':
        return this.#reject(
          row,
          'refused',
          settlement.detail === undefined ? settlement.code : `${settlement.code} ${JSON.stringify(settlement.detail)}`,
        )
      case 'failed':
        return settlement.message.startsWith(REJECTED_PREFIX)
          ? this.unfit(row, settlement.message.slice(REJECTED_PREFIX.length))
          : this.#reject(row, 'failed', settlement.message)
      case 'forgotten':
        // An earlier run, killed before its checkpoint, was told: had the row been refused, it would have written so.
        return this.#rejects.has(row.number) ? 'rejected' : 'accepted'
    }
  }

  #reject(row: CsvRow, kind: Reject['kind'], reason: string): RowEnd {
    this.#rejects.add({ line: row.line, row: row.number, kind, reason, raw: rawPrefix(row) })
    return 'rejected'
  }
}
