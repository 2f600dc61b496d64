import { basename } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { sha256Hex } from '#base/hash.js'
import { cellsOf, type CsvFile, openCsvFile, readCsvBytes } from './csv-file.js'
import { CrcTrail } from './crc-trail.js'
import type { IngestCommand } from './door.js'
import type { IngestMap } from './ingest-map.js'
import { RAW_CHARACTERS_MAX, type RawRecord, RecordSplitter } from './record-splitter.js'
import { fixedName, RowMapper } from './row-mapper.js'

/** Longer rows are rejected one by one. */
export const ROW_BYTES_MAX_DEFAULT = 1024 * 1024

export interface CsvRow {
  /** From 1, the sequence of its command. Rejected rows count; blank lines do not. */
  readonly number: number
  readonly line: number
  /** Offset behind it in the unpacked file. */
  readonly end: number
  /** Its beginning, as it stands in the file. */
  readonly raw: string
  /** The line at `end`. */
  readonly nextLine: number
  /** The command, or why there is none. */
  readonly command: IngestCommand | string
}

/** A place between two rows, from which the same file can be taken up again. */
export interface CsvMark {
  readonly row: number
  readonly offset: number
  readonly line: number
  /** CRC-32 of the unpacked bytes before `offset`. */
  readonly crc: number
  /** The row before it had no line end: it must not have grown. */
  readonly isOpen: boolean
}

/** Rows of one CSV file, plain or gzip, as commands. One pass at a time; open it again for another. */
export class CsvSource {
  /** `csv:` and a hash of path, first bytes, entity type and command, or what the map says. */
  readonly source: string
  /** Under this name its progress is kept: the same for whatever file lies under the same path, so that one put in its place is noticed. */
  readonly checkpointName: string
  readonly file: CsvFile
  readonly #map: IngestMap
  readonly #mapper: RowMapper
  readonly #rowBytesMax: number
  #trail = new CrcTrail()
  #bytesRead = 0

  constructor(file: CsvFile, map: IngestMap, rowBytesMax: number) {
    this.file = file
    this.#map = map
    this.#mapper = new RowMapper(map, file.path, file.header, file.columnCount)
    this.#rowBytesMax = rowBytesMax
    const { path, identity } = file
    const fixed = map.source?.kind === 'constant' || map.source?.kind === 'file' ? fixedName(map.source, path) : undefined
    // Type and command are in both, since two maps may send one file to one entity as two commands.
    const use = `${map.entityType}\0${map.command}\0${fixed ?? ''}`
    this.source = `csv:${fixed ?? sha256Hex(identity, '\0', use).slice(0, 32)}`
    this.checkpointName = `${basename(path)
      .replace(/[^\w.-]/g, '_')
      .slice(0, 60)}-${sha256Hex(path, '\0', use).slice(0, 16)}`
  }

  /** Of the file as it lies on the disk, for progress. */
  get bytesRead(): number {
    return this.#bytesRead
  }

  /**
   * Groups of rows in order, as they come off the disk. With `from` it goes on behind that mark, of this pass or an earlier one. Throws
   * ERR_FILE_REPLACED when the bytes before the mark are others now, ERR_CSV_FILE when the file cannot be read on.
   */
  async *rows(from?: CsvMark): AsyncGenerator<readonly CsvRow[]> {
    const start = from ?? { row: 0, offset: this.file.rowsOffset, line: this.file.rowsLine, crc: undefined, isOpen: false }
    const { layout, columnCount } = { layout: this.#map.csv, columnCount: this.file.columnCount }
    const splitter = new RecordSplitter({ layout, columnCount, recordBytesMax: this.#rowBytesMax, offset: start.offset, line: start.line })
    this.#trail = new CrcTrail()
    let number = start.row
    let lastByte = -1
    for await (const chunk of readCsvBytes(this.file, (bytes) => (this.#bytesRead = bytes))) {
      const skipped = Math.min(chunk.length, Math.max(0, start.offset - this.#trail.end))
      this.#trail.add(chunk)
      if (this.#trail.end < start.offset) {
        this.#trail.dropBefore(this.#trail.end)
        continue
      }
      if (skipped > 0 || this.#trail.end - chunk.length === start.offset) this.#verify(start, chunk[skipped])
      const fresh = chunk.subarray(skipped)
      if (fresh.length === 0) continue
      lastByte = fresh[fresh.length - 1] as number
      const rows = splitter.push(fresh).map((record) => this.#rowOf(record, ++number, false))
      if (rows.length > 0) yield rows
    }
    if (this.#trail.end < start.offset) throw this.#replaced('it is shorter than what was taken from it', start)
    const isCut = lastByte !== -1 && lastByte !== 0x0a
    const records = splitter.end()
    const rows = records.map((record, index) => this.#rowOf(record, ++number, isCut && index === records.length - 1))
    if (rows.length > 0) yield rows
  }

  /** No mark before this row will be asked for: the bytes before it need not be kept. */
  forgetBefore(row: CsvRow): void {
    this.#trail.dropBefore(row.end)
  }

  /** A mark behind a row of this pass. */
  markAfter(row: CsvRow): CsvMark {
    return { row: row.number, offset: row.end, line: row.nextLine, crc: this.#trail.crcAt(row.end), isOpen: row.nextLine === row.line }
  }

  #rowOf(record: RawRecord, number: number, isLast: boolean): CsvRow {
    const { line, end } = record
    return { number, line, end, raw: record.text, nextLine: line + record.lines, command: this.#commandOf(record, number, isLast) }
  }

  #commandOf(record: RawRecord, number: number, isLast: boolean): IngestCommand | string {
    if (record.problem !== undefined) return record.problem
    const cells = cellsOf(record, this.#map.csv)
    const mapped = this.#mapper.map(cells, number)
    if (typeof mapped === 'string')
      return isLast && cells.length < this.file.columnCount ? `the file ends in the middle of this row: ${mapped}` : mapped
    return { source: this.source, sequence: number, entity: mapped.entity, command: this.#map.command, data: mapped.data, at: mapped.at }
  }

  #verify(
    start: { readonly row: number; readonly offset: number; readonly crc: number | undefined; readonly isOpen: boolean },
    next: number | undefined,
  ): void {
    if (start.crc === undefined) return
    if (this.#trail.crcAt(start.offset) !== start.crc) throw this.#replaced('what was taken from it before stands there no more', start)
    if (start.isOpen && next !== undefined && next !== 0x0a && next !== 0x0d)
      throw this.#replaced('the last row taken from it had no line end and has grown since', start)
  }

  #replaced(fact: string, start: { readonly row: number }): MillraceError {
    return new MillraceError('ERR_FILE_REPLACED', {
      fact: `the file was replaced: ${fact}`,
      action: 'operator',
      values: { file: this.file.path, rowsTaken: start.row },
      next: 'give the new file a name of its own, or bring the old one back',
    })
  }
}

/** Opens a file for one pass. Throws as `openCsvFile` and `RowMapper` do. */
export async function openCsvSource(path: string, map: IngestMap, options: { readonly rowBytesMax?: number } = {}): Promise<CsvSource> {
  return new CsvSource(await openCsvFile(path, map.csv), map, options.rowBytesMax ?? ROW_BYTES_MAX_DEFAULT)
}

/** The beginning of a row for reject files. */
export function rawPrefix(row: CsvRow): string {
  return row.raw.length > RAW_CHARACTERS_MAX ? row.raw.slice(0, RAW_CHARACTERS_MAX) : row.raw
}
