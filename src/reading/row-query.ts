import { isoMicros } from '#base/micros.js'
import { unpack } from '#base/pack.js'
import { OUTCOME_NONE, OUTCOME_REFUSAL } from '#journal/append-frame.js'
import type { LogQuery, Row } from '#journal/index.js'

/** A query for whole rows. */
export type RowQuery = Omit<LogQuery, 'columns' | 'aggregates' | 'by' | 'everyMicros'>

/** Of Row, save its data; all of them fit into one row of a query. */
const COLUMNS = [
  ...(['position', 'entity', 'version', 'event', 'typeNumber', 'at', 'accepted', 'isLate', 'source', 'sequence'] as const),
  ...(['correlation', 'causation', 'term', 'appendNumber', 'outcomeKind', 'outcome', 'data'] as const),
] satisfies readonly (keyof Row)[]

/** The query whose rows `rowOf` makes rows of the log. An event may have a field of the same name as a column, so the scope is said. */
export function wholeRows(query: RowQuery): LogQuery {
  return { ...query, columns: COLUMNS.map((name) => `row.${name}`) }
}

export function rowOf(values: readonly unknown[]): Row {
  return Object.fromEntries(COLUMNS.map((name, index) => [name, values[index]])) as unknown as Row
}

/** A row as people read it: times as ISO strings with microseconds, the outcome unpacked. Print it with exactJson. */
export function presentRow(row: Row): Readonly<Record<string, unknown>> {
  return {
    position: row.position,
    entity: row.entity,
    version: row.version,
    event: row.event ?? null,
    at: isoMicros(row.at),
    accepted: isoMicros(row.accepted),
    ...(row.isLate ? { late: true } : {}),
    data: row.data,
    ...(row.source === '' ? {} : { source: row.source, sequence: row.sequence }),
    ...(row.correlation === '' ? {} : { correlation: row.correlation }),
    ...(row.causation === '' ? {} : { causation: row.causation }),
    ...presentOutcome(row),
  }
}

function presentOutcome(row: Row): Readonly<Record<string, unknown>> {
  if (row.outcomeKind === OUTCOME_NONE || row.outcome.length === 0) return {}
  if (row.outcomeKind !== OUTCOME_REFUSAL) return { reply: unpack(row.outcome) }
  const [refused, detail] = unpack<[string, unknown]>(row.outcome)
  return { refused, detail }
}
