import type { EventType } from '#journal/journal.js'
import type { ResultColumn } from '#journal/log-query.js'
import { type ColumnRef, classOf, columnOf, queryError, type ValueClass } from './columns.js'

export const AGGREGATES = ['count', 'min', 'max', 'mean', 'sum', 'first', 'last'] as const
export type AggregateKind = (typeof AGGREGATES)[number]

/** One value to work out per group. */
export interface Aggregate {
  readonly kind: AggregateKind
  /** Undefined: `count()`, of rows. */
  readonly column: ColumnRef | undefined
  readonly valueClass: ValueClass
  readonly result: ResultColumn
}

/** Reads `mean(temperature)`. Throws ERR_QUERY. */
export function aggregateOf(text: string, types: readonly EventType[]): Aggregate {
  const [, word = '', name = ''] = /^\s*([a-z]+)\s*\(\s*(.*?)\s*\)\s*$/u.exec(text) ?? []
  const kind = AGGREGATES.find((one) => one === word)
  if (kind === undefined || (name === '' && kind !== 'count'))
    throw queryError(
      `${JSON.stringify(text)} is no aggregate`,
      { aggregates: text },
      `write one of ${AGGREGATES.map((one) => `${one}(column)`).join(', ')}, or count()`,
    )
  if (name === '') return { kind, column: undefined, valueClass: 'number', result: { name: text, kind: 'i64' } }
  const column = columnOf(name, 'aggregates', types)
  const valueClass = classOf(column, 'aggregates', types)
  const isFit = FITS[kind].includes(valueClass)
  if (!isFit)
    throw queryError(
      `there is no ${kind} of ${name}, which is ${column.valueKind ?? valueClass}`,
      { aggregates: text },
      `count, first and last work for any column`,
    )
  return { kind, column, valueClass, result: resultOf(text, kind, column) }
}

const ANY: readonly ValueClass[] = ['number', 'bool', 'text', 'json']
const FITS: Readonly<Record<AggregateKind, readonly ValueClass[]>> = {
  count: ANY,
  first: ANY,
  last: ANY,
  min: ['number', 'text'],
  max: ['number', 'text'],
  mean: ['number', 'bool'],
  sum: ['number', 'bool'],
}

/** A mean of times is a time, a sum of them is a mere number; a mean of truths is the share of them. */
function resultOf(name: string, kind: AggregateKind, column: ColumnRef): ResultColumn {
  const unit = column.kind === 'field' && column.unit !== undefined ? { unit: column.unit } : {}
  const own = column.valueKind
  if (kind === 'count') return { name, kind: 'i64' }
  if (kind === 'sum') return { name, kind: 'f64', ...unit }
  if (kind === 'mean') return { name, kind: own === 'time' ? 'time' : 'f64', ...unit }
  return { name, kind: own, ...unit }
}
