import type { Journal } from '#journal/journal.js'
import type { GroupColumns } from './group-columns.js'
import { queryError, sharedColumn } from './columns.js'
import type { Pace } from './pace.js'
import { pacedSort } from './paced-sort.js'
import type { ResolvedQuery } from './resolved-query.js'

/** So many groups a query may have; each takes some hundred bytes. */
const GROUPS_MAX = 250_000
/** Groups between two looks at the clock. */
export const GROUPS_PER_LOOK = 512
/** Numbers of values of one dimension, and of groups, pair up below 2^53. */
const PAIR = 2 ** 26

/** Finds the group of each row: one number from 0 per combination of time bucket and values that `by` names. */
export class Grouping {
  readonly #resolved: ResolvedQuery
  readonly #dimensions: Dimension[]
  /** Per further dimension: (group so far, value) → group, and these pairs by group. */
  readonly #pairs: Pairs[]
  #groups = new Uint32Array(0)
  #count: number

  constructor(resolved: ResolvedQuery, journal: Journal) {
    this.#resolved = resolved
    const { by, everyMicros } = resolved
    this.#dimensions = [
      ...(everyMicros === undefined ? [] : [new Dimension((columns) => bucketReader(columns, everyMicros))]),
      ...by.map(({ ref }) =>
        ref.kind === 'shared' && ref.name === 'entity' ? entities(journal) : new Dimension((columns) => columns.reader(ref)),
      ),
    ]
    this.#pairs = this.#dimensions.slice(1).map(() => ({ groups: new Map<number, number>(), pairs: [] }))
    this.#count = this.#dimensions.length === 0 ? 1 : 0
  }

  /** How many groups there are so far. Without dimensions there is one, even of no rows. */
  get count(): number {
    return this.#count
  }

  /** The group of each pick, in order of the picks; undefined when there is but one. Throws ERR_QUERY when there are too many. */
  groupsOf(columns: GroupColumns, picks: Uint32Array | undefined, count: number): Uint32Array | undefined {
    const [first] = this.#dimensions
    if (first === undefined) return undefined
    if (this.#groups.length < count) this.#groups = new Uint32Array(count * 2)
    const groups = this.#groups
    first.number(columns, picks, count, groups)
    if (this.#dimensions.length === 1) {
      this.#setCount(first.count)
      return groups
    }
    const values = new Uint32Array(count)
    for (let index = 1; index < this.#dimensions.length; index++) {
      ;(this.#dimensions[index] as Dimension).number(columns, picks, count, values)
      this.#pair(index, groups, values, count)
    }
    return groups
  }

  /** The groups in order of their values, dimension by dimension, each with the values. */
  async sorted(pace: Pace): Promise<readonly Group[]> {
    const found: Group[] = []
    for (let group = 0; group < this.#count; group++) {
      found.push({ group, values: this.#valuesOf(group) })
      if (group % GROUPS_PER_LOOK === 0) await pace.step()
    }
    await pacedSort(found, compareGroups, pace)
    return found
  }

  #valuesOf(group: number): unknown[] {
    const values: unknown[] = []
    let left = group
    for (let index = this.#dimensions.length - 1; index >= 0; index--) {
      const pair = index === 0 ? left : (this.#pairs[index - 1]?.pairs[left] as number)
      values[index] = this.#dimensions[index]?.value(index === 0 ? left : pair % PAIR)
      left = Math.floor(pair / PAIR)
    }
    return values
  }

  #pair(index: number, groups: Uint32Array, values: Uint32Array, count: number): void {
    const { groups: known, pairs } = this.#pairs[index - 1] as Pairs
    for (let row = 0; row < count; row++) {
      const pair = (groups[row] as number) * PAIR + (values[row] as number)
      let group = known.get(pair)
      if (group === undefined) {
        group = pairs.length
        known.set(pair, group)
        pairs.push(pair)
      }
      groups[row] = group
    }
    this.#setCount(pairs.length)
  }

  #setCount(count: number): void {
    this.#count = count
    if (count > GROUPS_MAX) {
      const { by, everyMicros } = this.#resolved
      throw queryError(
        'the answer would have too many groups',
        { groupsMax: GROUPS_MAX, by: by.map(({ name }) => name).join(','), ...(everyMicros === undefined ? {} : { everyMicros }) },
        'ask for fewer entities, a shorter time or longer buckets',
      )
    }
  }
}

export interface Group {
  readonly group: number
  readonly values: readonly unknown[]
}

interface Pairs {
  readonly groups: Map<number, number>
  readonly pairs: number[]
}

/** Numbers the values of one column in order of appearance. */
class Dimension {
  readonly #reader: (columns: GroupColumns) => (pick: number) => unknown
  readonly #present: (value: unknown) => unknown
  readonly #numbers = new Map<unknown, number>()
  readonly #values: unknown[] = []

  constructor(reader: (columns: GroupColumns) => (pick: number) => unknown, present: (value: unknown) => unknown = (value) => value) {
    this.#reader = reader
    this.#present = present
  }

  get count(): number {
    return this.#values.length
  }

  value(number: number): unknown {
    return this.#present(this.#values[number])
  }

  number(columns: GroupColumns, picks: Uint32Array | undefined, count: number, out: Uint32Array): void {
    const read = this.#reader(columns)
    let last: unknown
    let lastNumber = -1
    for (let index = 0; index < count; index++) {
      const value = read(picks === undefined ? index : (picks[index] as number))
      if (lastNumber < 0 || !Object.is(value, last)) {
        lastNumber = this.#numberOf(value)
        last = value
      }
      out[index] = lastNumber
    }
  }

  /** A Map takes -0 and 0, and all NaN, for one. */
  #numberOf(value: unknown): number {
    const known = this.#numbers.get(value)
    if (known !== undefined) return known
    const number = this.#values.length
    this.#numbers.set(value, number)
    this.#values.push(Object.is(value, -0) ? 0 : value)
    return number
  }
}

/** By shard and number; names are looked up once per entity. */
function entities(journal: Journal): Dimension {
  return new Dimension(
    (columns) => columns.entityKeys(SHARD),
    (key) => journal.entityName(Math.floor((key as number) / SHARD), (key as number) % SHARD),
  )
}

const SHARD = 2 ** 32

function bucketReader(columns: GroupColumns, everyMicros: number): (pick: number) => unknown {
  const { values, at } = columns.numbers(sharedColumn('at'))
  return (pick) => {
    const micros = values[at === undefined ? pick : (at[pick] as number)] as number
    return Math.floor(micros / everyMicros) * everyMicros
  }
}

function compareGroups(a: Group, b: Group): number {
  for (let index = 0; index < a.values.length; index++) {
    const order = compareValues(a.values[index], b.values[index])
    if (order !== 0) return order
  }
  return 0
}

/** Absent first, then truths, numbers (NaN last), texts by UTF-16 code unit. */
function compareValues(a: unknown, b: unknown): number {
  if (Object.is(a, b)) return 0
  const rank = rankOf(a) - rankOf(b)
  if (rank !== 0) return rank
  return (a as number) < (b as number) ? -1 : 1
}

function rankOf(value: unknown): number {
  if (value === undefined) return 0
  if (typeof value === 'boolean') return 1
  if (typeof value === 'number') return Number.isNaN(value) ? 3 : 2
  return 4
}
