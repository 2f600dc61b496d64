import { MillraceError } from '#base/errors.js'
import { cellsOf, emptyFile, isGzipFile, readCsvBytes } from './csv-file.js'
import type { CsvLayout } from './ingest-map.js'
import { RecordSplitter } from './record-splitter.js'

/** The beginning of a file whose layout nobody has told. */
export interface InferredLayout {
  readonly layout: CsvLayout
  /** Undefined when the file has no header. */
  readonly header: readonly string[] | undefined
  /** The first rows, all with the same count of cells. */
  readonly rows: readonly (readonly string[])[]
}

const DELIMITERS = [',', ';', '\t', '|'] as const
const HEAD_BYTES_MAX = 8 * 1024 * 1024
const SNIFFED_ROWS = 200

/**
 * Finds delimiter, header, decimal sign and encoding from the first rows. The delimiter is the one that gives most rows the same count of
 * cells, more cells first. A header is a first row without numbers above columns that have some, or of names that never come again. Throws
 * ERR_CSV_FILE, ERR_CSV_EMPTY.
 */
export async function inferLayout(path: string, rowsMax: number): Promise<InferredLayout> {
  const { bytes, isWhole } = await readBeginning(path)
  const encoding = isMostlyUtf8(bytes) ? 'utf-8' : 'latin1'
  const guess = (delimiter: string): CsvLayout => ({ delimiter, quote: '"', gzip: 'auto', header: true, decimal: '.', encoding })
  const scored = DELIMITERS.map((delimiter) => ({ delimiter, ...score(rowsOf(bytes, guess(delimiter), SNIFFED_ROWS, isWhole)) }))
  const best = scored.reduce((before, one) =>
    one.share > before.share || (one.share === before.share && one.cells > before.cells) ? one : before,
  )
  if (best.count === 0) throw bytes.length === 0 ? emptyFile(path) : notCsv(path)
  const all = rowsOf(bytes, guess(best.delimiter), rowsMax + 1, isWhole)
  const [first = [], ...others] = all.filter((row) => row.length === best.cells)
  const hasHeader = isHeader(first, others)
  const rows = hasHeader ? others : [first, ...others]
  const decimal = best.delimiter !== ',' && hasDecimalComma(rows) ? ',' : '.'
  return {
    layout: { ...guess(best.delimiter), header: hasHeader, decimal },
    header: hasHeader ? first.map((name) => name.trim()) : undefined,
    rows: rows.slice(0, rowsMax),
  }
}

async function readBeginning(path: string): Promise<{ readonly bytes: Buffer; readonly isWhole: boolean }> {
  const pieces: Buffer[] = []
  let byteCount = 0
  for await (const chunk of readCsvBytes({ path, isGzip: await isGzipFile(path) }, () => {})) {
    pieces.push(chunk)
    byteCount += chunk.length
    if (byteCount >= HEAD_BYTES_MAX) break
  }
  const bytes = Buffer.concat(pieces)
  const hasBom = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf
  return { bytes: hasBom ? bytes.subarray(3) : bytes, isWhole: byteCount < HEAD_BYTES_MAX }
}

function rowsOf(bytes: Buffer, layout: CsvLayout, rowsMax: number, isWhole: boolean): (readonly string[])[] {
  const splitter = new RecordSplitter({ layout, recordBytesMax: HEAD_BYTES_MAX, offset: 0, line: 1, columnCount: undefined })
  const records = splitter.push(bytes)
  if (isWhole) records.push(...splitter.end())
  return records
    .slice(0, rowsMax)
    .filter(({ problem }) => problem === undefined)
    .map((record) => cellsOf(record, layout))
}

/** How many of the rows have the commonest count of cells. One cell a row is what every file has with a delimiter that is not its own. */
function score(rows: readonly (readonly string[])[]): { readonly count: number; readonly share: number; readonly cells: number } {
  const counts = new Map<number, number>()
  for (const { length } of rows) counts.set(length, (counts.get(length) ?? 0) + 1)
  const [cells, count] = [...counts].sort((a, b) => b[1] - a[1])[0] ?? [0, 0]
  return { count, cells, share: cells === 1 ? 0.5 * (count / rows.length) : rows.length === 0 ? 0 : count / rows.length }
}

function isHeader(first: readonly string[], others: readonly (readonly string[])[]): boolean {
  if (first.some(looksLikeValue)) return false
  if (others.length === 0) return true
  const isAboveValues = first.some((_, index) => others.some((row) => looksLikeValue(row[index] ?? '')))
  return isAboveValues || first.every((name, index) => others.every((row) => row[index] !== name))
}

/** Something with a digit in front, or a number that has a name: no one calls a column that. */
function looksLikeValue(cell: string): boolean {
  return /^\s*[+-]?[.,]?\d/.test(cell) || /^\s*[+-]?(nan|inf|infinity)\s*$/i.test(cell)
}

function hasDecimalComma(rows: readonly (readonly string[])[]): boolean {
  const cells = rows.slice(0, SNIFFED_ROWS).flat()
  const isPoint = (cell: string) => /^\s*[+-]?\d*\.\d+([eE][+-]?\d+)?\s*$/.test(cell)
  return cells.some((cell) => /^\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*$/.test(cell)) && !cells.some(isPoint)
}

function isMostlyUtf8(bytes: Buffer): boolean {
  // The last character may be cut; a replacement character anywhere else is a byte that UTF-8 does not have.
  return !bytes.subarray(0, -4).toString('utf8').includes('\ufffd')
}

function notCsv(path: string): MillraceError {
  return new MillraceError('ERR_CSV_FILE', {
    fact: 'no rows can be made out in the file',
    action: 'operator',
    values: { file: path },
    next: 'is this a CSV file? its delimiter has to be one of , ; | and tab',
  })
}
