import { MillraceError } from '#base/errors.js'
import { type CopyStep, type CopyTarget, copyLog } from '#backup/copy-log.js'
import type { Journal } from '#journal/index.js'
import type { ControlMethod } from '#processes/control-socket.js'

/** What the journal does for a backup: it alone knows what is of one moment, and copies it. Whoever asked for it looks after the rest. */
export function backupMethods(journal: Journal): Readonly<Record<string, ControlMethod>> {
  return {
    async *copyLog(args: unknown, signal: AbortSignal): AsyncGenerator<CopyStep> {
      const frozen = journal.freeze?.()
      if (frozen === undefined) throw notOnDisk()
      try {
        for await (const step of copyLog(frozen, args as CopyTarget)) {
          if (signal.aborted) return
          yield step
        }
      } finally {
        frozen.release()
      }
    },
  }
}

function notOnDisk(): MillraceError {
  return new MillraceError('ERR_NO_JOURNAL', {
    fact: 'the log is in memory',
    action: 'operator',
    next: 'give the plant a data directory',
  })
}
