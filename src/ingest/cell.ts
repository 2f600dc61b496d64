import type { FieldFrom } from './ingest-map.js'
import type { TimeReader } from './time-format.js'

/** A cell that has no value of its kind: `reason` is for a person, `cannot read ... as`. */
export class BadCell {
  readonly reason: string
  constructor(reason: string) {
    this.reason = reason
  }
}

/** Text of a CSV cell to a value of a field; undefined: empty, and the field is optional. */
export type CellReader = (text: string) => unknown

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const INTEGER = /^[+-]?\d+(?:\.0*)?$/
const SPECIAL: Readonly<Record<string, number>> = { nan: Number.NaN, inf: Infinity, infinity: Infinity }
const YES: Readonly<Record<string, boolean>> = {
  true: true,
  yes: true,
  on: true,
  '1': true,
  '1.0': true,
  false: false,
  no: false,
  off: false,
  '0': false,
  '0.0': false,
}

/** Reads the cells of one field. Numbers are read exactly: the nearest double of the decimal text, scaled only where the map says so. */
export function cellReader(field: FieldFrom, decimal: '.' | ',', readTime: TimeReader): CellReader {
  const read = valueReader(field, decimal, readTime)
  if (field.kind === 'text' || field.kind === 'label') return (text) => (text === '' && field.isOptional ? undefined : read(text))
  const empty = field.isOptional ? undefined : new BadCell('is empty')
  return (text) => {
    const trimmed = text.trim()
    return trimmed === '' ? empty : read(trimmed)
  }
}

function valueReader(field: FieldFrom, decimal: '.' | ',', readTime: TimeReader): CellReader {
  switch (field.kind) {
    case 'f64':
    case 'f32':
      return (text) => scaled(readNumber(decimal === '.' ? text : text.replace(',', '.')), field)
    case 'i32':
    case 'i64':
      return (text) =>
        whole(
          INTEGER.test(text) ? scaled(Number(text), field) : new BadCell(`is not a whole number: ${quoted(text)}`),
          field.kind === 'i32',
        )
    case 'bool':
      return (text) => YES[text.toLowerCase()] ?? new BadCell(`is not true or false: ${quoted(text)}`)
    case 'time':
      return (text) => {
        const micros = readTime(text)
        return typeof micros === 'string' ? new BadCell(`is ${micros}: ${quoted(text)}`) : micros
      }
    case 'json':
      return (text) => {
        try {
          return JSON.parse(text) as unknown
        } catch {
          return new BadCell(`is not JSON: ${quoted(text)}`)
        }
      }
    case 'label':
    case 'text':
      return (text) => text
  }
}

/** A value found in a JSON message, read as the field's kind. Text is read as a cell, so that `"12.5"` is a number where one is wanted. */
export function jsonReader(field: FieldFrom, readTime: TimeReader): (value: unknown) => unknown {
  const readText = cellReader(field, '.', readTime)
  const isNumber = field.kind === 'f64' || field.kind === 'f32'
  return (value) => {
    if (value === undefined || value === null) {
      if (field.kind === 'json' && value === null) return null
      return field.isOptional ? undefined : new BadCell('is missing')
    }
    if (field.kind === 'json') return value
    if (typeof value === 'string') return readText(value)
    if (typeof value === 'boolean') return field.kind === 'bool' ? value : new BadCell('is true or false, not what is wanted')
    if (typeof value !== 'number') return new BadCell(Array.isArray(value) ? 'is a list' : 'is an object')
    if (isNumber) return scaled(value, field)
    return readText(Number.isSafeInteger(value) ? value.toFixed(0) : String(value))
  }
}

function readNumber(text: string): number | BadCell {
  // A decimal is far more common than anything else, and Number() takes hexadecimal and the empty text too: so the pattern comes first.
  if (DECIMAL.test(text)) return Number(text)
  const sign = text.startsWith('-') ? -1 : 1
  const special = SPECIAL[text.replace(/^[+-]/, '').toLowerCase()]
  return special === undefined ? new BadCell(`is not a number: ${quoted(text)}`) : special * sign
}

function scaled(value: number | BadCell, field: FieldFrom): number | BadCell {
  return value instanceof BadCell || (field.scale === 1 && field.offset === 0) ? value : value * field.scale + field.offset
}

function whole(value: number | BadCell, is32: boolean): number | BadCell {
  if (value instanceof BadCell) return value
  if (!Number.isInteger(value)) return new BadCell(`is not a whole number after scaling: ${value}`)
  const isInRange = is32 ? value === (value | 0) : Number.isSafeInteger(value)
  return isInRange ? value + 0 : new BadCell(`is beyond ${is32 ? '32 bits' : 'what a number holds exactly'}: ${value}`)
}

/** Cells may be large: a message shows the beginning. */
function quoted(text: string): string {
  return `'${text.length > 40 ? `${text.slice(0, 40)}…` : text}'`
}
