import { MillraceError } from '#base/errors.js'
import type { ZoneMap } from '#journal/columns/zone-map.js'

export const OPERATORS = ['=', '!=', '<', '<=', '>', '>='] as const
export type Operator = (typeof OPERATORS)[number]

/** One comparison as it was written; what its words mean depends on the columns that there are. */
export interface Comparison {
  readonly text: string
  readonly column: string
  readonly operator: Operator
  readonly literal: string
  readonly isQuoted: boolean
}

const NAME = /^\s*(?<name>[^\s=!<>'"]+)/u
const OPERATOR = /^\s*(?<operator>[=!<>~]+)/

/** Takes `temperature > 90` apart. Throws ERR_QUERY that says where it stopped making sense. */
export function parseComparison(text: string): Comparison {
  const name = NAME.exec(text)
  if (name === null) throw wrongWhere(text, 0, 'it does not begin with the name of a column')
  const afterName = name[0].length
  const operator = OPERATOR.exec(text.slice(afterName))
  const afterOperator = afterName + (operator?.[0].length ?? 0)
  const sign = operator?.groups?.['operator'] ?? ''
  if (operator === null || !(OPERATORS as readonly string[]).includes(sign)) {
    const how = operator === null ? 'there is no comparison' : `${sign} is no comparison${sign === '==' ? ', say =' : ''}`
    throw wrongWhere(text, afterName, `${how} behind ${name.groups?.['name'] ?? ''}`)
  }
  const rest = text.slice(afterOperator).trim()
  if (rest === '') throw wrongWhere(text, text.length, 'there is nothing to compare with')
  const quote = rest[0]
  if (quote !== '"' && quote !== "'")
    return { text, column: name.groups?.['name'] ?? '', operator: sign as Operator, literal: rest, isQuoted: false }
  const literal = unquoted(rest, quote)
  if (literal === undefined) throw wrongWhere(text, text.indexOf(quote, afterOperator), `the text is not closed by ${quote}`)
  return { text, column: name.groups?.['name'] ?? '', operator: sign as Operator, literal, isQuoted: true }
}

/** What stands between quotes; a backslash keeps the character behind it from ending the text. */
function unquoted(text: string, quote: string): string | undefined {
  let inner = ''
  for (let index = 1; index < text.length; index++) {
    const character = text[index] as string
    if (character === quote) return index === text.length - 1 ? inner : undefined
    if (character === '\\' && index + 1 < text.length) inner += text[++index] as string
    else inner += character
  }
  return undefined
}

function wrongWhere(text: string, at: number, what: string): MillraceError {
  return new MillraceError('ERR_QUERY', {
    fact: `a comparison cannot be read: ${what}`,
    action: 'operator',
    values: { where: text, character: at + 1 },
    next: "write a column, one of = != < <= > >=, and a value: 'temperature > 90', 'code = OVERHEAT'",
  })
}

/** Whether `left operator right` holds. NaN matches `!=` only, -0 and 0 are the same, text compares by UTF-16 code unit. */
export function holds<T extends number | string>(left: T, operator: Operator, right: T): boolean {
  switch (operator) {
    case '=':
      return left === right
    case '!=':
      return left !== right
    case '<':
      return left < right
    case '<=':
      return left <= right
    case '>':
      return left > right
    case '>=':
      return left >= right
  }
}

/** Whether a value of the chunk may match. No false negatives: what the zone map leaves out, NaN, matches `!=` only. */
export function mayMatch(zone: ZoneMap, operator: Operator, value: number): boolean {
  switch (operator) {
    case '!=':
      return true
    case '=':
      return zone.count > 0 && zone.min <= value && value <= zone.max
    case '<':
      return zone.count > 0 && zone.min < value
    case '<=':
      return zone.count > 0 && zone.min <= value
    case '>':
      return zone.count > 0 && zone.max > value
    case '>=':
      return zone.count > 0 && zone.max >= value
  }
}

/** Whether each of `count` values matches, as far as their zone map tells: false when it cannot tell, such as of values that may be NaN. */
export function surelyMatch(zone: ZoneMap, operator: Operator, value: number, count: number): boolean {
  if (zone.count < count) return false
  switch (operator) {
    case '=':
      return zone.min === value && zone.max === value
    case '!=':
      return value < zone.min || value > zone.max
    case '<':
      return zone.max < value
    case '<=':
      return zone.max <= value
    case '>':
      return zone.min > value
    case '>=':
      return zone.min >= value
  }
}

/** Keeps those of the first `count` picks whose value matches, in place, and answers how many. `values` is asked at `at[pick]`, or at the pick itself. */
export function keepMatching(
  values: Float64Array,
  operator: Operator,
  value: number,
  picks: Uint32Array,
  count: number,
  at: Uint32Array | undefined,
): number {
  let kept = 0
  for (let index = 0; index < count; index++) {
    const pick = picks[index] as number
    const left = values[at === undefined ? pick : (at[pick] as number)] as number
    let isMatch: boolean
    if (operator === '>') isMatch = left > value
    else if (operator === '<') isMatch = left < value
    else if (operator === '>=') isMatch = left >= value
    else if (operator === '<=') isMatch = left <= value
    else if (operator === '=') isMatch = left === value
    else isMatch = left !== value
    if (isMatch) picks[kept++] = pick
  }
  return kept
}
