import type { EventType, LogQuery, Row } from '#journal/index.js'
import type { FieldSchema } from '#schema/index.js'

/** What LogQuery asks, answered by a filter over all rows in plain code: the specification of `query`. `rows` are all rows of the log in global order. */
export function askSlowly(rows: readonly Row[], types: readonly EventType[], query: LogQuery): Record<string, unknown>[] {
  const matching = rows.filter((row) => isAsked(row, types, query))
  if (query.aggregates !== undefined) return groupsOf(matching, types, query)
  const wanted = query.columns ?? ['position', 'entity', 'version', 'event', 'at', 'data']
  const given = query.newest === undefined ? matching.slice(0, query.limit) : matching.slice(Math.max(0, matching.length - query.newest))
  return given.map((row) =>
    Object.fromEntries(wanted.map((name) => [name, valueOf(row, name, types)]).filter(([, value]) => value !== undefined)),
  )
}

const SHARED = new Set([
  ...['position', 'entity', 'version', 'event', 'typeNumber', 'at', 'accepted', 'isLate', 'source', 'sequence', 'correlation'],
  ...['causation', 'term', 'appendNumber', 'outcomeKind', 'outcome', 'data'],
])

function isShared(name: string): boolean {
  return !name.startsWith('data.') && SHARED.has(name.replace(/^row\./, ''))
}

function valueOf(row: Row, name: string, types: readonly EventType[]): unknown {
  const bare = name.replace(/^(row|data)\./, '')
  if (isShared(name)) return (row as unknown as Record<string, unknown>)[bare]
  if (Object.hasOwn(row.data, bare)) return row.data[bare]
  return fieldsOf(row.typeNumber, types).find((field) => field.name === bare && field.defaultValue !== undefined)?.defaultValue
}

/** Of the event that the row is of, those that it got later included. */
function fieldsOf(typeNumber: number, types: readonly EventType[]): FieldSchema[] {
  const type = types.find(({ number }) => number === typeNumber)
  const shapes = types.filter(({ entity, event, number }) => entity === type?.entity && event === type?.event && number >= typeNumber)
  return shapes.sort((a, b) => a.number - b.number).flatMap(({ fields }) => fields)
}

function isAsked(row: Row, types: readonly EventType[], query: LogQuery): boolean {
  const type = types.find(({ number }) => number === row.typeNumber)
  if (row.event === undefined && (query.receipts !== true || query.event !== undefined)) return false
  if (query.event !== undefined && query.event !== row.event && query.event !== `${type?.entity}.${row.event}`) return false
  if (query.entity !== undefined && !isLike(row.entity, query.entity)) return false
  if (row.position < (query.from ?? 0) || row.position > (query.to ?? Infinity)) return false
  if (row.version < (query.versionMin ?? 0) || row.version > (query.versionMax ?? Infinity)) return false
  if (row.at < (query.since ?? -Infinity) || row.at > (query.until ?? Infinity)) return false
  if (row.accepted < (query.acceptedSince ?? -Infinity) || row.accepted > (query.acceptedUntil ?? Infinity)) return false
  const named = [...(query.columns ?? []), ...(query.aggregates ?? []).map((text) => /\((.*)\)/.exec(text)?.[1] ?? '')]
  const fields = named.filter((name) => name !== '' && !isShared(name)).map((name) => name.replace(/^data\./, ''))
  if (fields.length > 0 && !fields.some((name) => fieldsOf(row.typeNumber, types).some((field) => field.name === name))) return false
  return (query.where ?? []).every((text) => isMatch(row, types, text))
}

function isLike(entity: string, pattern: string): boolean {
  const [head = '', ...rest] = pattern.split('*')
  if (rest.length === 0) return entity === pattern
  if (!entity.startsWith(head)) return false
  let at = head.length
  for (const [index, part] of rest.entries()) {
    const found = index === rest.length - 1 ? entity.length - part.length : entity.indexOf(part, at)
    if (found < at || !entity.startsWith(part, found)) return false
    at = found + part.length
  }
  return true
}

function isMatch(row: Row, types: readonly EventType[], text: string): boolean {
  const [, name = '', operator = '', literal = ''] = /^(\S+) (\S+) (.*)$/.exec(text) ?? []
  const left = valueOf(row, name, types)
  if (left === undefined) return false
  const kind = isShared(name)
    ? undefined
    : fieldsOf(row.typeNumber, types).find((field) => field.name === name.replace(/^data\./, ''))?.kind
  let right: unknown = literal.replaceAll(/^"|"$/g, '')
  if (typeof left === 'number') right = kind === 'f32' ? Math.fround(Number(literal)) : Number(literal)
  if (typeof left === 'boolean') right = literal === 'true'
  const [a, b] = [left as number, right as number]
  if (operator === '=') return a === b
  if (operator === '!=') return a !== b
  if (operator === '<') return a < b
  if (operator === '<=') return a <= b
  return operator === '>' ? a > b : a >= b
}

function groupsOf(rows: readonly Row[], types: readonly EventType[], query: LogQuery): Record<string, unknown>[] {
  const groups = new Map<string, { key: Record<string, unknown>; rows: Row[] }>()
  if (query.by === undefined && query.everyMicros === undefined) groups.set('', { key: {}, rows: [] })
  for (const row of rows) {
    const key: Record<string, unknown> = {}
    if (query.everyMicros !== undefined) key['time'] = Math.floor(row.at / query.everyMicros) * query.everyMicros
    for (const name of query.by ?? []) {
      const value = valueOf(row, name, types)
      // NaN is a group, and 0 and -0 are one.
      key[name] = value === 0 ? 0 : value
    }
    const text = query.by === undefined && query.everyMicros === undefined ? '' : Object.values(key).map(String).join('\u0000')
    const group = groups.get(text) ?? { key, rows: [] }
    group.rows.push(row)
    groups.set(text, group)
  }
  const found = [...groups.values()].sort((a, b) => compareKeys(Object.values(a.key), Object.values(b.key)))
  return found.slice(0, query.limit).map(({ key, rows: own }) => {
    const result: Record<string, unknown> = {}
    for (const [name, value] of Object.entries(key)) if (value !== undefined) result[name] = value
    for (const text of query.aggregates ?? []) result[text] = aggregate(own, types, text)
    return result
  })
}

function compareKeys(a: readonly unknown[], b: readonly unknown[]): number {
  for (let index = 0; index < a.length; index++) {
    const [left, right] = [a[index], b[index]]
    const rank = (value: unknown) =>
      value === undefined ? 0 : typeof value === 'boolean' ? 1 : Number.isNaN(value) ? 3 : typeof value === 'number' ? 2 : 4
    if (rank(left) !== rank(right)) return rank(left) - rank(right)
    if (left !== right && rank(left) !== 3) return (left as number) < (right as number) ? -1 : 1
  }
  return 0
}

function aggregate(rows: readonly Row[], types: readonly EventType[], text: string): unknown {
  const [, kind, name = ''] = /^(\w+)\((.*)\)$/.exec(text) ?? []
  if (name === '') return rows.length
  const there = rows.map((row) => valueOf(row, name, types)).filter((value) => value !== undefined)
  if (kind === 'first') return there[0] ?? null
  if (kind === 'last') return there.at(-1) ?? null
  const values = there.filter((value) => !Number.isNaN(value))
  if (kind === 'count') return values.length
  if (kind === 'min' || kind === 'max') return extreme(values, kind === 'min')
  const numbers = values.map(Number)
  const sum = exactSum(numbers)
  if (kind === 'sum') return sum
  if (numbers.length === 0) return null
  return name === 'at' || name === 'accepted' || name === 'when' ? Math.round(sum / numbers.length) : sum / numbers.length
}

function extreme(values: readonly unknown[], isMin: boolean): unknown {
  if (values.length === 0) return null
  if (typeof values[0] === 'number') return values.map(Number).reduce((a, b) => (isMin ? Math.min(a, b) : Math.max(a, b)))
  const sorted = (values as string[]).toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  return isMin ? sorted[0] : sorted.at(-1)
}

/** The sum in whole numbers, written out in decimal and read back: reading a decimal rounds to the nearest double. */
export function exactSum(values: readonly number[]): number {
  if (values.some((value) => !Number.isFinite(value))) return values.reduce((a, b) => (Number.isFinite(b) ? a : a + b), 0)
  const total = values.reduce((sum, value) => sum + wholeOf(value), 0n)
  return Number(`${total * 5n ** 1074n}e-1074`)
}

/** Times 2^1074. */
function wholeOf(value: number): bigint {
  let [left, exponent] = [value, 1074]
  while (!Number.isInteger(left)) {
    left *= 2
    exponent--
  }
  return BigInt(left) * 2n ** BigInt(exponent)
}
