import { isAscii, isUtf8 } from 'node:buffer'
import { parse } from 'csv-parse/sync'
import { assert } from '#base/assert.js'
import type { CsvLayout } from './ingest-map.js'

/** One row of a CSV file as it stands there. */
export interface RawRecord {
  /** Without its line end; of a bad one the beginning, at most RAW_CHARACTERS_MAX. */
  readonly text: string
  /** Of its first line, from 1. */
  readonly line: number
  /** How many line ends it has, its own included: 0 for a last line without one. */
  readonly lines: number
  /** Byte offset behind it and its line end, in the unpacked file. */
  readonly end: number
  /** Its cells, when it has quotes; otherwise `text` split at the delimiter gives them. */
  readonly cells: readonly string[] | undefined
  /** Why it cannot be taken. */
  readonly problem: string | undefined
}

export interface SplitterOptions {
  readonly layout: CsvLayout
  /** Longer records are answered one by one and left out. */
  readonly recordBytesMax: number
  /** Where `push` begins, for a file that is taken up again. */
  readonly offset: number
  readonly line: number
  /** Known from the header: a quoted record over several lines with another count is a quote that was never closed. */
  readonly columnCount: number | undefined
}

export const RAW_CHARACTERS_MAX = 200

const NEWLINE = 0x0a
const RETURN = 0x0d

/** How far a quoted record goes: `end` is behind its last byte and before its line end; `unclosed` needs more bytes, or is a mistake at the end. */
type Extent = { readonly end: number; readonly next: number } | 'unclosed' | 'malformed'

/**
 * Cuts bytes into CSV records, whatever they hold: a record that is too long, not UTF-8, or whose quote never closes is answered with what is
 * wrong with it, and the next line is a record again. A quote that swallows lines is found by the next quote that does not fit, by the count
 * of columns, by whole rows inside a cell, by `recordBytesMax` or by the end of the file; then its first line alone is bad. Rows without quotes, nearly all of them, are cut
 * by searching the line end; csv-parse takes apart those with quotes.
 */
export class RecordSplitter {
  readonly #options: SplitterOptions
  readonly #quote: number
  readonly #delimiter: number
  #rest: Buffer = Buffer.alloc(0)
  /** Offset of `#rest` in the file, and the line it begins. */
  #offset: number
  #line: number
  /** A line that is longer than allowed and has not ended yet. */
  #long: { readonly text: string; bytes: number } | undefined

  constructor(options: SplitterOptions) {
    this.#options = options
    this.#quote = options.layout.quote === '' ? -1 : options.layout.quote.charCodeAt(0)
    this.#delimiter = options.layout.delimiter.charCodeAt(0)
    this.#offset = options.offset
    this.#line = options.line
  }

  /** The records that end in these bytes or before. `bytes` is kept until the next call. */
  push(bytes: Buffer): RawRecord[] {
    const records: RawRecord[] = []
    const data = this.#long === undefined ? this.#joined(bytes) : this.#skipLong(bytes, records)
    if (data !== undefined) this.#split(data, records, false)
    return records
  }

  /** The records of what is left: a last line without an end, and lines behind an open quote. */
  end(): RawRecord[] {
    const records: RawRecord[] = []
    if (this.#long !== undefined) {
      records.push(this.#endLong(this.#long, 0))
      this.#long = undefined
    } else if (this.#rest.length > 0) this.#split(this.#rest, records, true)
    this.#rest = Buffer.alloc(0)
    return records
  }

  #joined(bytes: Buffer): Buffer {
    return this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes])
  }

  #split(data: Buffer, records: RawRecord[], isFinal: boolean): void {
    const lastNewline = data.lastIndexOf(NEWLINE)
    let at = 0
    const hasQuote = this.#quote >= 0 && data.includes(this.#quote)
    if (!hasQuote && lastNewline >= 0 && lastNewline < this.#options.recordBytesMax && isAscii(data.subarray(0, lastNewline + 1))) {
      at = this.#splitAscii(data.toString('latin1', 0, lastNewline + 1), records)
    }
    while (at < data.length) {
      const next = this.#takeOne(data, at, records, isFinal)
      if (next < 0) break
      at = next
    }
    this.#rest = data.subarray(at)
    this.#offset += at
  }

  /** Lines of a text without quotes and with one byte a character, in which each line has its end. */
  #splitAscii(text: string, records: RawRecord[]): number {
    let at = 0
    for (let newline = text.indexOf('\n'); newline >= 0; newline = text.indexOf('\n', at)) {
      const stop = newline > at && text.charCodeAt(newline - 1) === RETURN ? newline - 1 : newline
      if (stop > at) {
        const end = this.#offset + newline + 1
        records.push({ text: text.slice(at, stop), line: this.#line, lines: 1, end, cells: undefined, problem: undefined })
      }
      this.#line++
      at = newline + 1
    }
    return at
  }

  /** Takes the record at `at` and says where the next one begins, or -1 when more bytes are needed. */
  #takeOne(data: Buffer, at: number, records: RawRecord[], isFinal: boolean): number {
    const newline = data.indexOf(NEWLINE, at)
    const stop = newline < 0 ? data.length : newline
    const { recordBytesMax } = this.#options
    if (newline < 0 && !isFinal) {
      if (data.length - at <= recordBytesMax) return -1
      this.#long = { text: rawText(data.subarray(at)), bytes: data.length - at }
      return data.length
    }
    const nextLine = newline < 0 ? data.length : newline + 1
    const lineEnd = stop > at && data[stop - 1] === RETURN ? stop - 1 : stop
    if (lineEnd === at) return this.#pass(nextLine, 1)
    const firstQuote = this.#quote < 0 ? -1 : data.indexOf(this.#quote, at)
    if (firstQuote < 0 || firstQuote >= lineEnd || !this.#opensQuote(data, at, lineEnd)) {
      records.push(this.#record(data, at, lineEnd, nextLine, stop - at > recordBytesMax ? tooLong(stop - at, recordBytesMax) : undefined))
      return this.#pass(nextLine, 1)
    }
    return this.#takeQuoted(data, at, lineEnd, nextLine, records, isFinal)
  }

  #takeQuoted(data: Buffer, at: number, lineEnd: number, nextLine: number, records: RawRecord[], isFinal: boolean): number {
    const extent = this.#extentOf(data, at, isFinal)
    const isWithin = data.length - at <= this.#options.recordBytesMax
    if (extent === 'unclosed' && !isFinal && isWithin) return -1
    if (typeof extent === 'object' && extent.next - at <= this.#options.recordBytesMax) {
      const lines = countNewlines(data, at, extent.next)
      const cells = this.#cellsOf(data, at, extent.end)
      const isRight = lines <= 1 || (typeof cells === 'object' && !this.#hasSwallowedRows(data, at, extent.end, cells.length))
      if (isRight) {
        const record = this.#record(data, at, extent.end, extent.next, typeof cells === 'string' ? cells : undefined)
        records.push(typeof cells === 'string' || record.problem !== undefined ? record : { ...record, cells })
        return this.#pass(extent.next, lines)
      }
    }
    const lineBytes = nextLine - at - (data[nextLine - 1] === NEWLINE ? 1 : 0)
    const { recordBytesMax } = this.#options
    records.push(this.#record(data, at, lineEnd, nextLine, lineBytes > recordBytesMax ? tooLong(lineBytes, recordBytesMax) : UNBALANCED))
    return this.#pass(nextLine, 1)
  }

  /** A record over several lines of which one more looks like a whole row: its quote was left open, and a later one happens to close it. */
  #hasSwallowedRows(data: Buffer, at: number, end: number, cellCount: number): boolean {
    const { columnCount, layout } = this.#options
    if (columnCount === undefined) return false
    if (cellCount !== columnCount) return true
    const [, ...others] = data.toString('latin1', at, end).split('\n')
    return columnCount > 1 && others.some((line) => line.split(layout.delimiter).length === columnCount)
  }

  /** A quote opens a cell only as its first character; elsewhere it is a character like any other. */
  #opensQuote(data: Buffer, at: number, lineEnd: number): boolean {
    if (data[at] === this.#quote) return true
    for (let quote = data.indexOf(this.#quote, at); quote >= 0 && quote < lineEnd; quote = data.indexOf(this.#quote, quote + 1)) {
      if (data[quote - 1] === this.#delimiter) return true
    }
    return false
  }

  #extentOf(data: Buffer, start: number, isFinal: boolean): Extent {
    let at = start
    for (;;) {
      if (data[at] === this.#quote) {
        const close = this.#closingQuote(data, at + 1)
        if (close < 0) return 'unclosed'
        at = close + 1
        if (at >= data.length) return isFinal ? { end: at, next: at } : 'unclosed'
        if (data[at] === RETURN && (data[at + 1] === NEWLINE || at + 1 === data.length)) {
          if (at + 1 < data.length) return { end: at, next: at + 2 }
          return isFinal ? { end: at, next: at + 1 } : 'unclosed'
        }
        if (data[at] === NEWLINE) return { end: at, next: at + 1 }
        if (data[at] !== this.#delimiter) return 'malformed'
        at++
        continue
      }
      const delimiter = data.indexOf(this.#delimiter, at)
      const newline = data.indexOf(NEWLINE, at)
      if (delimiter >= 0 && (newline < 0 || delimiter < newline)) {
        at = delimiter + 1
        continue
      }
      if (newline < 0) return isFinal ? { end: data.length, next: data.length } : 'unclosed'
      return { end: newline > start && data[newline - 1] === RETURN ? newline - 1 : newline, next: newline + 1 }
    }
  }

  #closingQuote(data: Buffer, from: number): number {
    let quote = data.indexOf(this.#quote, from)
    while (quote >= 0 && data[quote + 1] === this.#quote) quote = data.indexOf(this.#quote, quote + 2)
    return quote
  }

  #cellsOf(data: Buffer, at: number, end: number): string[] | string {
    const { delimiter, quote, encoding } = this.#options.layout
    try {
      const text = data.toString(encoding === 'latin1' ? 'latin1' : 'utf8', at, end)
      const [cells] = parse(text, { delimiter, quote, escape: quote, relax_column_count: true })
      return cells ?? 'a row without cells'
    } catch (error) {
      return `its quotes do not fit: ${(error as Error).message.split(':')[0]}`
    }
  }

  #record(data: Buffer, at: number, end: number, next: number, problem: string | undefined): RawRecord {
    const bytes = data.subarray(at, end)
    const isLatin1 = this.#options.layout.encoding === 'latin1'
    const wrong = problem ?? (isLatin1 || isUtf8(bytes) ? undefined : NOT_UTF8)
    const text = wrong !== undefined ? rawText(bytes) : bytes.toString(isLatin1 ? 'latin1' : 'utf8')
    return { text, line: this.#line, lines: countNewlines(data, at, next), end: this.#offset + next, cells: undefined, problem: wrong }
  }

  #pass(next: number, lines: number): number {
    this.#line += lines
    return next
  }

  /** Goes on dropping a line that is too long. The answer is what follows it, or undefined when it has not ended. */
  #skipLong(bytes: Buffer, records: RawRecord[]): Buffer | undefined {
    const long = this.#long
    assert(long !== undefined, 'a long line is being skipped')
    const newline = bytes.indexOf(NEWLINE)
    long.bytes += newline < 0 ? bytes.length : newline
    this.#offset += newline < 0 ? bytes.length : newline + 1
    if (newline < 0) return undefined
    records.push(this.#endLong(long, 1))
    this.#long = undefined
    this.#line++
    return bytes.subarray(newline + 1)
  }

  #endLong(long: { readonly text: string; readonly bytes: number }, lines: number): RawRecord {
    return {
      text: long.text,
      line: this.#line,
      lines,
      end: this.#offset,
      cells: undefined,
      problem: tooLong(long.bytes, this.#options.recordBytesMax),
    }
  }
}

const UNBALANCED = 'a quote is opened in this line and never closed'
const NOT_UTF8 = 'not valid UTF-8; is the file in another encoding?'

function tooLong(bytes: number, max: number): string {
  return `the row has ${bytes} bytes, more than the ${max} allowed`
}

function rawText(bytes: Buffer): string {
  return bytes.toString('utf8', 0, RAW_CHARACTERS_MAX * 4).slice(0, RAW_CHARACTERS_MAX)
}

function countNewlines(data: Buffer, from: number, to: number): number {
  let count = 0
  for (let at = data.indexOf(NEWLINE, from); at >= 0 && at < to; at = data.indexOf(NEWLINE, at + 1)) count++
  return count
}
