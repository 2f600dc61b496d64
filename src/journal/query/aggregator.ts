import type { Journal } from '#journal/journal.js'
import type { Aggregate } from './aggregate-spec.js'
import { ExactSums } from './exact-sum.js'
import type { GroupColumns } from './group-columns.js'
import { Grouping, GROUPS_PER_LOOK } from './grouping.js'
import type { Pace } from './pace.js'
import type { ResolvedQuery } from './resolved-query.js'

/**
 * Works aggregates out of columns, group by group, in whatever order rows come. What is worked out does not depend on that order: sums are exact
 * (exact-sum.ts), `first` and `last` go by position. NaN is left out of count(column), min, max, mean and sum; first and last give it.
 */
export class Aggregator {
  readonly #grouping: Grouping
  readonly #parts: readonly Part[]
  readonly #resolved: ResolvedQuery

  constructor(resolved: ResolvedQuery, journal: Journal) {
    this.#resolved = resolved
    this.#grouping = new Grouping(resolved, journal)
    this.#parts = resolved.aggregates.map(partOf)
  }

  /** Takes rows as Scan visits them. */
  add(columns: GroupColumns, picks: Uint32Array | undefined, count: number): void {
    const groups = this.#grouping.groupsOf(columns, picks, count)
    for (const part of this.#parts) {
      part.fit(this.#grouping.count)
      part.add(columns, { picks, count, groups })
    }
  }

  /** The rows of the result: values of the groups, then the aggregates. */
  async rows(pace: Pace): Promise<readonly (readonly unknown[])[]> {
    for (const part of this.#parts) part.fit(this.#grouping.count)
    const groups = await this.#grouping.sorted(pace)
    const rows: unknown[][] = []
    for (const { group, values } of groups.slice(0, this.#resolved.query.limit ?? Infinity)) {
      rows.push([...values, ...this.#parts.map((part) => part.value(group))])
      if (rows.length % GROUPS_PER_LOOK === 0) await pace.step()
    }
    return rows
  }
}

interface Taken {
  readonly picks: Uint32Array | undefined
  readonly count: number
  /** By index into the picks; undefined: all rows are of group 0. */
  readonly groups: Uint32Array | undefined
}

/** One aggregate of all groups. */
interface Part {
  fit(groups: number): void
  add(columns: GroupColumns, taken: Taken): void
  value(group: number): unknown
}

function partOf(aggregate: Aggregate): Part {
  const { kind, column, valueClass } = aggregate
  if (column === undefined) return new RowCount()
  if (kind === 'first' || kind === 'last') return new EndPart(aggregate)
  if (kind === 'count') return new ValueCount(aggregate)
  if (kind === 'min' || kind === 'max') return valueClass === 'text' ? new TextExtreme(aggregate) : new NumberExtreme(aggregate)
  return new SumPart(aggregate)
}

/** Whether rows of the event type at hand have the column at all. */
function isThere({ column }: Aggregate, columns: GroupColumns): boolean {
  return column?.kind !== 'field' || column.indexes.has(columns.type.number)
}

function grown(from: Float64Array, count: number, initial: number): Float64Array {
  if (count <= from.length) return from
  const to = new Float64Array(2 ** Math.ceil(Math.log2(Math.max(4, count)))).fill(initial)
  to.set(from)
  return to
}

class RowCount implements Part {
  #counts = new Float64Array(0) as Float64Array

  fit(groups: number): void {
    this.#counts = grown(this.#counts, groups, 0)
  }

  add(_columns: GroupColumns, { count, groups }: Taken): void {
    const counts = this.#counts
    if (groups === undefined) counts[0] = (counts[0] as number) + count
    else for (let index = 0; index < count; index++) (counts[groups[index] as number] as number)++
  }

  value(group: number): number {
    return this.#counts[group] as number
  }
}

/** How many values are there and not NaN. */
class ValueCount implements Part {
  readonly #aggregate: Aggregate
  #counts = new Float64Array(0) as Float64Array

  constructor(aggregate: Aggregate) {
    this.#aggregate = aggregate
  }

  fit(groups: number): void {
    this.#counts = grown(this.#counts, groups, 0)
  }

  add(columns: GroupColumns, { picks, count, groups }: Taken): void {
    if (!isThere(this.#aggregate, columns)) return
    const counts = this.#counts
    const read = readerOf(this.#aggregate, columns)
    for (let index = 0; index < count; index++) {
      const value = read(picks === undefined ? index : (picks[index] as number))
      if (value === undefined || Number.isNaN(value)) continue
      const group = groups === undefined ? 0 : (groups[index] as number)
      counts[group] = (counts[group] as number) + 1
    }
  }

  value(group: number): number {
    return this.#counts[group] as number
  }
}

/** The lowest or the highest number; -0 is below 0. */
class NumberExtreme implements Part {
  readonly #aggregate: Aggregate
  readonly #isMin: boolean
  #values = new Float64Array(0) as Float64Array

  constructor(aggregate: Aggregate) {
    this.#aggregate = aggregate
    this.#isMin = aggregate.kind === 'min'
  }

  fit(groups: number): void {
    this.#values = grown(this.#values, groups, Number.NaN)
  }

  add(columns: GroupColumns, { picks, count, groups }: Taken): void {
    const { column } = this.#aggregate
    if (column === undefined || !isThere(this.#aggregate, columns)) return
    const { values, at } = columns.numbers(column)
    const presence = columns.presence(column)
    const found = this.#values
    const isMin = this.#isMin
    for (let index = 0; index < count; index++) {
      const pick = picks === undefined ? index : (picks[index] as number)
      const value = values[at === undefined ? pick : (at[pick] as number)] as number
      if (value !== value || (presence !== undefined && presence[pick] === 0)) continue
      const group = groups === undefined ? 0 : (groups[index] as number)
      const known = found[group] as number
      if (known !== known) found[group] = value
      else found[group] = isMin ? Math.min(known, value) : Math.max(known, value)
    }
  }

  value(group: number): number | boolean | null {
    const value = this.#values[group] as number
    return Number.isNaN(value) ? null : value
  }
}

class TextExtreme implements Part {
  readonly #aggregate: Aggregate
  readonly #isMin: boolean
  readonly #values: (string | undefined)[] = []

  constructor(aggregate: Aggregate) {
    this.#aggregate = aggregate
    this.#isMin = aggregate.kind === 'min'
  }

  fit(): void {}

  add(columns: GroupColumns, { picks, count, groups }: Taken): void {
    if (!isThere(this.#aggregate, columns)) return
    const read = readerOf(this.#aggregate, columns)
    for (let index = 0; index < count; index++) {
      const value = read(picks === undefined ? index : (picks[index] as number)) as string | undefined
      if (value === undefined) continue
      const group = groups === undefined ? 0 : (groups[index] as number)
      const known = this.#values[group]
      if (known === undefined || (this.#isMin ? value < known : value > known)) this.#values[group] = value
    }
  }

  value(group: number): string | null {
    return this.#values[group] ?? null
  }
}

/** Sum and mean. */
class SumPart implements Part {
  readonly #aggregate: Aggregate
  readonly #sums = new ExactSums()
  #counts = new Float64Array(0) as Float64Array

  constructor(aggregate: Aggregate) {
    this.#aggregate = aggregate
  }

  fit(groups: number): void {
    this.#counts = grown(this.#counts, groups, 0)
    this.#sums.fit(groups)
  }

  add(columns: GroupColumns, { picks, count, groups }: Taken): void {
    const { column } = this.#aggregate
    if (column === undefined || !isThere(this.#aggregate, columns)) return
    const { values, at } = columns.numbers(column)
    const presence = columns.presence(column)
    const counts = this.#counts
    if (groups === undefined && presence === undefined) {
      counts[0] = (counts[0] as number) + this.#sums.addMany(0, values, picks, at, count)
      return
    }
    for (let index = 0; index < count; index++) {
      const pick = picks === undefined ? index : (picks[index] as number)
      const value = values[at === undefined ? pick : (at[pick] as number)] as number
      if (value !== value || (presence !== undefined && presence[pick] === 0)) continue
      const group = groups === undefined ? 0 : (groups[index] as number)
      counts[group] = (counts[group] as number) + 1
      this.#sums.add(group, value)
    }
  }

  /** A sum of nothing is 0, a mean of nothing is not there. A mean of times is one, so it is whole. */
  value(group: number): number | null {
    const count = this.#counts[group] as number
    const sum = this.#sums.value(group)
    if (this.#aggregate.kind === 'sum') return sum
    if (count === 0) return null
    return this.#aggregate.result.kind === 'time' ? Math.round(sum / count) : sum / count
  }
}

/** The value of the row with the lowest or the highest position among those that have one. */
class EndPart implements Part {
  readonly #aggregate: Aggregate
  readonly #isFirst: boolean
  #positions = new Float64Array(0) as Float64Array
  readonly #values: unknown[] = []

  constructor(aggregate: Aggregate) {
    this.#aggregate = aggregate
    this.#isFirst = aggregate.kind === 'first'
  }

  fit(groups: number): void {
    this.#positions = grown(this.#positions, groups, this.#isFirst ? Infinity : -1)
  }

  add(columns: GroupColumns, { picks, count, groups }: Taken): void {
    if (!isThere(this.#aggregate, columns)) return
    const read = readerOf(this.#aggregate, columns)
    const positions = this.#positions
    for (let index = 0; index < count; index++) {
      const pick = picks === undefined ? index : (picks[index] as number)
      const group = groups === undefined ? 0 : (groups[index] as number)
      const position = columns.position(columns.row(pick))
      const known = positions[group] as number
      if (this.#isFirst ? position >= known : position <= known) continue
      const value = read(pick)
      if (value === undefined) continue
      positions[group] = position
      this.#values[group] = value
    }
  }

  value(group: number): unknown {
    return this.#values[group] ?? null
  }
}

function readerOf({ column }: Aggregate, columns: GroupColumns): (pick: number) => unknown {
  return column === undefined ? () => undefined : columns.reader(column)
}
