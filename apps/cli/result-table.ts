import type { ResultColumn } from '#journal/index.js'
import type { Output } from './output.js'
import { bars, cellText } from './result-text.js'

/** Widths are those of the first rows; a later cell that is wider moves its line. */
const ROWS_MEASURED = 1000

/** Prints rows as they come under one head: numbers to the right, units beside the names, and a bar per row for the first aggregate of a time series. */
export class ResultTable {
  readonly #output: Output
  readonly #columns: readonly ResultColumn[]
  readonly #barColumn: number
  #first: (readonly unknown[])[] | undefined = []
  #widths: number[] = []

  /** `hasBars`: rows are time buckets, and stdout is a terminal. */
  constructor(output: Output, columns: readonly ResultColumn[], hasBars: boolean) {
    this.#output = output
    this.#columns = columns
    this.#barColumn = hasBars ? columns.findIndex(({ name, kind }) => name.endsWith(')') && isNumber(kind)) : -1
  }

  /** False when the reader is behind. */
  row(values: readonly unknown[]): boolean {
    if (this.#first === undefined) return this.#print(values, ' ')
    this.#first.push(values)
    return this.#first.length < ROWS_MEASURED ? true : this.#printFirst()
  }

  end(): void {
    if (this.#first !== undefined) this.#printFirst()
  }

  #printFirst(): boolean {
    const first = this.#first ?? []
    const titles = this.#columns.map(({ name, unit }) => (unit === undefined ? name : `${name} ${unit}`))
    this.#widths = this.#columns.map((column, index) =>
      first.reduce((width, values) => Math.max(width, cellText(values[index], column).length), titles[index]?.length ?? 0),
    )
    this.#first = undefined
    if (first.length > 0) this.#output.line(this.#output.tone('bold', this.#line(titles).trimEnd()))
    // Bars compare rows, so they stand only beside rows that are all here.
    const hasBars = this.#barColumn >= 0 && first.length > 1 && first.length < ROWS_MEASURED
    const shown = hasBars ? bars(first.map((values) => values[this.#barColumn])) : []
    let isReady = true
    for (const [index, values] of first.entries()) isReady = this.#print(values, shown[index] ?? '')
    return isReady
  }

  #print(values: readonly unknown[], bar: string): boolean {
    const cells = this.#columns.map((column, index) => cellText(values[index], column))
    return this.#output.line(`${this.#line(cells)}  ${bar}`.trimEnd())
  }

  #line(cells: readonly string[]): string {
    return cells
      .map((cell, index) =>
        isNumber(this.#columns[index]?.kind) ? cell.padStart(this.#widths[index] ?? 0) : cell.padEnd(this.#widths[index] ?? 0),
      )
      .join('  ')
  }
}

function isNumber(kind: ResultColumn['kind']): boolean {
  return kind === 'f64' || kind === 'f32' || kind === 'i32' || kind === 'i64'
}
