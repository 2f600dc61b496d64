import type { OutcomeKind } from '#journal/append-frame.js'
import type { Row } from '#journal/index.js'
import type { RowBatch } from '#reading/row-cursor.js'
import { packExact, unpackExact } from './exact-pack.js'

/** Rows column by column: as objects, each would carry the names of all its fields. */
interface PackedBatch {
  readonly next: number
  readonly end: number
  readonly count: number
  readonly position: Float64Array
  readonly version: Float64Array
  readonly typeNumber: Uint16Array
  readonly at: Float64Array
  readonly accepted: Float64Array
  readonly isLate: Uint8Array
  /** NaN for none. */
  readonly sequence: Float64Array
  readonly term: Float64Array
  readonly appendNumber: Float64Array
  readonly outcomeKind: Uint8Array
  readonly entity: Texts
  readonly source: Texts
  readonly correlation: Texts
  readonly causation: Texts
  /** Of rows that have one, by index. */
  readonly outcomes: ReadonlyMap<number, Uint8Array>
  /** By type number: the event's name and its data. */
  readonly types: ReadonlyMap<number, PackedType>
}

/** Each text once, and which one a row has. */
interface Texts {
  readonly texts: readonly string[]
  readonly numbers: Uint32Array
}

interface PackedType {
  readonly event: string | undefined
  /** By field name, in the order of the fields, one value a row. Undefined when rows differ in their fields: then `objects` has them whole. */
  readonly columns: ReadonlyMap<string, Float64Array | readonly unknown[]> | undefined
  readonly objects: readonly Readonly<Record<string, unknown>>[] | undefined
}

/** A batch as a text for a line of JSON; every value comes back as it was. */
export function packBatch({ rows, next, end }: RowBatch): string {
  const number = (value: (row: Row) => number) => Float64Array.from(rows, value)
  const packed: PackedBatch = {
    next,
    end,
    count: rows.length,
    position: number((row) => row.position),
    version: number((row) => row.version),
    typeNumber: Uint16Array.from(rows, (row) => row.typeNumber),
    at: number((row) => row.at),
    accepted: number((row) => row.accepted),
    isLate: Uint8Array.from(rows, (row) => (row.isLate ? 1 : 0)),
    sequence: number((row) => row.sequence ?? Number.NaN),
    term: number((row) => row.term),
    appendNumber: number((row) => row.appendNumber),
    outcomeKind: Uint8Array.from(rows, (row) => row.outcomeKind),
    entity: textsOf(rows, (row) => row.entity),
    source: textsOf(rows, (row) => row.source),
    correlation: textsOf(rows, (row) => row.correlation),
    causation: textsOf(rows, (row) => row.causation),
    outcomes: new Map(rows.flatMap(({ outcome }, index) => (outcome.length > 0 ? [[index, outcome] as const] : []))),
    types: typesOf(rows),
  }
  return packExact(packed)
}

export function unpackBatch(text: string): RowBatch {
  const packed = unpackExact<PackedBatch>(text)
  const rows: Row[] = []
  const seen = new Map<number, number>()
  for (let index = 0; index < packed.count; index++) {
    const typeNumber = packed.typeNumber[index] as number
    const type = packed.types.get(typeNumber) as PackedType
    const rank = seen.get(typeNumber) ?? 0
    seen.set(typeNumber, rank + 1)
    const sequence = packed.sequence[index] as number
    rows.push({
      position: packed.position[index] as number,
      entity: textAt(packed.entity, index) as Row['entity'],
      version: packed.version[index] as number,
      event: type.event,
      typeNumber,
      at: packed.at[index] as number,
      accepted: packed.accepted[index] as number,
      isLate: packed.isLate[index] === 1,
      source: textAt(packed.source, index),
      sequence: Number.isNaN(sequence) ? undefined : sequence,
      correlation: textAt(packed.correlation, index),
      causation: textAt(packed.causation, index),
      term: packed.term[index] as number,
      appendNumber: packed.appendNumber[index] as number,
      outcomeKind: packed.outcomeKind[index] as OutcomeKind,
      outcome: packed.outcomes.get(index) ?? new Uint8Array(0),
      data: dataAt(type, rank),
    })
  }
  return { rows, next: packed.next, end: packed.end }
}

function textsOf(rows: readonly Row[], value: (row: Row) => string): Texts {
  const numberOf = new Map<string, number>()
  const numbers = Uint32Array.from(rows, (row) => {
    const text = value(row)
    const known = numberOf.get(text)
    if (known !== undefined) return known
    numberOf.set(text, numberOf.size)
    return numberOf.size - 1
  })
  return { texts: [...numberOf.keys()], numbers }
}

function textAt({ texts, numbers }: Texts, index: number): string {
  return texts[numbers[index] as number] as string
}

function typesOf(rows: readonly Row[]): Map<number, PackedType> {
  const byType = new Map<number, Row[]>()
  for (const row of rows) {
    const own = byType.get(row.typeNumber)
    if (own === undefined) byType.set(row.typeNumber, [row])
    else own.push(row)
  }
  return new Map([...byType].map(([typeNumber, own]) => [typeNumber, packType(own)]))
}

function packType(rows: readonly Row[]): PackedType {
  const [first] = rows
  const names = Object.keys(first?.data ?? {})
  const haveSame = rows.every(({ data }) => {
    const own = Object.keys(data)
    return own.length === names.length && own.every((name, index) => name === names[index])
  })
  if (!haveSame) return { event: first?.event, columns: undefined, objects: rows.map(({ data }) => data) }
  const columns = names.map((name) => {
    const values = rows.map(({ data }) => data[name])
    return [name, values.every((value) => typeof value === 'number') ? Float64Array.from(values) : values] as const
  })
  return { event: first?.event, columns: new Map(columns), objects: undefined }
}

function dataAt({ columns, objects }: PackedType, rank: number): Readonly<Record<string, unknown>> {
  if (columns === undefined) return objects?.[rank] ?? {}
  const data: Record<string, unknown> = {}
  for (const [name, values] of columns) data[name] = values[rank]
  return data
}
