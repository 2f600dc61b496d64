import type { BlockEntry } from '#journal/block-entry.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import type { Journal } from '#journal/journal.js'
import type { LogQuery, QueryOptions, QueryPlan, QueryRow, QueryRun, ResultColumn, ScanCounts } from '#journal/log-query.js'
import { Aggregator } from './aggregator.js'
import { entityFilterOf } from './entity-filter.js'
import { Pace } from './pace.js'
import { planScan, type ScanPlan, type ScanUnit } from './plan-scan.js'
import type { QuerySchema } from './resolved-query.js'
import { RowOrder } from './row-order.js'
import { Scan, type Visit } from './scan.js'
import { UnitsLeft } from './units-left.js'

/** Rows of a unit whose blocks interleave that are put in order at a time: what a query holds in memory is twice as many. */
const ROWS_HELD = 32_768
/** When so many times as many match in a unit, it is cheaper to have its blocks put together in order than to read them again and again. */
const PASSES_MAX = 4

/** Whoever wants the newest rows of an entity that is rarely in a block looks into so many before asking where its rows are: that costs as much as looking through what is not sealed, the first time. */
const UNITS_SCANNED = 8

type Values = readonly unknown[]

/** Asks the log. Throws ERR_QUERY and ERR_ENTITY_ID for a question that makes no sense; reads nothing yet but the directory. */
export function runQuery(journal: Journal, query: LogQuery, options: QueryOptions = {}, rowsHeld = ROWS_HELD): QueryRun {
  return new LogQueryRun(journal, query, options, rowsHeld)
}

class LogQueryRun implements QueryRun {
  readonly plan: QueryPlan
  readonly columns: readonly ResultColumn[]
  readonly counts: ScanCounts = {
    blocksRead: 0,
    groupsRead: 0,
    groupsSkipped: 0,
    valuesScanned: 0,
    rowsScanned: 0,
    rowsMatched: 0,
    rowsFenced: 0,
  }
  readonly #journal: Journal
  readonly #plan: ScanPlan
  readonly #signal: AbortSignal | undefined
  readonly #left: UnitsLeft
  readonly #rowsHeld: number

  constructor(journal: Journal, query: LogQuery, { signal }: QueryOptions, rowsHeld: number) {
    this.#rowsHeld = rowsHeld
    this.#journal = journal
    this.#signal = signal
    const { eventTypes, endPosition } = journal
    const schema: QuerySchema = { eventTypes, endPosition, entity: entityFilterOf(query.entity, (entity) => journal.head(entity)) }
    this.#plan = planScan(query, journal.directory(), schema)
    this.plan = this.#plan.shown
    const { resolved } = this.#plan
    this.columns = resolved.results
    this.#left = new UnitsLeft(this.#plan, (from, to) => planScan({ ...query, from, to: to - 1 }, journal.directory(), schema).units)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<QueryRow> {
    const names = this.columns.map(({ name }) => name)
    for await (const batch of this.batches()) {
      for (const values of batch) {
        const row: Record<string, unknown> = {}
        for (let index = 0; index < names.length; index++) if (values[index] !== undefined) row[names[index] as string] = values[index]
        yield row
      }
    }
  }

  async *batches(): AsyncGenerator<readonly Values[]> {
    this.#signal?.throwIfAborted()
    const pace = new Pace(this.#signal)
    const scan = new Scan(this.#journal, this.#plan.resolved, this.counts, pace)
    const { aggregates, query } = this.#plan.resolved
    try {
      if (aggregates.length > 0) yield await this.#groups(scan, pace)
      else if (query.newest !== undefined) yield* this.#newest(scan, query.newest)
      else yield* this.#oldest(scan, query.limit ?? Infinity)
    } finally {
      scan.end()
    }
  }

  async #groups(scan: Scan, pace: Pace): Promise<readonly Values[]> {
    const aggregator = new Aggregator(this.#plan.resolved, this.#journal)
    const left = this.#left
    for (let unit = left.oldest(); unit !== undefined; unit = left.oldest()) {
      let taken = 0
      for (const block of unit.blocks) {
        if (!(await scan.block(block, left.from, left.to, (...rows) => aggregator.add(...rows)))) break
        taken++
      }
      if (taken === unit.blocks.length) left.passOldest(unit)
      // Blocks of a sealed segment interleave: what was taken of it cannot be told from what is left.
      else if (taken > 0) throw segmentGone(unit.blocks[taken] as BlockEntry)
      else left.planAgain()
    }
    return aggregator.rows(pace)
  }

  async *#oldest(scan: Scan, limit: number): AsyncGenerator<readonly Values[]> {
    const left = this.#left
    let wanted = limit
    for (let unit = left.oldest(); unit !== undefined && wanted > 0; unit = left.oldest()) {
      const order = new RowOrder(Math.min(this.#rowsHeld, wanted))
      const matchedBefore = this.counts.rowsMatched
      if (!(await this.#collect(scan, unit, order, false))) {
        left.planAgain()
        continue
      }
      const { rows, last, hasMore } = order.finish()
      if (hasMore) left.from = last + 1
      else left.passOldest(unit)
      wanted -= rows.length
      if (rows.length > 0) yield rows
      if (!hasMore || Math.min(wanted, this.counts.rowsMatched - matchedBefore) <= PASSES_MAX * this.#rowsHeld) continue
      for await (const more of this.#ordered(scan, unit)) {
        yield more.slice(0, wanted)
        wanted -= more.length
        if (wanted <= 0) return
      }
      left.passOldest(unit)
    }
  }

  /** What is left of a unit, block by block in order of position. */
  async *#ordered(scan: Scan, unit: ScanUnit): AsyncGenerator<readonly Values[]> {
    const { from } = this.#left
    const to = Math.min(this.#left.to, unit.endPosition)
    for await (const bytes of this.#journal.orderedBlocks({ from, to })) {
      const order = new RowOrder(Infinity)
      await scan.bytes(bytes, unit.blocks[0]?.segment ?? '', from, to, this.#visitor(order, false))
      const { rows } = order.finish()
      if (rows.length > 0) yield rows
    }
  }

  async *#newest(scan: Scan, count: number): AsyncGenerator<readonly Values[]> {
    const left = this.#left
    const found: (readonly Values[])[] = []
    let wanted = count
    const { entity } = this.#plan.resolved
    let unitsLeft = UNITS_SCANNED
    let mayHave = (_entry: BlockEntry) => true
    for (let unit = left.newest(); unit !== undefined && wanted > 0; unit = left.newest()) {
      if (entity.kind === 'one' && unitsLeft-- === 0) mayHave = await this.#blocksOf(entity.head.entity)
      if (!unit.blocks.some(mayHave)) {
        left.passNewest(unit)
        continue
      }
      const order = new RowOrder(wanted)
      if (!(await this.#collect(scan, unit, order, true))) {
        left.planAgain()
        continue
      }
      left.passNewest(unit)
      const { rows } = order.finish()
      wanted -= rows.length
      if (rows.length > 0) found.push(rows.toReversed())
    }
    yield* found.reverse()
  }

  /** Damage is for who reads the block that has it: without the answer all blocks are read. */
  async #blocksOf(entity: EntityId): Promise<(entry: BlockEntry) => boolean> {
    try {
      return await this.#journal.blocksOf(entity)
    } catch (error) {
      if (isMillraceError(error, 'ERR_BLOCK_DAMAGED') || isMillraceError(error, 'ERR_SEGMENT_DAMAGED')) return () => true
      throw error
    }
  }

  /** Puts the rows of a unit in order, of position or against it. Answers false when a block is there no more. */
  async #collect(scan: Scan, unit: ScanUnit, order: RowOrder, isNewestFirst: boolean): Promise<boolean> {
    const { from, to } = this.#left
    const visit = this.#visitor(order, isNewestFirst)
    for (const block of isNewestFirst ? unit.blocks.toReversed() : unit.blocks) {
      if (block.endPosition <= from || block.firstPosition >= to) continue
      const nearest = isNewestFirst ? -(block.endPosition - 1) : block.firstPosition
      if (order.wants(nearest) && !(await scan.block(block, from, to, visit))) return false
    }
    return true
  }

  /** Puts rows in order as a scan visits them. */
  #visitor(order: RowOrder, isNewestFirst: boolean): Visit {
    const { columns: wanted } = this.#plan.resolved
    const sign = isNewestFirst ? -1 : 1
    return (columns, picks, count) => {
      let readers: ((pick: number) => unknown)[] | undefined
      for (let index = 0; index < count; index++) {
        const at = isNewestFirst ? count - 1 - index : index
        const pick = picks === undefined ? at : (picks[at] as number)
        const key = sign * columns.position(columns.row(pick))
        if (!order.wants(key)) continue
        readers ??= wanted.map(({ ref }) => columns.reader(ref))
        order.add(
          key,
          readers.map((read) => read(pick)),
        )
      }
    }
  }
}

function segmentGone({ segment }: BlockEntry): MillraceError {
  return new MillraceError('ERR_SEGMENT_GONE', {
    fact: 'a segment was dropped from the log while a query read it',
    action: 'retry',
    values: { segment },
    next: 'ask again',
  })
}
