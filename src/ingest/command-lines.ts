import { messageOf } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import type { IngestCommand } from './door.js'
import { LocalTime } from './local-time.js'
import { timeReader } from './time-format.js'

/** What is wrong with one command of a body, by its line from 1; in an array, by its place from 1. */
export interface WrongLine {
  readonly line: number
  readonly error: string
}

/** The commands of a body, each with its line. */
export interface ParsedCommands {
  readonly commands: readonly IngestCommand[]
  readonly lines: readonly number[]
}

/**
 * The commands of an HTTP body: JSON lines, or one JSON array. Each is `{entity, command, data, at?, correlation?}`, `at` as ISO 8601 with an offset or as
 * microseconds since 1970. With a source, the sequence counts on from that of the first.
 */
export function parseCommands(body: string, source: string, firstSequence: number): ParsedCommands | WrongLine {
  const items = /^\s*\[/.test(body) ? parseArray(body) : parseLines(body)
  if (!Array.isArray(items)) return items
  const commands: IngestCommand[] = []
  for (const { line, value } of items) {
    const command = commandOf(value, source, firstSequence + commands.length)
    if (typeof command === 'string') return { line, error: command }
    commands.push(command)
  }
  if (commands.length === 0) return { line: 1, error: 'the body has no command' }
  if (!Number.isSafeInteger(firstSequence + commands.length)) return { line: 1, error: 'Millrace-Sequence: it counts beyond 2^53' }
  return { commands, lines: items.map(({ line }) => line) }
}

interface Item {
  readonly line: number
  readonly value: unknown
}

function parseArray(body: string): Item[] | WrongLine {
  try {
    return (JSON.parse(body) as unknown[]).map((value, index) => ({ line: index + 1, value }))
  } catch (error) {
    return { line: 1, error: `not JSON: ${messageOf(error)}` }
  }
}

function parseLines(body: string): Item[] | WrongLine {
  const items: Item[] = []
  for (const [index, text] of body.split('\n').entries()) {
    if (text.trim() === '') continue
    try {
      items.push({ line: index + 1, value: JSON.parse(text) })
    } catch (error) {
      return { line: index + 1, error: `not JSON: ${messageOf(error)}` }
    }
  }
  return items
}

const KEYS: ReadonlySet<string> = new Set(['entity', 'command', 'data', 'at', 'correlation'])

function commandOf(value: unknown, source: string, sequence: number): IngestCommand | string {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'expected an object with entity, command and data'
  const { entity, command, data = {}, at, correlation } = value as Record<string, unknown>
  const unknown = Object.keys(value).find((key) => !KEYS.has(key))
  if (unknown !== undefined) return `unknown key ${unknown.slice(0, 100)}; there are ${[...KEYS].join(', ')}`
  if (typeof entity !== 'string') return 'entity: expected a text such as press/press-1'
  if (typeof command !== 'string') return 'command: expected the name of a command'
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return 'data: expected an object'
  const endless = Object.entries(data).find(([, field]) => field === Infinity || field === -Infinity)
  if (endless !== undefined) return `${endless[0]}: larger than any number that is kept`
  if (correlation !== undefined && typeof correlation !== 'string') return 'correlation: expected a text'
  const micros = microsOf(at)
  if (typeof micros === 'string') return micros
  const envelope = { source, sequence, entity: entity as EntityId, command, data: data as Record<string, unknown>, at: micros }
  return correlation === undefined ? envelope : { ...envelope, correlation }
}

const MICROS_MAX = 8.64e15
const WITH_OFFSET = /^\d{4}-\d\d-\d\dT.*(?:Z|[+-]\d\d:?\d\d)$/
const readIso = timeReader('iso', new LocalTime('UTC', 'reject', 'reject'))

function microsOf(at: unknown): number | undefined | string {
  if (at === undefined || at === null) return undefined
  const micros = typeof at === 'string' && WITH_OFFSET.test(at) ? readIso(at) : at
  if (typeof micros === 'number' && Number.isSafeInteger(micros) && Math.abs(micros) <= MICROS_MAX) return micros
  return 'at: expected a time such as 2026-01-31T12:00:00Z, or whole microseconds since 1970'
}
