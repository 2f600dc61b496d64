import { setTimeout as delay } from 'node:timers/promises'
import { exactJson } from '#base/exact-json.js'
import { isMillraceError } from '#base/errors.js'
import { presentRow } from '#reading/row-query.js'
import { JournalAccess } from '#runtime/journal-access.js'
import type { Run } from './command.js'
import { numberOption } from './number-option.js'
import { dataDirectoryOf, textOption } from './place.js'
import { rowLine } from './row-line.js'
import { INTERRUPTED, onInterrupt } from './signals.js'

const ROWS_SHOWN = 10
const LOOK_EVERY_MS = 100

/** Prints the newest rows and, with `--follow`, those that come after, across restarts of the journal and of the plant. */
export const runTail: Run = async (_args, options, output) => {
  const dataDirectory = dataDirectoryOf(options)
  const entity = textOption(options, 'entity')
  const rowCount = numberOption(options, 'lines') ?? ROWS_SHOWN
  const start = numberOption(options, 'from')
  let access = await JournalAccess.open(dataDirectory)
  let isOver = false
  onInterrupt(() => {
    isOver = true
  })
  try {
    let from = start ?? Math.max(0, (await access.summary()).endPosition - rowCount)
    for (;;) {
      try {
        for await (const row of access.query({ from, receipts: true, ...(entity === undefined ? {} : { entity }) })) {
          if (!output.line(output.isJson ? exactJson(presentRow(row)) : rowLine(row, output))) await output.drained()
          from = row.position + 1
          if (isOver) break
        }
      } catch (error) {
        if (options['follow'] !== true || !isAway(error)) throw error
      }
      if (isOver) return INTERRUPTED
      if (options['follow'] !== true) return 0
      await delay(LOOK_EVERY_MS)
      // What reads for itself sees the log as it was when it opened it; a journal that died has to be found again.
      if (access.isReadOnly || !(await access.isThere())) {
        await access.close()
        access = await JournalAccess.open(dataDirectory)
      }
    }
  } finally {
    await access.close()
  }
}

function isAway(error: unknown): boolean {
  return isMillraceError(error, 'ERR_SOCKET_ABSENT') || isMillraceError(error, 'ERR_CONTROL_LOST')
}
