import { closeSync, fsyncSync, openSync, writeFileSync } from 'node:fs'
import { type ColumnSource, fileWriter, ParquetWriter } from 'hyparquet-writer'
import { exactJson } from '#base/exact-json.js'
import type { GroupColumns } from '#journal/query/group-columns.js'
import type { FieldKind } from '#schema/index.js'
import { guarded } from './part-file.js'
import type { Table } from './table.js'
import type { TableColumn } from './table-columns.js'

type SchemaElement = ConstructorParameters<typeof ParquetWriter>[0]['schema'][number]
type Leaf = Pick<SchemaElement, 'type' | 'converted_type' | 'logical_type'>

/** Rows of a row group, unless memory asks for fewer. */
const GROUP_ROWS = 65_536

const MICROS: Leaf = {
  type: 'INT64',
  converted_type: 'TIMESTAMP_MICROS',
  logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' },
}
const TEXT: Leaf = { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } }
const LEAVES: Readonly<Record<FieldKind, Leaf>> = {
  f64: { type: 'DOUBLE' },
  f32: { type: 'FLOAT' },
  i32: { type: 'INT32' },
  i64: { type: 'INT64' },
  bool: { type: 'BOOLEAN' },
  label: TEXT,
  text: TEXT,
  time: MICROS,
  json: { type: 'BYTE_ARRAY', logical_type: { type: 'JSON' } },
}

const utf8 = new TextEncoder()

/**
 * A Parquet file, snappy, a row group at a time. Times are UTC timestamps in microseconds, json is annotated as such. The file's metadata have the event as
 * `millrace.event`, the fields with kinds and units as `millrace.fields`, and the units of columns alone as `millrace.units`.
 */
export class ParquetTable implements Table {
  readonly path: string
  rowCount = 0
  readonly #columns: readonly TableColumn[]
  readonly #writer: ParquetWriter
  readonly #offset: { readonly offset: number }
  readonly #elements: SchemaElement[]
  #held: unknown[][]
  #heldRows = 0
  #heldText = 0

  constructor(path: string, columns: readonly TableColumn[], event: string) {
    this.path = path
    this.#columns = columns
    this.#held = columns.map(() => [])
    const units = Object.fromEntries(columns.flatMap(({ name, unit }) => (unit === undefined ? [] : [[name, unit]])))
    const fields = columns.flatMap(({ field }) => field ?? [])
    // So that the folder keeps to itself what it holds; the library would make it for all to read.
    guarded(path, () => writeFileSync(path, '', { flag: 'wx', mode: 0o600 }))
    const writer = guarded(path, () => fileWriter(path))
    this.#offset = writer
    this.#elements = columns.map(elementOf)
    this.#writer = new ParquetWriter({
      writer,
      schema: [{ name: 'root', num_children: columns.length }, ...this.#elements],
      createdBy: 'millrace',
      kvMetadata: [
        { key: 'millrace.event', value: event },
        { key: 'millrace.fields', value: exactJson(fields) },
        { key: 'millrace.units', value: JSON.stringify(units) },
      ],
    })
  }

  get heldBytes(): number {
    return this.#heldRows * this.#columns.length * 8 + this.#heldText
  }

  take(columns: GroupColumns, picks: Uint32Array | undefined, count: number): void {
    for (const [index, { kind, reader }] of this.#columns.entries()) {
      const read = reader(columns)
      const held = this.#held[index] as unknown[]
      const isText = kind === 'text' || kind === 'json' || kind === 'label'
      for (let at = 0; at < count; at++) {
        const value = read(picks === undefined ? at : (picks[at] as number))
        if (isText && value !== undefined) this.#heldText += kind === 'json' ? 64 : (value as string).length
        held.push(value)
      }
    }
    this.rowCount += count
    this.#heldRows += count
    if (this.#heldRows >= GROUP_ROWS) this.flush()
  }

  flush(): void {
    if (this.#heldRows === 0) return
    const columnData = this.#columns.map((column, index) => sourceOf(column, this.#held[index] as unknown[]))
    guarded(this.path, () => void this.#writer.write({ columnData, rowGroupSize: this.#heldRows }))
    this.#held = this.#columns.map(() => [])
    this.#heldRows = 0
    this.#heldText = 0
  }

  finish(): number {
    this.flush()
    // Told at the end only: the library would write values of such a column as JSON by its own rules, which take the JSON value null for none.
    for (const [index, { kind }] of this.#columns.entries())
      if (kind === 'json') (this.#elements[index] as SchemaElement).converted_type = 'JSON'
    return guarded(this.path, () => {
      void this.#writer.finish()
      const file = openSync(this.path, 'r')
      try {
        fsyncSync(file)
      } finally {
        closeSync(file)
      }
      return this.#offset.offset
    })
  }

  /** The library opens its file for every write. */
  abandon(): void {}
}

function elementOf({ name, kind, isOptional }: TableColumn): SchemaElement {
  return { name, ...LEAVES[kind], repetition_type: isOptional ? 'OPTIONAL' : 'REQUIRED' }
}

function sourceOf({ name, kind, isOptional }: TableColumn, held: unknown[]): ColumnSource {
  switch (kind) {
    case 'i64':
    case 'time':
      return { name, data: held.map((value) => (value === undefined ? undefined : BigInt(value as number))) }
    case 'f64':
      // Plain: a dictionary would take -0 for 0.
      return { name, data: isOptional ? held : Float64Array.from(held as number[]), encoding: 'PLAIN' }
    case 'f32':
      return { name, data: isOptional ? held : Float32Array.from(held as number[]), encoding: 'PLAIN' }
    case 'json':
      return { name, data: held.map((value) => (value === undefined ? undefined : utf8.encode(exactJson(value)))), statistics: false }
    default:
      return { name, data: held }
  }
}
