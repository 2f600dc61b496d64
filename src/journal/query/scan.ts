import { RECEIPT_TYPE } from '#journal/append-frame.js'
import type { BlockEntry } from '#journal/block-entry.js'
import type { BlockGroup, BlockHeader } from '#journal/block-format.js'
import type { EventType, Journal } from '#journal/journal.js'
import type { ScanCounts } from '#journal/log-query.js'
import type { TypeSection } from '#journal/row-group.js'
import { holds, keepMatching, mayMatch, surelyMatch } from './comparison.js'
import type { ColumnRef } from './columns.js'
import { type Condition, matches, numberFor } from './condition.js'
import { PatternMatches } from './entity-filter.js'
import { GroupColumns } from './group-columns.js'
import { OpenBlock, WarmBlocks } from './open-block.js'
import type { Pace } from './pace.js'
import type { FieldSchema } from '#schema/index.js'
import { mayHaveMatches } from './plan-scan.js'
import type { ResolvedQuery } from './resolved-query.js'
import { type TypeRows, typeRowsOf } from './type-rows.js'

/**
 * Rows of one event type in one row group that match: the ranks `picks[0..count)`, ascending, or all of its `count` rows when `picks` is undefined.
 * Valid until the next call.
 */
export type Visit = (columns: GroupColumns, picks: Uint32Array | undefined, count: number) => void

/** Where blocks and the names of entities come from: a journal, here or elsewhere. */
type BlockSource = Pick<Journal, 'readBlock' | 'entityName'>

/** Reads blocks as a plan says and finds the rows in them that match. Serves one block at a time. */
export class Scan {
  readonly counts: ScanCounts
  readonly #journal: BlockSource
  readonly #resolved: ResolvedQuery
  readonly #pace: Pace
  readonly #columns: GroupColumns
  readonly #patterns: PatternMatches | undefined
  #picks = new Uint32Array(0)

  constructor(journal: BlockSource, resolved: ResolvedQuery, counts: ScanCounts, pace: Pace) {
    this.counts = counts
    this.#journal = journal
    this.#resolved = resolved
    this.#pace = pace
    this.#columns = (idle.get(journal)?.pop() ?? new GroupColumns(journal, counts)).begin(counts)
    const { entity } = resolved
    this.#patterns = entity.kind === 'pattern' ? new PatternMatches(entity.pattern, journal) : undefined
  }

  /**
   * Visits the matching rows of a block with positions from `from` up to and without `to`. Answers false when the block is there no more under that
   * name. Throws ERR_BLOCK_DAMAGED, then with rows visited of groups before the damaged one.
   */
  async block(entry: BlockEntry, from: number, to: number, visit: Visit): Promise<boolean> {
    const block = await this.#openBlock(entry)
    if (block === undefined) return false
    await this.#block(block, from, to, visit)
    return true
  }

  /** As `block`, of a block that is here; its checksums are checked already. */
  bytes(bytes: Uint8Array, segment: string, from: number, to: number, visit: Visit): Promise<void> {
    return this.#block(new OpenBlock(bytes, segment), from, to, visit)
  }

  async #openBlock(entry: BlockEntry): Promise<OpenBlock | undefined> {
    const { segment, id } = entry
    const warm = this.#resolved.entity.kind === 'one' ? warmBlocksOf(this.#journal) : undefined
    const known = warm?.get(segment, id)
    if (known !== undefined) return known
    const bytes = await this.#journal.readBlock(entry)
    if (bytes === undefined) return undefined
    const block = new OpenBlock(bytes, segment)
    warm?.add(segment, id, block)
    return block
  }

  async #block(block: OpenBlock, from: number, to: number, visit: Visit): Promise<void> {
    const { reader } = block
    this.counts.blocksRead++
    for (const [index, group] of reader.header.groups.entries()) {
      if (!this.#hasEntity(group)) this.counts.groupsSkipped++
      else reader.guard(() => this.#group(block, index, from, to, visit))
      await this.#pace.step()
    }
  }

  /** Ends it: what it decoded into serves the next query. */
  end(): void {
    const known = idle.get(this.#journal)
    if (known === undefined) idle.set(this.#journal, [this.#columns])
    else if (known.length < IDLE_MAX) known.push(this.#columns)
  }

  #group(block: OpenBlock, index: number, from: number, to: number, visit: Visit): void {
    const columns = this.#columns
    columns.open(block, index)
    const { types, stored, fenced, wantsReceipts } = this.#resolved
    const ruledOut = new Set(columns.group.sections.filter((section) => !this.#mayMatch(section)).map(({ typeNumber }) => typeNumber))
    const wanted = (type: number): boolean =>
      type === RECEIPT_TYPE ? wantsReceipts : (types.has(type) && !ruledOut.has(type)) || fenced.has(type)
    const found = typeRowsOf(columns.group, wanted)
    if (found.length === 0) {
      this.counts.groupsSkipped++
      return
    }
    this.counts.groupsRead++
    const range = this.#rowRange(columns, block.reader.header, from, to)
    for (const rows of found) {
      columns.select(rows, types.get(rows.typeNumber) ?? RECEIPTS, stored.get(rows.typeNumber) ?? RECEIPTS)
      this.#rows(columns, rows, range, visit)
    }
  }

  #rows(columns: GroupColumns, rows: TypeRows, range: RowRange, visit: Visit): void {
    const { rowCount, rowOf } = rows
    const start = rowOf === undefined ? range.start : lowerBound(rowOf, range.start, 0, rowCount)
    const end = rowOf === undefined ? Math.min(range.end, rowCount) : lowerBound(rowOf, range.end, 0, rowCount)
    if (start >= end) return
    const isFenced = this.#resolved.fenced.has(rows.typeNumber)
    const conditions = isFenced ? NO_CONDITIONS : this.#open(columns)
    if (conditions === undefined) return
    if (!isFenced) this.counts.rowsScanned += end - start
    const isUnfiltered = start === 0 && end === rowCount && conditions.length === 0 && !range.isMixed && this.#isWholeType(rows.typeNumber)
    if (isUnfiltered) {
      this.#found(columns, undefined, rowCount, visit)
      return
    }
    if (this.#picks.length < rowCount) this.#picks = new Uint32Array(rowCount * 2)
    const picks = this.#picks
    let count = 0
    for (let pick = start; pick < end; pick++) picks[count++] = pick
    if (range.isMixed) count = keepPositions(columns, range, picks, count)
    if (!this.#isWholeType(rows.typeNumber)) count = this.#keepEntities(columns, picks, count)
    for (const condition of conditions) {
      if (count === 0) return
      count = keep(columns, condition, picks, count)
    }
    if (count > 0) this.#found(columns, picks, count, visit)
  }

  #found(columns: GroupColumns, picks: Uint32Array | undefined, count: number, visit: Visit): void {
    if (this.#resolved.fenced.has(columns.rows.typeNumber)) {
      this.counts.rowsFenced += count
      return
    }
    this.counts.rowsMatched += count
    visit(columns, picks, count)
  }

  /** The conditions that have to be looked at row by row; undefined when none of the rows can match. */
  #open(columns: GroupColumns): readonly Condition[] | undefined {
    const { conditions } = this.#resolved
    let open: Condition[] | undefined
    for (const [index, condition] of conditions.entries()) {
      const { column, operator, value } = condition
      const known = typeof value === 'number' ? columns.zone(column) : undefined
      const number = known === undefined ? 0 : numberFor(condition, fieldOf(columns, column))
      if (known !== undefined && column.kind === 'shared' && !mayMatch(known.zone, operator, number)) return undefined
      if (known !== undefined && surelyMatch(known.zone, operator, number, known.count)) open ??= conditions.slice(0, index)
      else open?.push(condition)
    }
    return open ?? conditions
  }

  /** Rows of the group that may be wanted, by entity and position. */
  #rowRange(columns: GroupColumns, header: BlockHeader, from: number, to: number): RowRange {
    const { isClustered } = header
    const isMixed = isClustered && (header.basePosition < from || header.endPosition > to)
    let start = 0
    let end = columns.group.rowCount
    if (!isClustered) {
      start = Math.max(0, from - columns.firstPosition)
      end = Math.min(end, to - columns.firstPosition)
    }
    const { entity } = this.#resolved
    if (entity.kind === 'one') {
      const { shard, number } = entity.head
      const numbers = columns.entities()
      let first = 0
      let found = 0
      for (const run of columns.shards) {
        const last = first + run.rowCount
        if (run.shard === shard && number >= run.entityMin && number <= run.entityMax) {
          const low = lowerBound(numbers, number, first, last)
          const high = lowerBound(numbers, number + 1, low, last)
          if (found === 0) start = Math.max(start, low)
          if (high > low) found = high
        }
        first = last
      }
      end = Math.min(end, found)
    }
    return { start, end, isMixed, from, to }
  }

  #hasEntity({ shards }: BlockGroup): boolean {
    const { entity } = this.#resolved
    if (entity.kind !== 'one') return true
    const { shard, number } = entity.head
    return shards.some((own) => own.shard === shard && number >= own.entityMin && number <= own.entityMax)
  }

  /** Whether the event type tells that the entity is wanted. */
  #isWholeType(typeNumber: number): boolean {
    const { entity } = this.#resolved
    return entity.kind !== 'pattern' || (entity.isWholeType && typeNumber !== RECEIPT_TYPE)
  }

  #keepEntities(columns: GroupColumns, picks: Uint32Array, count: number): number {
    const patterns = this.#patterns as PatternMatches
    const numbers = columns.entities()
    let kept = 0
    for (let index = 0; index < count; index++) {
      const pick = picks[index] as number
      const row = columns.row(pick)
      if (patterns.has(columns.shardOf(row), numbers[row] as number)) picks[kept++] = pick
    }
    return kept
  }

  /** As far as the group's own directory tells. */
  #mayMatch(section: TypeSection): boolean {
    const { types, conditions } = this.#resolved
    const type = types.get(section.typeNumber)
    if (type === undefined) return true
    const isStored = (condition: Condition): boolean => {
      const { column } = condition
      if (column.kind === 'shared') return true
      const index = column.indexes.get(type.number) as number
      const field = type.fields[index]
      return index < section.fieldCount || matches(condition, field?.defaultValue, field)
    }
    return conditions.every(isStored) && mayHaveMatches(conditions, type, (column) => section.chunks[column]?.zone)
  }
}

const NO_CONDITIONS: readonly Condition[] = []

interface RowRange {
  readonly start: number
  readonly end: number
  /** Positions have to be looked at row by row. */
  readonly isMixed: boolean
  readonly from: number
  readonly to: number
}

/** What scans decode into takes time to make: so many are kept per journal. */
const IDLE_MAX = 4
const idle = new WeakMap<BlockSource, GroupColumns[]>()
const warmBlocks = new WeakMap<BlockSource, WarmBlocks>()

function warmBlocksOf(source: BlockSource): WarmBlocks {
  const known = warmBlocks.get(source) ?? new WarmBlocks()
  warmBlocks.set(source, known)
  return known
}

/** A pseudo event type for rows that are none. */
const RECEIPTS: EventType = { entity: '', event: 'receipt', fields: [], number: RECEIPT_TYPE }

function keep(columns: GroupColumns, condition: Condition, picks: Uint32Array, count: number): number {
  const { column, operator, value } = condition
  if (typeof value === 'string') {
    const read = columns.reader(column)
    let kept = 0
    for (let index = 0; index < count; index++) {
      const pick = picks[index] as number
      const text = read(pick)
      if (text !== undefined && holds(text as string, operator, value)) picks[kept++] = pick
    }
    return kept
  }
  const presence = columns.presence(column)
  const there = presence === undefined ? count : keepPresent(presence, picks, count)
  const field = fieldOf(columns, column)
  const { values, at } = columns.numbers(column)
  return keepMatching(values, operator, numberFor(condition, field), picks, there, at)
}

function fieldOf(columns: GroupColumns, column: ColumnRef): FieldSchema | undefined {
  return column.kind === 'field' ? columns.type.fields[column.indexes.get(columns.type.number) ?? -1] : undefined
}

function keepPresent(presence: Uint8Array, picks: Uint32Array, count: number): number {
  let kept = 0
  for (let index = 0; index < count; index++) if (presence[picks[index] as number] === 1) picks[kept++] = picks[index] as number
  return kept
}

function keepPositions(columns: GroupColumns, { from, to }: RowRange, picks: Uint32Array, count: number): number {
  const positions = columns.clusteredPositions() as Float64Array
  let kept = 0
  for (let index = 0; index < count; index++) {
    const pick = picks[index] as number
    const position = positions[columns.row(pick)] as number
    if (position >= from && position < to) picks[kept++] = pick
  }
  return kept
}

/** The first index in [low, high) whose value is at least `wanted`, or `high`. */
function lowerBound(values: Uint32Array, wanted: number, low: number, high: number): number {
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((values[middle] as number) < wanted) low = middle + 1
    else high = middle
  }
  return low
}
