import { MillraceError } from '#base/errors.js'
import { parseMicros } from '#base/micros.js'
import type { Options } from './command.js'

/** A whole number from an option, or undefined when it is not given. Throws ERR_USAGE. */
export function numberOption(options: Options, name: string, min = 0): number | undefined {
  const text = options[name]
  if (typeof text !== 'string') return undefined
  const value = Number(text)
  if (text.trim() === '' || !Number.isSafeInteger(value) || value < min) {
    throw usageError(`not a whole number from ${min}`, { [`--${kebab(name)}`]: text })
  }
  return value
}

/** A place in the log: `beginning`, `end` or a position; undefined when it is not given. Throws ERR_USAGE. */
export function positionOption(options: Options, name: string): number | 'beginning' | 'end' | undefined {
  const text = options[name]
  if (typeof text !== 'string' || text === 'beginning' || text === 'end') return text as 'beginning' | 'end' | undefined
  if (/^\d+$/.test(text)) return numberOption(options, name)
  throw usageError('not a place in the log', { [`--${kebab(name)}`]: text }, 'use beginning, end or a position')
}

/** A time as microseconds since 1970: ISO 8601 down to the microsecond, or a number of microseconds. */
export function timeOption(options: Options, name: string): number | undefined {
  const text = options[name]
  if (typeof text !== 'string') return undefined
  const micros = parseMicros(text)
  if (micros === undefined)
    throw usageError('not a time', { [`--${kebab(name)}`]: text }, 'write it as 2026-01-31T12:00:00Z or as microseconds since 1970')
  return micros
}

export function usageError(fact: string, values: Readonly<Record<string, unknown>>, next = 'see --help'): MillraceError {
  return new MillraceError('ERR_USAGE', { fact, action: 'operator', values, next })
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
