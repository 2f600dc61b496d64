import { unpack } from '#base/pack.js'
import { OUTCOME_NONE, OUTCOME_REFUSAL, RECEIPT_TYPE } from '#journal/append-frame.js'
import type { EventType } from '#journal/journal.js'
import { type ColumnRef, type SharedName, sharedColumn } from '#journal/query/columns.js'
import type { GroupColumns } from '#journal/query/group-columns.js'
import type { FieldKind, FieldSchema } from '#schema/index.js'

/** One column of an exported table. */
export interface TableColumn {
  readonly name: string
  readonly kind: FieldKind
  readonly unit?: string
  /** Rows may lack it. */
  readonly isOptional: boolean
  /** The field that it is, when it is none of the columns that every row has. */
  readonly field?: FieldSchema
  /** Gives the value of a pick of the group and type at hand; undefined where there is none. */
  readonly reader: (columns: GroupColumns) => (pick: number) => unknown
}

/** The columns of an event type's table: those of every row, then its fields. A field that is called like one of the former becomes `data.NAME`. */
export function tableColumns(type: EventType | undefined): readonly TableColumn[] {
  const fields = type?.fields ?? []
  return [
    ...SHARED,
    ...fields.map((field): TableColumn => {
      const ref = fieldRef(type as EventType, field)
      return {
        name: SHARED.some(({ name }) => name === field.name) ? `data.${field.name}` : field.name,
        kind: field.kind,
        ...(field.unit === undefined ? {} : { unit: field.unit }),
        isOptional: field.isOptional,
        field,
        reader: (columns) => columns.reader(ref),
      }
    }),
  ]
}

/** `press.Sampled`, with `-2` and so on behind it for shapes that the event had later; `receipts` for rows without an event. */
export function tableName(number: number, types: readonly EventType[]): string {
  if (number === RECEIPT_TYPE) return 'receipts'
  const { entity, event } = types.find((type) => type.number === number) as EventType
  const shape = types.filter((type) => type.entity === entity && type.event === event && type.number < number).length + 1
  return shape === 1 ? `${entity}.${event}` : `${entity}.${event}-${shape}`
}

const SHARED: readonly TableColumn[] = [
  shared('position', 'i64'),
  shared('entity', 'text'),
  shared('version', 'i64'),
  { ...shared('event', 'label'), isOptional: true },
  shared('at', 'time'),
  shared('accepted', 'time'),
  { ...shared('isLate', 'bool'), name: 'late' },
  unlessEmpty('source'),
  { ...shared('sequence', 'i64'), isOptional: true },
  unlessEmpty('correlation'),
  unlessEmpty('causation'),
  { name: 'outcome', kind: 'json', isOptional: true, reader: outcomeReader },
]

function shared(name: SharedName, kind: FieldKind): TableColumn {
  const ref = sharedColumn(name)
  return { name, kind, isOptional: false, reader: (columns) => columns.reader(ref) }
}

function unlessEmpty(name: SharedName): TableColumn {
  const { reader } = shared(name, 'text')
  const readerOf = (columns: GroupColumns) => {
    const read = reader(columns)
    return (pick: number) => read(pick) || undefined
  }
  return { name, kind: 'text', isOptional: true, reader: readerOf }
}

/** What the command came to whose last row it is: `{ reply }` or `{ refused, detail }`. */
function outcomeReader(columns: GroupColumns): (pick: number) => unknown {
  const kindOf = columns.reader(sharedColumn('outcomeKind'))
  const bytesOf = columns.reader(sharedColumn('outcome'))
  return (pick) => {
    const kind = kindOf(pick)
    if (kind === OUTCOME_NONE) return undefined
    const bytes = bytesOf(pick) as Uint8Array
    if (bytes.length === 0) return undefined
    if (kind !== OUTCOME_REFUSAL) return { reply: unpack(bytes) }
    const [refused, detail] = unpack<[string, unknown]>(bytes)
    return { refused, ...(detail === undefined ? {} : { detail }) }
  }
}

function fieldRef(type: EventType, field: FieldSchema): ColumnRef {
  const indexes = new Map([[type.number, type.fields.indexOf(field)]])
  return { kind: 'field', name: field.name, indexes, fields: [field], valueKind: field.kind }
}
