import { type EntityId, parseEntityId } from '#base/ids.js'
import type { Row, RowRange } from '#journal/index.js'
import { isOutboxEvent } from '#schema/index.js'

/** Which rows somebody wants: all conditions hold. Plain JSON, so that it crosses processes. */
export interface RowSelection {
  /** An entity, a pattern with `*` such as `press/*`, or several of these. */
  readonly entity?: string | readonly string[]
  /** An event name such as `Sampled` or `press.Sampled`, or several. */
  readonly event?: string | readonly string[]
  /** Also rows of commands that stored no event, and of what entities told, unless events are named. */
  readonly receipts?: boolean
}

/** Throws ERR_ENTITY_ID for a name that is neither an entity nor a pattern: it would select nothing, for ever. */
export function checkSelection({ entity }: RowSelection): void {
  for (const name of listOf(entity) ?? []) if (!name.includes('*')) parseEntityId(name)
}

/** A selection made ready: what of the log is read for it, and the test for the rest. */
export interface CompiledSelection {
  readonly range: Pick<RowRange, 'entity' | 'entities' | 'event'>
  /** For each row that was read: one without an event is left out unless it is wanted. */
  matches(row: Row): boolean
}

export function compileSelection(selection: RowSelection): CompiledSelection {
  const entities = listOf(selection.entity)
  const event = listOf(selection.event)
  const [entity] = entities ?? []
  const isOne = entities?.length === 1 && entity !== undefined && !entity.includes('*')
  return {
    range: {
      ...(isOne ? { entity: entity as EntityId } : entities === undefined ? {} : { entities: entityTest(entities) }),
      ...(event === undefined ? {} : { event }),
    },
    matches: (row) => selection.receipts === true || (row.event !== undefined && (event !== undefined || !isOutboxEvent(row.event))),
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
