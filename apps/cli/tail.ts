import { exactJson } from '#base/exact-json.js'
import type { Row } from '#journal/index.js'
import { newestRows } from '#reading/newest-rows.js'
import { presentRow } from '#reading/row-query.js'
import type { RowSelection } from '#reading/row-selection.js'
import { Subscription } from '#reading/subscription.js'
import { ControlFeed } from '#runtime/control-feed.js'
import { requireLog } from '#runtime/journal-access.js'
import type { Options, Run } from './command.js'
import { numberOption, positionOption } from './number-option.js'
import type { Output } from './output.js'
import { dataDirectoryOf, listOption, textOption } from './place.js'
import { noteAbsence } from './note-absence.js'
import { noteUnknownEvents } from './note-events.js'
import { rowLine } from './row-line.js'
import { INTERRUPTED, onInterrupt } from './signals.js'

const ROWS_SHOWN = 10

/** Prints the newest rows and, with `--follow`, those that come after, across restarts of the journal and of the plant. */
export const runTail: Run = async (_args, options, output) => {
  const data = dataDirectoryOf(options)
  const name = textOption(options, 'name')
  const isLive = options['follow'] === true
  const selection = selectionOf(options)
  const lines = numberOption(options, 'lines') ?? ROWS_SHOWN
  let from = positionOption(options, 'from')
  const stop = new AbortController()
  onInterrupt(() => stop.abort())
  requireLog(data)
  if (name !== undefined) await noteAbsence(data, output)
  await noteUnknownEvents(data, listOption(options, 'event'), output)
  const feed = new ControlFeed({ dataDirectory: data, mayReadAlone: name === undefined })
  try {
    if (from === undefined && name === undefined) {
      const newest = await newestRows(feed, selection, lines)
      for (const row of newest.rows) await print(row, output)
      if (!isLive) return 0
      from = newest.end
    }
    const place = { ...(name === undefined ? {} : { name }), ...(from === undefined ? {} : { from }) }
    for await (const row of new Subscription(feed, { ...selection, ...place, isLive, signal: stop.signal })) {
      await print(row, output)
      if (stop.signal.aborted) break
    }
    return stop.signal.aborted ? INTERRUPTED : 0
  } finally {
    await feed.close()
  }
}

async function print(row: Row, output: Output): Promise<void> {
  if (!output.line(output.isJson ? exactJson(presentRow(row)) : rowLine(row, output))) await output.drained()
}

function selectionOf(options: Options): RowSelection {
  const entity = listOption(options, 'entity')
  const event = listOption(options, 'event')
  return { ...(entity.length > 0 ? { entity } : {}), ...(event.length > 0 ? { event } : { receipts: true }) }
}
