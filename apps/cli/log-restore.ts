import { restoreLog } from '#runtime/log-restore.js'
import type { Run } from './command.js'
import { Bars } from './log-backup.js'
import { usageError } from './number-option.js'
import { textOption } from './place.js'

/** Makes a data directory of a backup and verifies the log in it. */
export const runLogRestore: Run = async ([backup = ''], options, output) => {
  const dataDirectory = textOption(options, 'data')
  if (dataDirectory === undefined) throw usageError('a restore needs a directory', {}, 'name a new or empty one with --data')
  const bars = new Bars(output)
  try {
    const report = await restoreLog({
      backup,
      dataDirectory,
      acceptsDamage: options['acceptDamage'] === true,
      onProgress: (what, done, total) => bars.update(what, done, total),
    })
    bars.stop()
    const damaged = report.findings.filter(({ severity }) => severity === 'damaged')
    if (output.isJson) output.json(report)
    else {
      for (const { segment, what } of damaged) output.note(`damaged: segment ${segment}: ${what}`)
      const rows = (report.endPosition - report.firstPosition).toLocaleString('en-US')
      output.line(`${rows} rows up to position ${report.endPosition}, as of ${report.created}: ${report.data}`)
      output.line(damaged.length === 0 ? 'The log is whole.' : 'The log is damaged, as it was when the backup was made.')
    }
    return 0
  } finally {
    bars.stop()
  }
}
