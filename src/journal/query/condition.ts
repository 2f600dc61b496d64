import { parseMicros } from '#base/micros.js'
import type { EventType } from '#journal/journal.js'
import type { FieldSchema } from '#schema/index.js'
import { type ColumnRef, classOf, columnOf, queryError, type SharedName, sharedColumn, type ValueClass } from './columns.js'
import { type Comparison, holds, type Operator, parseComparison } from './comparison.js'

/** A comparison whose column and value are known. Bools compare as 0 and 1. */
export interface Condition {
  /** As it was written, for people. */
  readonly text: string
  readonly column: ColumnRef
  readonly operator: Operator
  readonly value: number | string
}

/** Reads a comparison among these event types. Throws ERR_QUERY. */
export function conditionOf(text: string, types: readonly EventType[]): Condition {
  const comparison = parseComparison(text)
  const column = columnOf(comparison.column, 'where', types)
  const valueClass = classOf(column, 'where', types)
  if (comparison.operator !== '=' && comparison.operator !== '!=' && valueClass === 'bool')
    throw wrongValue(comparison, column, 'is true or false and has no order', 'compare it with = or !=')
  return { text: text.trim(), column, operator: comparison.operator, value: valueOf(comparison, column, valueClass) }
}

/** A bound of the query as a condition on a shared column. */
export function boundOf(name: SharedName, operator: Operator, value: number, text: string): Condition {
  return { text, column: sharedColumn(name), operator, value }
}

/** What a value of this field is compared with: f32 values were rounded when they were stored, so the other side is too. */
export function numberFor(condition: Condition, field: FieldSchema | undefined): number {
  return field?.kind === 'f32' ? Math.fround(condition.value as number) : (condition.value as number)
}

/** Whether a value as an event has it, absent as undefined, matches. */
export function matches(condition: Condition, value: unknown, field: FieldSchema | undefined): boolean {
  if (value === undefined) return false
  if (typeof condition.value === 'string') return holds(value as string, condition.operator, condition.value)
  return holds(Number(value), condition.operator, numberFor(condition, field))
}

function valueOf(comparison: Comparison, column: ColumnRef, valueClass: ValueClass): number | string {
  const { literal, isQuoted } = comparison
  switch (valueClass) {
    case 'text':
      checkOneOf(comparison, column)
      return literal
    case 'bool':
      if (literal !== 'true' && literal !== 'false') throw wrongValue(comparison, column, 'is true or false')
      return literal === 'true' ? 1 : 0
    case 'json':
      throw wrongValue(comparison, column, 'is JSON and cannot be compared', 'compare another column')
    case 'number': {
      if (column.valueKind === 'time') {
        const micros = parseMicros(literal)
        if (micros === undefined)
          throw wrongValue(comparison, column, 'is a time', 'write it as 2026-01-31T12:00:00Z or as microseconds since 1970')
        return micros
      }
      const value = /^[+-]?Infinity$/.test(literal) ? Number(literal) : /[0-9]/.test(literal) ? Number(literal) : Number.NaN
      if (isQuoted || Number.isNaN(value)) {
        const isMany = /\s(and|or)\s/i.test(literal)
        throw wrongValue(
          comparison,
          column,
          'is a number',
          isMany ? 'give each comparison a --where of its own' : 'compare it with a number, such as 90 or -1.5e3',
        )
      }
      return value
    }
  }
}

/** A misspelt code would silently match nothing. */
function checkOneOf(comparison: Comparison, column: ColumnRef): void {
  if (column.kind === 'shared') return
  const known = column.fields.flatMap(({ oneOf }) => oneOf ?? [])
  if (column.fields.some(({ oneOf }) => oneOf === undefined) || known.includes(comparison.literal)) return
  if (comparison.operator !== '=' && comparison.operator !== '!=') return
  throw wrongValue(comparison, column, `is never ${JSON.stringify(comparison.literal)}`, `it is one of ${[...new Set(known)].join(', ')}`)
}

function wrongValue({ text, literal }: Comparison, { name }: ColumnRef, what: string, next?: string): Error {
  const at = text.lastIndexOf(literal)
  return queryError(
    `a comparison does not fit its column: ${name} ${what}`,
    { where: text, character: (at < 0 ? 0 : at) + 1 },
    next ?? `compare it with another value`,
  )
}
