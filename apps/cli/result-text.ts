import { exactJson } from '#base/exact-json.js'
import { isoMicros } from '#base/micros.js'
import type { ResultColumn } from '#journal/index.js'

type Values = readonly unknown[]

/** Digits of a number in a table; `--json` and `--csv` give all of them. */
const DIGITS_SHOWN = 9

/** A value as a person reads it: times as ISO 8601, numbers in nine digits, nothing for what is not there. */
export function cellText(value: unknown, column: ResultColumn): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'number') {
    if (column.kind === 'time') return isoMicros(value)
    if (Object.is(value, -0)) return '-0'
    return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(DIGITS_SHOWN)))
  }
  if (typeof value === 'string') return printable(value)
  return exactJson(value)
}

/** One row as a line of JSON, every double as it is. */
export function jsonText(values: Values, columns: readonly ResultColumn[]): string {
  const row: Record<string, unknown> = {}
  for (const [index, column] of columns.entries()) {
    const value = values[index]
    row[column.name] = column.kind === 'time' && typeof value === 'number' ? isoMicros(value) : value
  }
  return exactJson(row)
}

/** One row as a line of CSV as RFC 4180 has it; the header with `columns` alone. */
export function csvText(columns: readonly ResultColumn[], values?: Values): string {
  return columns
    .map((column, index) => {
      const text = values === undefined ? column.name : exactText(values[index], column)
      return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
    })
    .join(',')
}

function exactText(value: unknown, column: ResultColumn): string {
  if (value === undefined || value === null) return ''
  if (typeof value === 'string') return value
  if (typeof value !== 'number') return exactJson(value)
  return column.kind === 'time' ? isoMicros(value) : Object.is(value, -0) ? '-0' : String(value)
}

/** What a terminal would take for a command is shown as JSON has it. */
function printable(text: string): string {
  return /[\u0000-\u001f\u007f-\u009f]/.test(text) ? JSON.stringify(text) : text
}

const BARS = '▁▂▃▄▅▆▇█'

/** One bar per number, from the lowest to the highest; a blank for what is no number. */
export function bars(values: readonly unknown[]): string[] {
  const numbers = values.filter((value): value is number => typeof value === 'number' && Number.isFinite(value))
  const low = Math.min(...numbers)
  const range = Math.max(...numbers) - low
  return values.map((value) => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return ' '
    return BARS[range === 0 ? 0 : Math.min(BARS.length - 1, Math.floor(((value - low) / range) * BARS.length))] as string
  })
}
