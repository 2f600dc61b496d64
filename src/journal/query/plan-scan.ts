import { RECEIPT_TYPE } from '#journal/append-frame.js'
import type { BlockEntry } from '#journal/block-entry.js'
import type { LogQuery, PlannedCondition, QueryPlan, SkipReason } from '#journal/log-query.js'
import type { EventType } from '#journal/journal.js'
import { PARTS, PART_VALUES } from '#journal/row-group.js'
import { isVariable } from '#schema/index.js'
import type { ZoneMap } from '#journal/columns/zone-map.js'
import type { ColumnRef } from './columns.js'
import { mayMatch } from './comparison.js'
import { type Condition, matches, numberFor } from './condition.js'
import { type QuerySchema, type ResolvedQuery, resolveQuery } from './resolved-query.js'

/** What a scan reads, in order, and why it leaves out the rest. */
export interface ScanPlan {
  readonly resolved: ResolvedQuery
  /** Blocks whose rows interleave are one unit: those of a sealed segment, or one block of the active one. In order of position. */
  readonly units: readonly ScanUnit[]
  readonly shown: QueryPlan
}

export interface ScanUnit {
  /** Of all rows in its blocks. */
  readonly firstPosition: number
  readonly endPosition: number
  readonly blocks: readonly BlockEntry[]
}

/**
 * Which blocks of the directory may have rows that the query wants. Pure: the same question about the same directory and schema comes to the
 * same plan. Leaves out no block that has a matching row; a block that stays may have none. Throws ERR_QUERY naming the part of the query that is wrong.
 */
export function planScan(query: LogQuery, directory: readonly BlockEntry[], schema: QuerySchema): ScanPlan {
  const resolved = resolveQuery(query, schema)
  const skipped: Record<SkipReason, number> = { position: 0, entity: 0, time: 0, event: 0, values: 0 }
  const units: { firstPosition: number; endPosition: number; blocks: BlockEntry[]; segment: string | undefined }[] = []
  let [blocksToRead, rowsToRead, bytesToRead] = [0, 0, 0]
  for (const entry of directory) {
    const reason = whyNot(entry, resolved)
    if (reason !== undefined) {
      skipped[reason]++
      continue
    }
    blocksToRead++
    rowsToRead += entry.rowCount
    bytesToRead += entry.bytes
    const last = units[units.length - 1]
    if (entry.isClustered && last !== undefined && last.segment === entry.segment) {
      last.blocks.push(entry)
      last.firstPosition = Math.min(last.firstPosition, entry.firstPosition)
      last.endPosition = Math.max(last.endPosition, entry.endPosition)
    } else {
      const { firstPosition, endPosition, segment, isClustered } = entry
      units.push({ firstPosition, endPosition, blocks: [entry], segment: isClustered ? segment : undefined })
    }
  }
  const shown: QueryPlan = {
    blocks: directory.length,
    blocksToRead,
    rowsToRead,
    bytesToRead,
    skipped,
    events: [...[...resolved.types.values()].map(nameOf), ...(resolved.wantsReceipts ? ['receipt'] : [])],
    decoded: decodedColumns(resolved),
    conditions: plannedConditions(resolved),
    order: resolved.aggregates.length > 0 ? 'groups' : query.newest === undefined ? 'position' : 'newest first',
  }
  return { resolved, units, shown }
}

/** What rules a block out, or undefined when it has to be read. */
function whyNot(entry: BlockEntry, resolved: ResolvedQuery): SkipReason | undefined {
  if (entry.endPosition <= resolved.from || entry.firstPosition >= resolved.to) return 'position'
  if (!hasEntity(entry, resolved)) return 'entity'
  for (const condition of resolved.conditions) {
    const zone = sharedZone(entry, condition.column)
    if (zone !== undefined && !mayMatch(zone, condition.operator, condition.value as number))
      return REASONS[condition.column.name] ?? 'values'
  }
  if (resolved.types.size === 0 && resolved.fenced.size === 0 && !resolved.wantsReceipts) return 'event'
  const { types } = entry
  if (types === undefined) return undefined
  // Rows that are gone have to be told of.
  for (const number of resolved.fenced) if (types.has(number)) return undefined
  let [eventRows, hasWanted, isRuledOut] = [0, false, true]
  for (const [number, { rowCount, zones }] of types) {
    if (number !== RECEIPT_TYPE) eventRows += rowCount
    const type = resolved.types.get(number)
    if (type === undefined) continue
    hasWanted = true
    if (mayHaveMatches(resolved.conditions, type, (column) => zones.get(column))) isRuledOut = false
  }
  if (resolved.wantsReceipts && eventRows < entry.rowCount) return undefined
  if (!hasWanted) return 'event'
  return isRuledOut ? 'values' : undefined
}

const REASONS: Readonly<Record<string, SkipReason>> = { at: 'time', accepted: 'time', position: 'position' }

function hasEntity({ shards }: BlockEntry, { entity }: ResolvedQuery): boolean {
  if (entity.kind === 'unknown') return false
  if (entity.kind !== 'one') return true
  const { shard, number } = entity.head
  for (const own of shards) if (own.shard === shard && number >= own.entityMin && number <= own.entityMax) return true
  return false
}

/** What the directory knows of a shared column of the block. */
function sharedZone(entry: BlockEntry, column: ColumnRef): ZoneMap | undefined {
  if (column.kind !== 'shared') return undefined
  const zone = (min: number, max: number): ZoneMap => ({ min, max, count: min <= max ? 1 : 0 })
  if (column.name === 'at') return zone(entry.atMin, entry.atMax)
  if (column.name === 'accepted') return zone(entry.acceptedMin, entry.acceptedMax)
  return column.name === 'position' ? zone(entry.firstPosition, entry.endPosition - 1) : undefined
}

/**
 * Whether rows of the type may match, as far as zone maps tell: `zoneOf` gives that of a column (row-group.ts), undefined when it is not known. An
 * absent value stands for the field's default, which no zone map has seen.
 */
export function mayHaveMatches(
  conditions: readonly Condition[],
  type: EventType,
  zoneOf: (column: number) => ZoneMap | undefined,
): boolean {
  return conditions.every((condition) => {
    const { column } = condition
    if (column.kind === 'shared') return true
    const index = column.indexes.get(type.number) ?? -1
    const field = type.fields[index]
    if (field === undefined) return false
    if (isVariable(field.kind) || typeof condition.value === 'string') return true
    const zone = zoneOf(index * PARTS + PART_VALUES)
    if (zone === undefined || mayMatch(zone, condition.operator, numberFor(condition, field))) return true
    return field.defaultValue !== undefined && matches(condition, field.defaultValue, field)
  })
}

function plannedConditions({ query, entity, conditions, from, to }: ResolvedQuery): PlannedCondition[] {
  const planned: PlannedCondition[] = []
  if (query.from !== undefined || query.to !== undefined) planned.push({ text: `position from ${from} to ${to - 1}`, skipsBy: 'position' })
  if (entity.kind !== 'all')
    planned.push({
      text: `entity ${query.entity ?? ''}`,
      skipsBy: entity.kind === 'pattern' ? (entity.type === undefined ? 'nothing' : 'event') : 'entity',
    })
  if (query.event !== undefined) planned.push({ text: `event ${query.event}`, skipsBy: 'event' })
  for (const { text, column, value, operator } of conditions) {
    const isShared = column.kind === 'shared'
    const byZone = operator !== '!=' && typeof value === 'number'
    const reason = isShared ? REASONS[column.name] : 'values'
    planned.push({ text, skipsBy: byZone && reason !== undefined ? reason : isShared ? 'nothing' : byZone ? 'values' : 'event' })
  }
  return planned
}

function decodedColumns(resolved: ResolvedQuery): string[] {
  const { conditions, columns, aggregates, by, types, everyMicros } = resolved
  const refs = [...conditions.map(({ column }) => column), ...columns.map(({ ref }) => ref), ...by.map(({ ref }) => ref)]
  for (const { column } of aggregates) if (column !== undefined) refs.push(column)
  const names = new Set<string>(everyMicros === undefined ? [] : ['at'])
  if (resolved.entity.kind === 'one') names.add('entity')
  for (const ref of refs) {
    if (ref.kind === 'field') for (const type of types.values()) if (ref.indexes.has(type.number)) names.add(`${nameOf(type)}.${ref.name}`)
    if (ref.kind === 'shared' && ref.name === 'data')
      for (const type of types.values()) for (const { name } of type.fields) names.add(`${nameOf(type)}.${name}`)
    else if (ref.kind === 'shared') names.add(ref.name)
  }
  return [...names]
}

function nameOf({ entity, event }: EventType): string {
  return `${entity}.${event}`
}
