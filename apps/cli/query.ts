import { exactJson } from '#base/exact-json.js'
import { presentRow } from '#reading/row-query.js'
import { JournalAccess } from '#runtime/journal-access.js'
import type { Run } from './command.js'
import { numberOption, timeOption } from './number-option.js'
import { dataDirectoryOf, textOption } from './place.js'
import { rowLine } from './row-line.js'

/** Prints the rows of the log that match, in global order: a line each, or with `--json` a JSON object a line. */
export const runQuery: Run = async (_args, options, output) => {
  const query = {
    entity: textOption(options, 'entity'),
    event: textOption(options, 'event'),
    from: numberOption(options, 'from'),
    to: numberOption(options, 'to'),
    since: timeOption(options, 'since'),
    until: timeOption(options, 'until'),
    limit: numberOption(options, 'limit'),
    receipts: options['receipts'] === true,
  }
  const access = await JournalAccess.open(dataDirectoryOf(options))
  try {
    let count = 0
    for await (const row of access.query(JSON.parse(JSON.stringify(query)))) {
      count++
      if (!output.line(output.isJson ? exactJson(presentRow(row)) : rowLine(row, output))) await output.drained()
    }
    if (!output.isJson) output.note(`${count} rows`)
    return 0
  } finally {
    await access.close()
  }
}
