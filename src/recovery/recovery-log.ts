import { seatName } from '#processes/process-role.js'
import { describeCause, type Replacement } from '#processes/supervision-event.js'
import { RecordFiles } from './record-files.js'
import type { Recovery } from './report.js'

const FILES_KEPT = 200
const NAMES = /^\d{15,17}-[a-z]+-\d+-\d+$/

/** A recovery as it stands in its file: what a report says of it, and when and by whom. */
export interface LoggedRecovery extends Recovery {
  /** When the seat worked again, microseconds since 1970. */
  readonly at: number
  readonly pid: number
  readonly term: number
  /** Processes that were given the seat until one became ready. */
  readonly attempts: number
}

/** One file for every recovery of a plant, in `<data>/recoveries`, the newest ones kept. */
export class RecoveryLog {
  readonly #files: RecordFiles

  /** Makes the directory, mode 0700. */
  constructor(directory: string, filesKept = FILES_KEPT) {
    this.#files = new RecordFiles({ directory, names: NAMES, filesKept })
  }

  add(replacement: Replacement, at: number): LoggedRecovery {
    const { role, slot, pid, term, attempts } = replacement
    const recovery = { ...recoveryOf(replacement), at, pid, term, attempts }
    this.#files.add(`${at}-${role}-${slot}-${term}`, recovery)
    return recovery
  }

  /** Oldest first, at most `countMax` of the newest. A file that is no recovery is passed over. */
  read(countMax = FILES_KEPT): LoggedRecovery[] {
    const names = countMax === 0 ? [] : this.#files.names().slice(-countMax)
    return names.flatMap((name) => (this.#files.read(name) as LoggedRecovery | undefined) ?? [])
  }
}

/** What the report says of a replacement. Entities and events are what the new process found, 0 where it does not rebuild any. */
export function recoveryOf(replacement: Replacement): Recovery {
  return {
    process: seatName(replacement),
    cause: describeCause(replacement.cause),
    rtoMs: replacement.ms,
    entities: replacement.details.entities ?? 0,
    events: replacement.details.events ?? 0,
    phases: replacement.phases,
  }
}
