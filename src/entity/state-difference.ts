import { inspect } from 'node:util'
import { encodeCanonical } from './canonical.js'

/** Where two states differ, such as `state.alarms`, and how, as a person reads it. */
export interface StateDifference {
  readonly path: string
  readonly expected: string
  readonly got: string
}

const SHOWN = { depth: 4, breakLength: 100, maxStringLength: 200 }

/** Where two states differ, by path, at most `countMax` places. Both are plain data; undefined stands for a state that there is not. */
export function stateDifferences(expected: unknown, got: unknown, countMax: number): StateDifference[] {
  const found: StateDifference[] = []
  collect('state', expected, got, found, countMax)
  return found
}

function collect(path: string, expected: unknown, got: unknown, found: StateDifference[], countMax: number): void {
  if (found.length >= countMax) return
  if (isRecord(expected) && isRecord(got)) {
    const keys = [...new Set([...Object.keys(expected), ...Object.keys(got)])].sort()
    const different = keys.filter((one) => isDifferent(expected[one], got[one]))
    for (const key of different) {
      collect(Array.isArray(expected) ? `${path}[${key}]` : `${path}.${key}`, expected[key], got[key], found, countMax)
    }
    if (different.length > 0) return
  }
  found.push({ path, expected: inspect(expected, SHOWN), got: inspect(got, SHOWN) })
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !(value instanceof Map || value instanceof Set || value instanceof Date || value instanceof Uint8Array)
  )
}

function isDifferent(one: unknown, other: unknown): boolean {
  return Buffer.compare(encodeCanonical(one), encodeCanonical(other)) !== 0
}
