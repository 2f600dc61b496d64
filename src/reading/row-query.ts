import type { EntityId } from '#base/ids.js'
import { unpack } from '#base/pack.js'
import { OUTCOME_NONE, OUTCOME_REFUSAL } from '#journal/append-frame.js'
import { type Journal, readRows, type Row } from '#journal/index.js'

/** Which rows of the log to read; plain JSON, so that it crosses processes. All bounds are inclusive but for `limit`. */
export interface RowQuery {
  /** One entity, or a pattern with `*`: `press/*`. */
  readonly entity?: string
  readonly event?: string
  /** Global positions. */
  readonly from?: number
  readonly to?: number
  readonly versionMin?: number
  readonly versionMax?: number
  /** `at`, microseconds since 1970. */
  readonly since?: number
  readonly until?: number
  /** Rows of commands that stored no event: left out unless asked for. */
  readonly receipts?: boolean
  readonly limit?: number
}

/** The rows that match, in global order. */
export async function* queryRows(journal: Journal, query: RowQuery): AsyncGenerator<Row> {
  const pattern = query.entity?.includes('*') ? patternOf(query.entity) : undefined
  const entity = pattern === undefined && query.entity !== undefined ? { entity: query.entity as EntityId } : {}
  const limit = query.limit ?? Number.POSITIVE_INFINITY
  let count = 0
  if (limit <= 0) return
  for await (const row of readRows(journal, { from: query.from ?? 0, ...entity })) {
    if (query.to !== undefined && row.position > query.to) return
    if (pattern !== undefined && !pattern.test(row.entity)) continue
    if (!matches(row, query)) continue
    yield row
    count++
    if (count >= limit) return
  }
}

function matches(row: Row, query: RowQuery): boolean {
  if (row.event === undefined && query.receipts !== true) return false
  if (query.event !== undefined && row.event !== query.event) return false
  if (query.versionMin !== undefined && row.version < query.versionMin) return false
  if (query.versionMax !== undefined && row.version > query.versionMax) return false
  if (query.since !== undefined && row.at < query.since) return false
  return query.until === undefined || row.at <= query.until
}

function patternOf(text: string): RegExp {
  const parts = text.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'u')
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

/** `2026-01-01T00:00:00.000001Z`: a time in microseconds since 1970 without losing one. */
export function isoMicros(micros: number): string {
  const ms = Math.floor(micros / 1000)
  const rest = micros - ms * 1000
  const iso = new Date(ms).toISOString()
  return rest === 0 ? iso : `${iso.slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}
