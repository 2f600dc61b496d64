import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { seatName } from '#processes/process-role.js'
import { describeCause, type Replacement } from '#processes/supervision-event.js'
import type { Recovery } from './report.js'

const FILES_KEPT = 200
const FILE_NAME = /^\d{15,17}-[a-z]+-\d+-\d+\.json$/

/** A recovery as it stands in its file: what a report says of it, and when and by whom. */
export interface LoggedRecovery extends Recovery {
  /** When the seat worked again, microseconds since 1970. */
  readonly at: number
  readonly pid: number
  readonly term: number
  /** Processes that were given the seat until one became ready. */
  readonly attempts: number
}

/**
 * One file for every recovery of a plant, in `<data>/recoveries`, the newest ones kept. Each appears as a whole; the last ones may be missing after a
 * power loss, since nobody's recovery should wait for them.
 */
export class RecoveryLog {
  readonly #directory: string
  readonly #filesKept: number

  /** Makes the directory, mode 0700. */
  constructor(directory: string, filesKept = FILES_KEPT) {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.#directory = directory
    this.#filesKept = filesKept
  }

  /** Writes the recovery's file and drops the oldest beyond the bound. Errors of the file system come through as they are. */
  add(replacement: Replacement, at: number): LoggedRecovery {
    const { role, slot, pid, term, attempts } = replacement
    const recovery = { ...recoveryOf(replacement), at, pid, term, attempts }
    const path = join(this.#directory, `${at}-${role}-${slot}-${term}.json`)
    writeFileSync(`${path}.next`, `${JSON.stringify(recovery, null, 2)}\n`, { mode: 0o600 })
    renameSync(`${path}.next`, path)
    for (const name of this.#names().slice(0, -this.#filesKept)) rmSync(join(this.#directory, name), { force: true })
    return recovery
  }

  /** Oldest first, at most `countMax` of the newest. A file that is no recovery is passed over: somebody put it there. */
  read(countMax = this.#filesKept): LoggedRecovery[] {
    const names = countMax === 0 ? [] : this.#names().slice(-countMax)
    return names.flatMap((name) => {
      try {
        return [JSON.parse(readFileSync(join(this.#directory, name), 'utf8')) as LoggedRecovery]
      } catch {
        return []
      }
    })
  }

  #names(): string[] {
    return readdirSync(this.#directory)
      .filter((name) => FILE_NAME.test(name))
      .sort()
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
