import { type EntityId, entityId } from '#base/ids.js'
import { messageOf, MillraceError } from '#base/errors.js'
import { BadCell, type CellReader, cellReader } from './cell.js'
import { type ColumnRef, type IngestMap, isSkipped, type NameFrom, type TextFrom } from './ingest-map.js'
import { LocalTime } from './local-time.js'
import { timeReader } from './time-format.js'

/** What a row says, or why it cannot be taken. */
export type MappedRow =
  | { readonly entity: EntityId; readonly data: Readonly<Record<string, unknown>>; readonly at: number | undefined }
  | string

const NAMES_KEPT_MAX = 10_000

interface FieldColumn {
  readonly field: string
  readonly index: number
  readonly read: CellReader
}

/**
 * Rows of one file as commands. The columns are matched with the map once: throws ERR_CSV_COLUMN when the map names one that the file does not
 * have or has twice, or when the file has one that the map neither uses nor skips; ERR_ENTITY_ID when the file's name cannot name an entity.
 */
export class RowMapper {
  readonly columnCount: number
  readonly #map: IngestMap
  readonly #columns: Columns
  readonly #fields: readonly FieldColumn[]
  readonly #readTime: (cells: readonly string[], row: number) => number | undefined | BadCell
  readonly #nameOf: (cells: readonly string[]) => string
  readonly #ids = new Map<string, EntityId | BadCell>()

  /** `header` holds the names, or is undefined and `columnCount` says how many there are. `path` is the file's, for entity names and messages. */
  constructor(map: IngestMap, path: string, header: readonly string[] | undefined, columnCount: number) {
    this.#map = map
    this.columnCount = columnCount
    this.#columns = new Columns(path, header, columnCount)
    const local = new LocalTime(map.zone, map.overlap, map.gap)
    this.#fields = map.fields.flatMap((field) => {
      const index = this.#columns.indexOf(refOf(field.from), field.isOptional)
      return index < 0 ? [] : [{ field: field.field, index, read: cellReader(field, map.csv.decimal, timeReader(field.format, local)) }]
    })
    this.#readTime = this.#timeOf(map, local)
    this.#nameOf = this.#nameReader(map.entityName, path)
    this.#columns.refuseUnnamed(map)
  }

  /** `row` counts from 1. */
  map(cells: readonly string[], row: number): MappedRow {
    if (cells.length !== this.columnCount) return this.#columns.wrongCount(cells.length)
    const at = this.#readTime(cells, row)
    if (at instanceof BadCell) return at.reason
    const entity = this.#entityOf(this.#nameOf(cells))
    if (entity instanceof BadCell) return entity.reason
    const data: Record<string, unknown> = {}
    for (const { field, index, read } of this.#fields) {
      const value = read(cells[index] as string)
      if (value === undefined) continue
      if (value instanceof BadCell) return `${this.#columns.show(index)} ${value.reason}`
      data[field] = value
    }
    return { entity, data, at }
  }

  #timeOf(map: IngestMap, local: LocalTime): (cells: readonly string[], row: number) => number | undefined | BadCell {
    const { time } = map
    if (time.kind === 'arrival') return () => undefined
    if (time.kind === 'step') return (_cells, row) => time.startMicros + (row - 1) * time.stepMicros
    const index = this.#columns.indexOf(refOf(time.from), false)
    const read = timeReader(time.format, local)
    return (cells) => {
      const text = (cells[index] as string).trim()
      if (text === '') return new BadCell(`${this.#columns.show(index)} is empty, it holds the time`)
      const micros = read(text)
      return typeof micros === 'number' ? micros : new BadCell(`${this.#columns.show(index)} is ${micros}: '${text.slice(0, 40)}'`)
    }
  }

  #nameReader(name: NameFrom, path: string): (cells: readonly string[]) => string {
    if (name.kind === 'constant' || name.kind === 'file') {
      const fixed = fixedName(name, path)
      entityId(this.#map.entityType, fixed)
      return () => fixed
    }
    const index = this.#columns.indexOf(refOf(name), false)
    return (cells) => name.prefix + (cells[index] as string).trim()
  }

  /** Ids are checked once per name: files of many machines are rare, rows of the same one are not. */
  #entityOf(name: string): EntityId | BadCell {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    let id: EntityId | BadCell
    try {
      id = entityId(this.#map.entityType, name)
    } catch (error) {
      id = new BadCell(messageOf(error))
    }
    if (this.#ids.size >= NAMES_KEPT_MAX) this.#ids.clear()
    this.#ids.set(name, id)
    return id
  }
}

/** The name that a map gives a whole file. */
export function fixedName(name: Extract<NameFrom, { kind: 'constant' | 'file' }>, path: string): string {
  if (name.kind === 'constant') return name.text
  const parts = path.split('/').filter((part) => part !== '')
  const base = parts.at(-1) ?? ''
  const stem = base.replace(/(?<=.)\..*$/, '')
  if (name.part === 'name') return name.prefix + base
  return name.prefix + (name.part === 'stem' ? stem : `${parts.at(-2) ?? ''}-${stem}`)
}

/** A csv map knows columns alone; the map's parser saw to it. */
function refOf(from: TextFrom): ColumnRef {
  return from.kind === 'column' ? from.column : ''
}

/** The columns of one file by name and number. */
class Columns {
  readonly #path: string
  readonly #header: readonly string[] | undefined
  readonly #count: number
  readonly #used = new Set<number>()

  constructor(path: string, header: readonly string[] | undefined, count: number) {
    this.#path = path
    this.#header = header
    this.#count = count
  }

  /** -1 for an optional column that is not there. */
  indexOf(ref: ColumnRef, isOptional: boolean): number {
    const index = typeof ref === 'number' ? ref - 1 : (this.#header?.indexOf(ref) ?? -1)
    if (index < 0 || index >= this.#count) {
      if (isOptional) return -1
      throw this.#bad('the map names a column that the file does not have', ref, `name one of the columns that are there: ${this.#list()}`)
    }
    if (typeof ref === 'string' && this.#header?.lastIndexOf(ref) !== index) {
      throw this.#bad('the map names a column that the file has twice', ref, `name it by its number: ${this.#list()}`)
    }
    this.#used.add(index)
    return index
  }

  refuseUnnamed(map: IngestMap): void {
    for (let index = 0; index < this.#count; index++) {
      if (this.#used.has(index) || isSkipped(map, this.#header?.[index] ?? '', index + 1)) continue
      const ref = this.#header === undefined || this.#header[index] === '' ? index + 1 : (this.#header[index] as string)
      throw this.#bad('the file has a column that the map neither uses nor skips', ref, 'add it to fields or to skip, or write skip: rest')
    }
  }

  show(index: number): string {
    const name = this.#header?.[index]
    return name === undefined || name === '' ? `column ${index + 1}` : `column ${name}`
  }

  wrongCount(count: number): string {
    if (count > this.#count) return `${count - this.#count} more cells than the ${this.#count} columns`
    return `only ${count} of ${this.#count} cells, ${this.show(count)} is missing`
  }

  #list(): string {
    if (this.#header === undefined) return `1 to ${this.#count}, the file has no header`
    return this.#header.map((name, index) => `${index + 1} ${name === '' ? '(without a name)' : name}`).join(', ')
  }

  #bad(fact: string, column: ColumnRef, next: string): MillraceError {
    return new MillraceError('ERR_CSV_COLUMN', { fact, action: 'operator', values: { column, file: this.#path }, next })
  }
}
