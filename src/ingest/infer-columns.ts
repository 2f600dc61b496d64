import { type FieldKind, wrongName } from '#schema/index.js'
import { inferTime, type InferredTime } from './infer-time.js'

/** What a column seems to hold. */
export interface InferredColumn {
  /** From 1. */
  readonly number: number
  /** As it stands in the header; empty without one. */
  readonly name: string
  /** The header gives it a name that no other column has. */
  readonly hasOwnName: boolean
  /** An identifier, unique in the file. */
  readonly field: string
  readonly unit: string | undefined
  readonly kind: FieldKind
  /** Some cells are empty. */
  readonly isOptional: boolean
  /** When it tells time. */
  readonly time: InferredTime | undefined
  /** Distinct values, at most DISTINCT_MAX of them. */
  readonly distinct: readonly string[]
  /** Why it is left out, if it is. */
  readonly skip: string | undefined
}

/** A text with more values than that is no label. */
const DISTINCT_MAX = 50
const LABEL_CHARACTERS_MAX = 100
const NAME_CHARACTERS_MAX = 64

export function inferColumns(
  header: readonly string[] | undefined,
  rows: readonly (readonly string[])[],
  decimal: '.' | ',',
): InferredColumn[] {
  const count = header?.length ?? rows[0]?.length ?? 0
  const taken = new Set<string>()
  return Array.from({ length: count }, (_, index) => {
    const name = header?.[index] ?? ''
    const { title, unit } = titleOf(name)
    const values = rows.map((row) => row[index] ?? '')
    const filled = values.filter((value) => value.trim() !== '')
    const distinct = new Set<string>()
    for (const value of filled) if (distinct.size <= DISTINCT_MAX) distinct.add(value)
    const time = inferTime(title, values)
    return {
      number: index + 1,
      name,
      hasOwnName: name !== '' && header?.indexOf(name) === header?.lastIndexOf(name),
      field: uniqueField(title, index + 1, taken),
      unit,
      kind: time === undefined ? kindOf(filled, distinct, decimal) : 'time',
      isOptional: filled.length < values.length,
      time,
      distinct: [...distinct].slice(0, DISTINCT_MAX),
      skip: skipReason(name, header !== undefined, values, filled),
    }
  })
}

/** `Motor temp. [°C]` is a title and a unit; so is `Pressure (bar)`. */
function titleOf(name: string): { readonly title: string; readonly unit: string | undefined } {
  const match = /^(.*?)\s*[[(]\s*([^\])]{1,16}?)\s*[\])]\s*$/u.exec(name)
  return match === null || match[1] === '' ? { title: name, unit: undefined } : { title: match[1] as string, unit: match[2] }
}

/** The title as a JavaScript name in camel case. Letters of every script stay. */
function uniqueField(title: string, number: number, taken: Set<string>): string {
  const words = title
    .normalize('NFC')
    .replace(/(\p{Ll}|\d)(\p{Lu})/gu, '$1 $2')
    .replace(/(\p{Lu}+)(\p{Lu}\p{Ll})/gu, '$1 $2')
    .split(/[^\p{L}\p{Nd}]+/u)
    .filter((word) => word !== '')
    .map((word, index) => (index === 0 ? word.toLowerCase() : word.charAt(0).toUpperCase() + word.slice(1).toLowerCase()))
  let field = words.join('').slice(0, NAME_CHARACTERS_MAX - 5)
  if (field === '') field = `column${number}`
  if (wrongName(field) !== undefined) field = `column${field.charAt(0).toUpperCase()}${field.slice(1)}`
  if (wrongName(field) !== undefined) field = `column${number}`
  const base = field
  for (let suffix = 2; taken.has(field); suffix++) field = `${base}${suffix}`
  taken.add(field)
  return field
}

function kindOf(filled: readonly string[], distinct: ReadonlySet<string>, decimal: '.' | ','): FieldKind {
  const values = filled.map((value) => value.trim())
  if (values.length > 0 && values.every((value) => isNumber(value, decimal))) {
    if (!values.every((value) => /^[+-]?\d+$/.test(value))) return 'f64'
    // Codes such as 007 or 2^60 would not come out as they went in.
    if (values.some((value) => /^[+-]?0\d/.test(value) || !Number.isSafeInteger(Number(value)))) return textKind(values, distinct)
    return values.every((value) => Number(value) === (Number(value) | 0)) ? 'i32' : 'i64'
  }
  if (values.length > 0 && values.every((value) => /^(true|false|yes|no|on|off)$/i.test(value))) return 'bool'
  return textKind(values, distinct)
}

function isNumber(value: string, decimal: '.' | ','): boolean {
  const text = decimal === '.' ? value : value.replace(',', '.')
  return /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(text) || /^[+-]?(nan|inf|infinity)$/i.test(text)
}

/** Few values, each coming again, are a label. */
function textKind(values: readonly string[], distinct: ReadonlySet<string>): FieldKind {
  const isShort = values.every((value) => value.length <= LABEL_CHARACTERS_MAX)
  return isShort && distinct.size <= DISTINCT_MAX && (distinct.size <= 10 || distinct.size * 2 <= values.length) ? 'label' : 'text'
}

function skipReason(name: string, hasHeader: boolean, values: readonly string[], filled: readonly string[]): string | undefined {
  if (values.length > 0 && filled.length === 0) return 'it is empty'
  const first = Number(values[0])
  const isIndex =
    values.length > 1 &&
    (first === 0 || first === 1) &&
    values.every((value, row) => /^\d+$/.test(value.trim()) && Number(value) === first + row)
  if (hasHeader && isIndex && /^$|^(unnamed.*|index|idx|#|no\.?|row|row_?id|id)$/i.test(name.trim())) return 'it numbers the rows'
  return undefined
}
