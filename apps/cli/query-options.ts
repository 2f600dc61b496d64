import type { LogQuery } from '#journal/index.js'
import type { Options } from './command.js'
import { numberOption, timeOption, usageError } from './number-option.js'
import { listOption, textOption } from './place.js'

const AGGREGATES = ['min', 'max', 'mean', 'sum', 'first', 'last'] as const
const UNIT_MICROS: Readonly<Record<string, number>> = { us: 1, µs: 1, ms: 1e3, s: 1e6, m: 60e6, h: 3600e6, d: 86_400e6 }

/** The question that the options of `query` put. Throws ERR_USAGE. */
export function queryOf(options: Options): LogQuery {
  const aggregates = [
    ...(options['count'] === true ? ['count()'] : []),
    ...AGGREGATES.flatMap((kind) => namesOption(options, kind).map((column) => `${kind}(${column})`)),
  ]
  const lists = {
    where: listOption(options, 'where'),
    columns: namesOption(options, 'columns'),
    aggregates,
    by: namesOption(options, 'by'),
  }
  return given({
    entity: textOption(options, 'entity'),
    event: textOption(options, 'event'),
    from: numberOption(options, 'from'),
    to: numberOption(options, 'to'),
    versionMin: numberOption(options, 'versionFrom'),
    versionMax: numberOption(options, 'versionTo'),
    since: timeOption(options, 'since'),
    until: timeOption(options, 'until'),
    acceptedSince: timeOption(options, 'acceptedSince'),
    acceptedUntil: timeOption(options, 'acceptedUntil'),
    receipts: options['receipts'] === true ? true : undefined,
    everyMicros: durationOption(options, 'every'),
    limit: numberOption(options, 'limit'),
    newest: numberOption(options, 'newest'),
    ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0)),
  })
}

/** The flag, without dashes, that asks for an aggregate of a column. */
export function aggregateFlagOf(options: Options, column: string): string {
  return AGGREGATES.find((kind) => namesOption(options, kind).includes(column)) ?? 'count'
}

/** A duration such as `500ms`, `10s`, `1m`, `1.5h` or `1d` in microseconds. Throws ERR_USAGE. */
function durationOption(options: Options, name: string): number | undefined {
  const text = textOption(options, name)
  if (text === undefined) return undefined
  const [, number = '', unit = ''] = /^(\d+(?:\.\d+)?)([a-zµ]+)$/.exec(text) ?? []
  const micros = Math.round(Number(number) * (UNIT_MICROS[unit] ?? Number.NaN))
  if (!Number.isSafeInteger(micros) || micros < 1)
    throw usageError('not a duration', { [`--${name}`]: text }, 'write it as 500ms, 10s, 1m, 1h or 1d')
  return micros
}

/** Names given by an option again and again, or with commas between. */
function namesOption(options: Options, name: string): string[] {
  return listOption(options, name)
    .flatMap((one) => one.split(','))
    .map((one) => one.trim())
    .filter((one) => one !== '')
}

function given(parts: Readonly<Record<string, unknown>>): LogQuery {
  return Object.fromEntries(Object.entries(parts).filter(([, value]) => value !== undefined)) as LogQuery
}
