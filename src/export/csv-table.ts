import { exactJson } from '#base/exact-json.js'
import { isoMicros } from '#base/micros.js'
import type { GroupColumns } from '#journal/query/group-columns.js'
import { PartFile } from './part-file.js'
import type { Table } from './table.js'
import type { TableColumn } from './table-columns.js'

/**
 * CSV as of RFC 4180, lines ending in a line feed: a header, then a line per row. Times are ISO 8601 in UTC with microseconds, json is JSON, what a row lacks
 * is empty and an empty text is `""`; numbers read back as the doubles that they are (-0, NaN, Infinity).
 */
export class CsvTable implements Table {
  rowCount = 0
  readonly #file: PartFile
  readonly #columns: readonly TableColumn[]
  readonly #cells: readonly ((value: unknown) => string)[]

  constructor(path: string, columns: readonly TableColumn[]) {
    this.#file = new PartFile(path)
    this.#columns = columns
    this.#cells = columns.map(({ kind }) => cellOf(kind))
    this.#file.write(`${columns.map(({ name }) => quoted(name)).join(',')}\n`)
  }

  get path(): string {
    return this.#file.path
  }

  get heldBytes(): number {
    return 0
  }

  take(columns: GroupColumns, picks: Uint32Array | undefined, count: number): void {
    const readers = this.#columns.map(({ reader }) => reader(columns))
    const cells = this.#cells
    for (let index = 0; index < count; index++) {
      const pick = picks === undefined ? index : (picks[index] as number)
      let line = ''
      for (let column = 0; column < readers.length; column++) {
        const value = (readers[column] as (pick: number) => unknown)(pick)
        if (column > 0) line += ','
        if (value !== undefined) line += (cells[column] as (value: unknown) => string)(value)
      }
      this.#file.write(`${line}\n`)
    }
    this.rowCount += count
  }

  flush(): void {
    this.#file.flush()
  }

  finish(): number {
    this.#file.close()
    return this.#file.bytes
  }

  abandon(): void {
    this.#file.abandon()
  }
}

function cellOf(kind: TableColumn['kind']): (value: unknown) => string {
  switch (kind) {
    case 'label':
    case 'text':
      return (value) => quoted(value as string)
    case 'json':
      return (value) => quoted(exactJson(value))
    case 'time':
      return (value) => isoMicros(value as number)
    default:
      return (value) => (Object.is(value, -0) ? '-0' : String(value))
  }
}

function quoted(text: string): string {
  return text === '' || /[",\r\n]|^\s|\s$/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}
