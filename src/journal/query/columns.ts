import { MillraceError } from '#base/errors.js'
import type { EventType } from '#journal/journal.js'
import type { FieldKind, FieldSchema } from '#schema/index.js'

/** The columns that every row has, by the names of Row. `data` is the whole event. */
export const SHARED_COLUMNS = {
  position: 'i64',
  entity: 'text',
  version: 'i64',
  event: 'label',
  typeNumber: 'i32',
  at: 'time',
  accepted: 'time',
  isLate: 'bool',
  source: 'text',
  sequence: 'i64',
  correlation: 'text',
  causation: 'text',
  term: 'i64',
  appendNumber: 'i64',
  outcomeKind: 'i32',
  outcome: 'json',
  data: 'json',
} as const satisfies Readonly<Record<string, FieldKind>>

export type SharedName = keyof typeof SHARED_COLUMNS

export interface SharedColumn {
  readonly kind: 'shared'
  readonly name: SharedName
  readonly valueKind: FieldKind
}

/** A field by its name, in whichever events have it. */
export interface FieldColumnRef {
  readonly kind: 'field'
  readonly name: string
  /** Index of the field by event type number. */
  readonly indexes: ReadonlyMap<number, number>
  readonly fields: readonly FieldSchema[]
  /** Undefined when events differ in it. */
  readonly valueKind: FieldKind | undefined
  readonly unit?: string
}

export type ColumnRef = SharedColumn | FieldColumnRef

/** How values compare: kinds of one class are one column, whatever event they stand in. */
export type ValueClass = 'number' | 'bool' | 'text' | 'json'

const CLASSES: Readonly<Record<FieldKind, ValueClass>> = {
  f64: 'number',
  f32: 'number',
  i32: 'number',
  i64: 'number',
  time: 'number',
  bool: 'bool',
  label: 'text',
  text: 'text',
  json: 'json',
}

/**
 * The column that a name means among these event types. A name that is both a shared column and a field means neither: `row.at` is the one and
 * `data.at` the other. `part` is what of the query names it. Throws ERR_QUERY with the columns that there are.
 */
export function columnOf(name: string, part: string, types: readonly EventType[]): ColumnRef {
  const [scope, inner] = /^(row|data)\.(.+)$/u.exec(name)?.slice(1) ?? []
  const bare = inner ?? name
  const shared = scope === 'data' || !Object.hasOwn(SHARED_COLUMNS, bare) ? undefined : sharedColumn(bare as SharedName)
  const field = scope === 'row' ? undefined : fieldColumn(bare, types)
  if (shared !== undefined && field !== undefined)
    throw queryError(
      `${name} is a column of every row and a field of ${namesOf(types, field)}`,
      { [part]: name },
      `say row.${name} or data.${name}`,
    )
  const found = shared ?? field
  if (found === undefined)
    throw queryError(`there is no column ${name}`, { [part]: name }, `the columns are ${knownColumns(types).join(', ')}`)
  return found
}

/** How the column's values compare. Throws ERR_QUERY when events of the query differ in it. */
export function classOf(column: ColumnRef, part: string, types: readonly EventType[]): ValueClass {
  if (column.kind === 'shared') return CLASSES[column.valueKind]
  const classes = new Set(column.fields.map(({ kind }) => CLASSES[kind]))
  const [only] = classes
  if (classes.size === 1 && only !== undefined) return only
  const kinds = types.flatMap((type) => {
    const field = type.fields[column.indexes.get(type.number) ?? -1]
    return field === undefined ? [] : [`${field.kind} in ${type.entity}.${type.event}`]
  })
  throw queryError(
    `${column.name} is ambiguous: it is ${[...new Set(kinds)].join(' and ')}`,
    { [part]: column.name },
    'ask for one event, or for entities of one type',
  )
}

export function sharedColumn(name: SharedName): SharedColumn {
  return { kind: 'shared', name, valueKind: SHARED_COLUMNS[name] }
}

function fieldColumn(name: string, types: readonly EventType[]): FieldColumnRef | undefined {
  const indexes = new Map<number, number>()
  const fields: FieldSchema[] = []
  for (const type of types) {
    const index = type.fields.findIndex((one) => one.name === name)
    if (index < 0) continue
    indexes.set(type.number, index)
    fields.push(type.fields[index] as FieldSchema)
  }
  const [first] = fields
  if (first === undefined) return undefined
  const valueKind = fields.every(({ kind }) => kind === first.kind) ? first.kind : undefined
  const unit = fields.every((one) => one.unit === first.unit) ? first.unit : undefined
  return { kind: 'field', name, indexes, fields, valueKind, ...(unit === undefined ? {} : { unit }) }
}

function namesOf(types: readonly EventType[], { indexes }: FieldColumnRef): string {
  return types
    .filter(({ number }) => indexes.has(number))
    .map(({ entity, event }) => `${entity}.${event}`)
    .join(', ')
}

function knownColumns(types: readonly EventType[]): string[] {
  const fields = new Map<string, Set<string>>()
  for (const { name, kind } of types.flatMap((type) => type.fields)) fields.set(name, (fields.get(name) ?? new Set()).add(kind))
  const shown = [...fields].map(([name, kinds]) => `${name} (${[...kinds].join(' or ')})`)
  return [...shown, ...Object.keys(SHARED_COLUMNS).filter((name) => !['typeNumber', 'outcome'].includes(name))]
}

export function queryError(fact: string, values: Readonly<Record<string, unknown>>, next: string): MillraceError {
  return new MillraceError('ERR_QUERY', { fact, action: 'operator', values, next })
}
