import { exactJson } from '#base/exact-json.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import type { EventType, LogQuery, QueryPlan, ResultColumn, ScanCounts } from '#journal/index.js'
import { presentRow, rowOf, wholeRows } from '#reading/row-query.js'
import { JournalAccess } from '#runtime/journal-access.js'
import type { Options, Run } from './command.js'
import { printExplained } from './explain.js'
import { usageError } from './number-option.js'
import type { Output } from './output.js'
import { dataDirectoryOf, textOption } from './place.js'
import { aggregateFlagOf, queryOf } from './query-options.js'
import { ResultTable } from './result-table.js'
import { csvText, jsonText } from './result-text.js'
import { rowLine } from './row-line.js'

type Values = readonly unknown[]

/** Where rows go: one line each, or what stands for them. `row` is false when the reader is behind. */
interface Printer {
  row(values: Values): boolean
  end(rows: number): void
}

/** Asks the log and prints rows, columns of rows or aggregates: as text, as JSON lines or as CSV; with `--explain` what it took to answer. */
export const runQuery: Run = async (_args, options, output) => {
  const query = queryOf(options)
  const isCsv = options['csv'] === true
  if (isCsv && output.isJson) throw usageError('--csv and --json are two answers', {}, 'leave out one')
  const access = await JournalAccess.open(dataDirectoryOf(options))
  try {
    const isWhole = query.columns === undefined && query.aggregates === undefined
    const asked = !isWhole ? query : isCsv ? withAllColumns(query, await access.eventTypes(), output) : wholeRows(query)
    await answer(
      access,
      asked,
      output,
      (columns) => {
        if (options['explain'] === true) return { row: () => true, end: () => undefined }
        if (isCsv) return csvPrinter(columns, output)
        if (isWhole) return wholePrinter(output)
        return output.isJson
          ? { row: (values) => output.line(jsonText(values, columns)), end: () => undefined }
          : tablePrinter(columns, query, output)
      },
      options,
    )
    await noteDropped(access, query, output)
    return 0
  } catch (error) {
    if (isMillraceError(error, 'ERR_QUERY') || isMillraceError(error, 'ERR_ENTITY_ID'))
      throw new MillraceError('ERR_USAGE', { fact: inFlags(error.message, options), action: 'operator', cause: error })
    throw error
  } finally {
    await access.close()
  }
}

async function answer(
  access: JournalAccess,
  query: LogQuery,
  output: Output,
  printerOf: (columns: readonly ResultColumn[]) => Printer,
  options: Options,
): Promise<void> {
  const startedMs = performance.now()
  let [plan, counts]: [QueryPlan | undefined, ScanCounts | undefined] = [undefined, undefined]
  let printer: Printer | undefined
  let progress: ReturnType<Output['progress']> | undefined
  let rows = 0
  for await (const item of access.ask(query)) {
    if (item.kind === 'plan') {
      plan = item.plan
      printer = printerOf(item.columns)
      progress = output.progress(plan.blocksToRead, 'blocks')
    } else if (item.kind === 'progress') progress?.update(item.counts.blocksRead)
    else if (item.kind === 'rows') {
      if (options['explain'] !== true) progress?.stop()
      rows += item.rows.length
      for (const values of item.rows) if (printer?.row(values) === false) await output.drained()
    } else counts = item.counts
  }
  progress?.stop()
  printer?.end(rows)
  if (counts !== undefined && counts.rowsFenced > 0)
    output.note(
      `${counts.rowsFenced} ${counts.rowsFenced === 1 ? 'row that was' : 'rows that were'} asked for ${counts.rowsFenced === 1 ? 'is' : 'are'} gone, fenced by log repair: nobody can tell whether they match`,
    )
  if (options['explain'] !== true || plan === undefined || counts === undefined) return
  const ms = Math.round((performance.now() - startedMs) * 10) / 10
  if (output.isJson) output.line(exactJson({ plan, counts, rows, ms }))
  else printExplained({ plan, counts, rows, ms }, output)
}

/** Who asks from a position on has to know that rows from there on are gone, and are no rows that do not match. */
async function noteDropped(access: JournalAccess, { from }: LogQuery, output: Output): Promise<void> {
  if (from === undefined) return
  const firstPosition = await access.firstPosition()
  if (from < firstPosition) output.note(`rows before position ${firstPosition} were dropped by retention`)
}

/** Parts of a query by the flags that they came from. */
function inFlags(message: string, options: Options): string {
  return message
    .replace(/ by=""/, ` --every=${textOption(options, 'every') ?? ''}`)
    .replace(/ (where|columns|by|event|newest)=/, ' --$1=')
    .replace(/ aggregates="?(\w+)\(([^)]*)\)"?/, ' --$1=$2')
    .replace(/ aggregates=(\S+?):/, (_, column: string) => ` --${aggregateFlagOf(options, column)}=${column}:`)
    .replace('an aggregate, such as count() or mean(temperature)', '--count, or --mean and a column')
    .replace('first(…) or last(…) of a column', '--first or --last of a column')
}

function rowCount(rows: number): string {
  return `${rows} row${rows === 1 ? '' : 's'}`
}

function wholePrinter(output: Output): Printer {
  return {
    row: (values) => output.line(output.isJson ? exactJson(presentRow(rowOf(values))) : rowLine(rowOf(values), output)),
    end: (rows) => {
      if (!output.isJson) output.note(rowCount(rows))
    },
  }
}

function tablePrinter(columns: readonly ResultColumn[], query: LogQuery, output: Output): Printer {
  const table = new ResultTable(output, columns, query.everyMicros !== undefined && query.by === undefined && output.isTerminal)
  return {
    row: (values) => table.row(values),
    end: (rows) => {
      table.end()
      output.note(rowCount(rows))
    },
  }
}

function csvPrinter(columns: readonly ResultColumn[], output: Output): Printer {
  const bare = columns.map(({ name }) => name.replace(/^(?:row|data)\./, ''))
  const named = columns.map((column, index) =>
    bare.filter((name) => name === bare[index]).length > 1 ? column : { ...column, name: bare[index] ?? '' },
  )
  output.line(csvText(named))
  return { row: (values) => output.line(csvText(named, values)), end: () => undefined }
}

/** CSV has one set of columns: those that every row has, and the fields of all events that the query may find. */
function withAllColumns(query: LogQuery, types: readonly EventType[], output: Output): LogQuery {
  const ofType = query.entity?.includes('/') === true ? query.entity.split('/')[0] : undefined
  const wanted = types.filter(
    ({ entity, event }) =>
      (ofType === undefined || ofType.includes('*') || entity === ofType) &&
      (query.event === undefined || query.event === event || query.event === `${entity}.${event}`),
  )
  const fields = new Set(wanted.flatMap((type) => type.fields.map(({ name }) => `data.${name}`)))
  const empty = wanted.filter((type) => type.fields.length === 0).map(({ entity, event }) => `${entity}.${event}`)
  if (fields.size > 0 && empty.length > 0)
    output.note(`left out: ${empty.join(', ')}, without fields; --columns row.position,row.event,row.at has them too`)
  return { ...query, columns: [...['position', 'entity', 'version', 'event', 'at'].map((name) => `row.${name}`), ...fields] }
}
