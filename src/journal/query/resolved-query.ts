import { isoMicros } from '#base/micros.js'
import { FENCED_EVENT } from '#journal/fenced-block.js'
import type { EventType } from '#journal/journal.js'
import type { LogQuery, ResultColumn } from '#journal/log-query.js'
import { type Aggregate, aggregateOf } from './aggregate-spec.js'
import { type ColumnRef, classOf, columnOf, queryError, SHARED_COLUMNS, sharedColumn } from './columns.js'
import { boundOf, type Condition, conditionOf } from './condition.js'
import type { EntityFilter } from './entity-filter.js'
import { isBuiltIn, isOutboxEvent } from '#schema/index.js'
import { seenTypes } from './seen-types.js'

/** What of the log a query is read against. Plain data. */
export interface QuerySchema {
  readonly eventTypes: readonly EventType[]
  readonly entity: EntityFilter
  /** Of the log when the query began: rows that come later are not its business. */
  readonly endPosition: number
}

/** A query whose every word is known to mean something. */
export interface ResolvedQuery {
  readonly query: LogQuery
  readonly entity: EntityFilter
  /** Positions from `from` up to and without `to`. */
  readonly from: number
  readonly to: number
  /** Event types that may have matching rows, by number: as queries see them (seen-types.ts), and as they were stored. */
  readonly types: ReadonlyMap<number, EventType>
  readonly stored: ReadonlyMap<number, EventType>
  /** Types of rows that repair has fenced, of the entities that are wanted, where such rows cannot match as they are. */
  readonly fenced: ReadonlySet<number>
  readonly wantsReceipts: boolean
  /** All but the range of positions and the entity. */
  readonly conditions: readonly Condition[]
  /** What the rows are made of; empty when there are aggregates. */
  readonly columns: readonly NamedColumn[]
  readonly aggregates: readonly Aggregate[]
  readonly by: readonly NamedColumn[]
  readonly everyMicros: number | undefined
  readonly results: readonly ResultColumn[]
}

export interface NamedColumn {
  readonly name: string
  readonly ref: ColumnRef
}

/** So many of the newest rows are kept at once. */
export const NEWEST_MAX = 65_536

const DEFAULT_COLUMNS = ['position', 'entity', 'version', 'event', 'at', 'data'] as const
const TIME_COLUMN = 'time'

/** Gives the words of a query their meaning. Throws ERR_QUERY naming the part that has none. */
export function resolveQuery(query: LogQuery, schema: QuerySchema): ResolvedQuery {
  checkShape(query)
  const { entity } = schema
  const candidates = candidateTypes(query, { ...schema, eventTypes: seenTypes(schema.eventTypes) })
  // What outboxes call their fields must not stand in the way of what events call theirs.
  const fielded = query.event === undefined ? candidates.filter(({ event }) => !isBuiltIn(event)) : candidates
  const conditions = [...boundsOf(query), ...(query.where ?? []).map((text) => conditionOf(text, fielded))]
  const aggregates = (query.aggregates ?? []).map((text) => aggregateOf(text, fielded))
  const isAggregated = aggregates.length > 0
  const named = (name: string, part: string): NamedColumn => ({ name, ref: columnOf(name, part, fielded) })
  const by = (query.by ?? []).map((name) => named(name, 'by'))
  for (const { name, ref } of by)
    if (classOf(ref, 'by', fielded) === 'json')
      throw queryError(`${name} has no groups, since it is JSON`, { by: name }, 'group by another column')
  const columns = isAggregated
    ? []
    : (query.columns?.map((name) => named(name, 'columns')) ?? DEFAULT_COLUMNS.map((name) => ({ name, ref: sharedColumn(name) })))
  const wanted = wantedTypes(candidates, conditions, [
    ...columns.map(({ ref }) => ref),
    ...aggregates.flatMap(({ column }) => column ?? []),
  ])
  return {
    query,
    entity,
    from: query.from ?? 0,
    to: Math.min(schema.endPosition, (query.to ?? Infinity) + 1),
    types: new Map(wanted.types.map((type) => [type.number, type])),
    fenced: new Set(fencedTypes(schema).filter((number) => !wanted.types.some((type) => type.number === number))),
    stored: new Map(schema.eventTypes.map((type) => [type.number, type])),
    wantsReceipts: query.receipts === true && query.event === undefined && wanted.allowsReceipts,
    conditions,
    columns,
    aggregates,
    by,
    everyMicros: query.everyMicros,
    results: isAggregated ? groupColumns(query, by, aggregates) : columns.map(resultColumn),
  }
}

function fencedTypes(schema: QuerySchema): number[] {
  return typesOfEntities(schema)
    .filter(({ event }) => event === FENCED_EVENT)
    .map(({ number }) => number)
}

function typesOfEntities({ eventTypes, entity }: QuerySchema): readonly EventType[] {
  const type = entity.kind === 'one' ? entity.head.entity.split('/')[0] : entity.kind === 'pattern' ? entity.type : undefined
  return eventTypes.filter((one) => type === undefined || one.entity === type)
}

function candidateTypes({ event, receipts }: LogQuery, schema: QuerySchema): EventType[] {
  const ofEntity = [...typesOfEntities(schema)]
  if (event === undefined) return receipts === true ? ofEntity : ofEntity.filter((one) => !isOutboxEvent(one.event))
  const found = ofEntity.filter((one) => one.event === event || `${one.entity}.${one.event}` === event)
  if (found.length > 0) return found
  const known = [...new Set(ofEntity.filter((one) => !isBuiltIn(one.event)).map((one) => `${one.entity}.${one.event}`))]
  throw queryError(
    `there is no event ${event}`,
    { event },
    known.length === 0 ? 'no event is known at all' : `the events are ${known.join(', ')}`,
  )
}

/** A row whose event lacks a field matches no comparison of it; and who names fields to give out wants events that have one of them. */
function wantedTypes(
  candidates: readonly EventType[],
  conditions: readonly Condition[],
  given: readonly ColumnRef[],
): { types: readonly EventType[]; allowsReceipts: boolean } {
  const has = (column: ColumnRef, type: EventType): boolean => column.kind === 'shared' || column.indexes.has(type.number)
  const fields = given.filter(({ kind }) => kind === 'field')
  const types = candidates.filter(
    (type) => conditions.every(({ column }) => has(column, type)) && (fields.length === 0 || fields.some((column) => has(column, type))),
  )
  return { types, allowsReceipts: fields.length === 0 && conditions.every(({ column }) => column.kind === 'shared') }
}

function boundsOf(query: LogQuery): Condition[] {
  const bounds: Condition[] = []
  const bound = (name: 'version' | 'at' | 'accepted', operator: '>=' | '<=', value: number | undefined): void => {
    if (value === undefined) return
    const shown = SHARED_COLUMNS[name] === 'time' ? isoMicros(value) : String(value)
    bounds.push(boundOf(name, operator, value, `${name} ${operator} ${shown}`))
  }
  bound('version', '>=', query.versionMin)
  bound('version', '<=', query.versionMax)
  bound('at', '>=', query.since)
  bound('at', '<=', query.until)
  bound('accepted', '>=', query.acceptedSince)
  bound('accepted', '<=', query.acceptedUntil)
  return bounds
}

function groupColumns(query: LogQuery, by: readonly NamedColumn[], aggregates: readonly Aggregate[]): ResultColumn[] {
  const time: ResultColumn[] = query.everyMicros === undefined ? [] : [{ name: TIME_COLUMN, kind: 'time' }]
  return [...time, ...by.map(resultColumn), ...aggregates.map(({ result }) => result)]
}

function resultColumn({ name, ref }: NamedColumn): ResultColumn {
  const unit = ref.kind === 'field' && ref.unit !== undefined ? { unit: ref.unit } : {}
  return { name, kind: ref.valueKind, ...unit }
}

const NUMBERS = [
  'from',
  'to',
  'versionMin',
  'versionMax',
  'since',
  'until',
  'acceptedSince',
  'acceptedUntil',
  'limit',
  'newest',
  'everyMicros',
] as const
const LISTS = ['where', 'columns', 'aggregates', 'by'] as const
const KNOWN: ReadonlySet<string> = new Set(['entity', 'event', 'receipts', ...NUMBERS, ...LISTS])

/** Queries come from plain JavaScript and over sockets, where a misspelt part would silently ask for everything. */
function checkShape(query: LogQuery): void {
  const parts = query as Readonly<Record<string, unknown>>
  for (const name of Object.keys(parts))
    if (!KNOWN.has(name)) throw queryError(`a query has no part ${name}`, { part: name }, `the parts are ${[...KNOWN].join(', ')}`)
  for (const name of NUMBERS) {
    const value = parts[name]
    if (value !== undefined && (typeof value !== 'number' || Number.isNaN(value)))
      throw queryError(`${name} is not a number`, { [name]: value }, 'give a number')
  }
  for (const name of LISTS) {
    const value = parts[name]
    if (value !== undefined && !(Array.isArray(value) && value.every((one) => typeof one === 'string')))
      throw queryError(`${name} is not a list of texts`, { [name]: value }, `write it as ['…']`)
  }
  const { aggregates = [], by = [], columns, everyMicros, newest } = query
  if (aggregates.length === 0 && (by.length > 0 || everyMicros !== undefined))
    throw queryError(
      'groups need something to work out of them',
      { by: by.join(',') },
      'add an aggregate, such as count() or mean(temperature)',
    )
  if (aggregates.length > 0 && columns !== undefined)
    throw queryError(
      'a query gives out columns of rows or aggregates, not both',
      { columns: columns.join(',') },
      'use first(…) or last(…) of a column',
    )
  if (aggregates.length > 0 && newest !== undefined) throw queryError('groups have no order of their own', { newest }, 'leave out newest')
  if (everyMicros !== undefined && !(Number.isSafeInteger(everyMicros) && everyMicros > 0))
    throw queryError('a time bucket is a whole number of microseconds', { everyMicros }, 'give at least 1')
  if (newest !== undefined && !(Number.isSafeInteger(newest) && newest >= 0 && newest <= NEWEST_MAX))
    throw queryError('newest is a whole number', { newest }, `give at most ${NEWEST_MAX}`)
  if (newest !== undefined && query.limit !== undefined)
    throw queryError('a query gives the first rows or the newest ones, not both', { limit: query.limit, newest }, 'leave out one')
  const names = new Set<string>()
  for (const name of [...(columns ?? []), ...by, ...aggregates]) {
    if (names.has(name)) throw queryError(`${name} is there twice`, { name }, 'leave out one')
    names.add(name)
  }
}
