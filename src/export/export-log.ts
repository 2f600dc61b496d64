import { MillraceError } from '#base/errors.js'
import type { EventType } from '#journal/journal.js'
import { RECEIPT_TYPE } from '#journal/append-frame.js'
import { BlockScan } from './block-scan.js'
import type { BlocksItem, ExportQuery } from './block-stream.js'
import { CsvTable } from './csv-table.js'
import { EXPORT_FILE, ExportPlace } from './export-place.js'
import { JsonLines } from './json-lines.js'
import { ParquetTable } from './parquet-table.js'
import { PartFile } from './part-file.js'
import type { ExportFormat, Table } from './table.js'
import { tableColumns, tableName } from './table-columns.js'

export interface ExportOptions {
  readonly query: ExportQuery
  readonly format: ExportFormat
  /** A file, or without `isFile` a folder with a file for each event type. */
  readonly out: string
  readonly isFile: boolean
  /** Replaces what an export left there before. */
  readonly isForced?: boolean
  /** Rows of blocks done, of how many. */
  readonly onProgress?: (done: number, total: number) => void
  readonly signal?: AbortSignal
}

export interface ExportReport {
  readonly out: string
  readonly format: ExportFormat
  readonly rows: number
  readonly bytes: number
  /** Positions of the log that were looked at, from the first one that is there: up to and without `to`. */
  readonly from: number
  readonly to: number
  readonly files: readonly ExportedFile[]
}

interface ExportedFile {
  /** Empty when the export is one file. */
  readonly file: string
  /** `press.Sampled`; undefined for a file of all rows. */
  readonly event?: string
  readonly rows: number
  readonly bytes: number
  readonly columns?: readonly { readonly name: string; readonly kind: string; readonly unit?: string }[]
}

/** All tables together hold at most about so much; the largest ones are written when it is more. */
const HELD_BYTES_MAX = 64 << 20

/**
 * Writes the rows of a query into files: all or nothing, see ExportPlace. `items` come from `streamBlocks`, of a journal here or behind a socket. Throws
 * ERR_EXPORT_EXISTS, ERR_EXPORT_WRITE, ERR_EXPORT_TYPES for one table that would have rows of several event types, the signal's reason, and what `items` throws.
 */
export async function exportLog(items: AsyncIterable<BlocksItem>, options: ExportOptions): Promise<ExportReport> {
  const place = new ExportPlace(options.out, !options.isFile, options.isForced === true)
  const tables = new Tables(place, options)
  try {
    let scan: BlockScan | undefined
    let done = 0
    for await (const item of items) {
      options.signal?.throwIfAborted()
      if (item.kind === 'begin') {
        scan = new BlockScan(options.query, item.begin)
        tables.begin(item.begin.eventTypes)
      } else if (item.kind === 'names') scan?.learn(item)
      else {
        await scan?.block(item.entry, item.bytes, item.from, item.to, (columns, picks, count) =>
          tables.of(columns.rows.typeNumber).take(columns, picks, count),
        )
        tables.relieve()
        done += item.entry.rowCount
        options.onProgress?.(done, scan?.begin.rowCount ?? 0)
      }
    }
    const files = tables.finish()
    const sum = (of: (file: ExportedFile) => number) => files.reduce((total, file) => total + of(file), 0)
    const to = Math.min(scan?.begin.endPosition ?? 0, (options.query.to ?? Number.POSITIVE_INFINITY) + 1)
    const { format, query } = options
    const from = Math.max(query.from ?? 0, scan?.begin.firstPosition ?? 0)
    const counted = { rows: sum(({ rows }) => rows), bytes: sum(({ bytes }) => bytes), from, to }
    if (!options.isFile) {
      const list = new PartFile(place.file(EXPORT_FILE))
      list.write(`${JSON.stringify({ format, query, ...counted, files }, undefined, 2)}\n`)
      list.close()
    }
    place.finish()
    return { out: place.path, format, ...counted, files }
  } catch (error) {
    tables.abandon()
    place.abandon()
    throw error
  }
}

/** The files of one export, made when the first row comes. */
class Tables {
  readonly #place: ExportPlace
  readonly #options: ExportOptions
  readonly #tables = new Map<number, { readonly table: Table; readonly file: string; readonly event: string | undefined }>()
  #types: readonly EventType[] = []

  constructor(place: ExportPlace, options: ExportOptions) {
    this.#place = place
    this.#options = options
  }

  begin(types: readonly EventType[]): void {
    this.#types = types
  }

  of(typeNumber: number): Table {
    const number = this.#options.format === 'jsonl' ? ALL_TYPES : typeNumber
    const known = this.#tables.get(number)
    if (known !== undefined) return known.table
    const { isFile, format } = this.#options
    const event = number === ALL_TYPES ? undefined : tableName(number, this.#types)
    const [other] = this.#tables.values()
    if (isFile && other !== undefined) throw severalTypes(this.#place.path, [other.event ?? '', event ?? ''])
    const file = isFile ? '' : `${event ?? 'rows'}.${format}`
    const path = isFile ? this.#place.part : this.#place.file(file)
    const table = this.#open(path, number, event)
    this.#tables.set(number, { table, file, event })
    return table
  }

  /** Keeps what is held in memory within bounds. */
  relieve(): void {
    const tables = [...this.#tables.values()].map(({ table }) => table)
    let held = tables.reduce((sum, { heldBytes }) => sum + heldBytes, 0)
    if (held <= HELD_BYTES_MAX) return
    for (const table of tables.sort((a, b) => b.heldBytes - a.heldBytes)) {
      held -= table.heldBytes
      table.flush()
      if (held <= HELD_BYTES_MAX / 2) return
    }
  }

  finish(): ExportedFile[] {
    // A file that was asked for is there, and has its header, also when no row came.
    if (this.#options.isFile && this.#tables.size === 0) this.of(this.#onlyType())
    return [...this.#tables].map(([number, { table, file, event }]) => {
      const columns = this.#columns(number)?.map(({ name, kind, unit }) => ({ name, kind, ...(unit === undefined ? {} : { unit }) }))
      return {
        file,
        ...(event === undefined ? {} : { event }),
        rows: table.rowCount,
        bytes: table.finish(),
        ...(columns === undefined ? {} : { columns }),
      }
    })
  }

  abandon(): void {
    for (const { table } of this.#tables.values()) {
      try {
        table.abandon()
      } catch {
        // It was closed by the failure that ends the export.
      }
    }
  }

  #open(path: string, number: number, event: string | undefined): Table {
    if (this.#options.format === 'jsonl') return new JsonLines(path)
    const columns = this.#columns(number) ?? []
    return this.#options.format === 'csv' ? new CsvTable(path, columns) : new ParquetTable(path, columns, event ?? '')
  }

  #columns(number: number): ReturnType<typeof tableColumns> | undefined {
    return number === ALL_TYPES ? undefined : tableColumns(this.#types.find((type) => type.number === number))
  }

  #onlyType(): number {
    const { event } = this.#options.query
    return this.#types.findLast((type) => type.event === event || `${type.entity}.${type.event}` === event)?.number ?? RECEIPT_TYPE
  }
}

const ALL_TYPES = -1

function severalTypes(path: string, [one, other]: readonly [string, string]): MillraceError {
  return new MillraceError('ERR_EXPORT_TYPES', {
    fact: `one file cannot have the columns of several event types, such as ${one} and ${other}`,
    action: 'operator',
    values: { path },
    next: 'name a folder, for a file of each, or choose one with --event',
  })
}
