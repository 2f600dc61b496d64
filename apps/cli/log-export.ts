import { exportLog, type ExportReport } from '#export/export-log.js'
import type { ExportFormat } from '#export/table.js'
import { readBlocks } from '#runtime/block-service.js'
import { JournalAccess } from '#runtime/journal-access.js'
import type { Options, Run } from './command.js'
import { numberOption, timeOption, usageError } from './number-option.js'
import type { Output } from './output.js'
import { dataDirectoryOf, listOption, textOption } from './place.js'
import { INTERRUPTED, onInterrupt } from './signals.js'

const ENDINGS: Readonly<Record<string, ExportFormat>> = { parquet: 'parquet', csv: 'csv', jsonl: 'jsonl', ndjson: 'jsonl' }

/** Writes rows of the log into Parquet, CSV or JSON lines: a file, or a folder with a file for each event type. All or nothing. */
export const runLogExport: Run = async (_args, options, output) => {
  const target = targetOf(options)
  const query = JSON.parse(
    JSON.stringify({
      entity: textOption(options, 'entity'),
      event: textOption(options, 'event'),
      from: numberOption(options, 'from'),
      to: numberOption(options, 'to'),
      since: timeOption(options, 'since'),
      until: timeOption(options, 'until'),
      where: listOption(options, 'where'),
      receipts: options['receipts'] === true,
    }),
  )
  const access = await JournalAccess.open(dataDirectoryOf(options))
  const interrupted = new AbortController()
  onInterrupt(() => interrupted.abort())
  let progress: ReturnType<Output['progress']> | undefined
  try {
    const report = await exportLog(readBlocks(access.socket, query), {
      ...target,
      query,
      isForced: options['force'] === true,
      signal: interrupted.signal,
      onProgress: (done, total) => {
        progress ??= output.progress(total, 'rows')
        progress.update(done)
      },
    })
    progress?.stop()
    show(report, target.isFile, output)
    return 0
  } catch (error) {
    if (!interrupted.signal.aborted) throw error
    progress?.stop()
    output.note('interrupted: nothing of the export is kept')
    return INTERRUPTED
  } finally {
    progress?.stop()
    await access.close()
  }
}

/** JSON lines are one file. Parquet and CSV are a folder, or one file where the name ends like one. */
function targetOf(options: Options): { readonly out: string; readonly format: ExportFormat; readonly isFile: boolean } {
  const out = textOption(options, 'out')
  if (out === undefined || out === '') throw usageError('an export needs a place', {}, 'name a file or a folder with --out')
  const ending = ENDINGS[/\.(\w+)$/.exec(out)?.[1] ?? '']
  const asked = textOption(options, 'format')
  const format = asked === undefined ? ending : ENDINGS[asked]
  if (format === undefined && asked === undefined)
    throw usageError('the name does not say which format', { '--out': out }, 'end it in .parquet, .csv or .jsonl, or add --format')
  if (format === undefined) throw usageError('not a format of exports', { '--format': asked }, 'it is parquet, csv or jsonl')
  if (ending !== undefined && ending !== format)
    throw usageError(
      'the name says another format than --format',
      { '--out': out, '--format': format },
      'leave out --format, or change the name',
    )
  return { out, format, isFile: format === 'jsonl' || ending !== undefined }
}

function show(report: ExportReport, isFile: boolean, output: Output): void {
  if (output.isJson) return void output.json(report)
  if (!isFile) {
    const columns = [{ title: 'file' }, { title: 'rows' }, { title: 'bytes' }] as const
    output.table(
      columns,
      report.files.map(({ file, rows, bytes }) => [file, rows, bytes]),
    )
  }
  const { rows, bytes, out, from, to } = report
  output.line(`${rows.toLocaleString('en-US')} rows of positions ${from} to ${to}, ${bytes.toLocaleString('en-US')} bytes: ${out}`)
}
