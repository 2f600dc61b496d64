import type { EntityId } from '#base/ids.js'
import type { Row } from '#journal/index.js'

/** Which rows somebody wants: all conditions hold. Plain JSON, so that it crosses processes. */
export interface RowSelection {
  /** An entity, a pattern with `*` such as `press/*`, or several of these. */
  readonly entity?: string | readonly string[]
  /** An event name, or several. */
  readonly event?: string | readonly string[]
  /** Also rows of commands that stored no event, unless events are named. */
  readonly receipts?: boolean
}

/** A selection made ready: the part that the log can answer by itself, and the test for the rest. */
export interface CompiledSelection {
  /** Narrows what is read; `matches` holds for what the log gives under it, or not. */
  readonly range: { readonly entity?: EntityId; readonly event?: string }
  matches(row: Row): boolean
}

export function compileSelection(selection: RowSelection): CompiledSelection {
  const entities = listOf(selection.entity)
  const events = listOf(selection.event)
  const [entity] = entities ?? []
  const [event] = events ?? []
  const wanted = events === undefined ? undefined : new Set(events)
  const matchesEntity = entities === undefined ? () => true : entityTest(entities)
  return {
    range: {
      ...(entities?.length === 1 && entity !== undefined && !entity.includes('*') ? { entity: entity as EntityId } : {}),
      ...(events?.length === 1 && event !== undefined ? { event } : {}),
    },
    matches: (row) => {
      if (row.event === undefined ? wanted !== undefined || selection.receipts !== true : wanted?.has(row.event) === false) return false
      return matchesEntity(row.entity)
    },
  }
}

function listOf(value: string | readonly string[] | undefined): readonly string[] | undefined {
  return typeof value === 'string' ? [value] : value
}

/** Entities come again and again, so the answer for each of the newest ones is kept. */
function entityTest(patterns: readonly string[]): (entity: string) => boolean {
  const names = new Set(patterns.filter((pattern) => !pattern.includes('*')))
  const expressions = patterns.filter((pattern) => pattern.includes('*')).map(expressionOf)
  if (expressions.length === 0) return (entity) => names.has(entity)
  const known = new Map<string, boolean>()
  return (entity) => {
    const answer = known.get(entity)
    if (answer !== undefined) return answer
    const found = names.has(entity) || expressions.some((expression) => expression.test(entity))
    if (known.size >= KNOWN_MAX) known.clear()
    known.set(entity, found)
    return found
  }
}

const KNOWN_MAX = 100_000

function expressionOf(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${parts.join('.*')}$`, 'u')
}
