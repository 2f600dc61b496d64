import { MillraceError } from '#base/errors.js'
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

/** A time as microseconds since 1970: ISO 8601, or a number of microseconds. */
export function timeOption(options: Options, name: string): number | undefined {
  const text = options[name]
  if (typeof text !== 'string') return undefined
  if (/^\d+$/.test(text)) return Number(text)
  const ms = Date.parse(text)
  if (Number.isNaN(ms))
    throw usageError('not a time', { [`--${kebab(name)}`]: text }, 'write it as 2026-01-31T12:00:00Z or as microseconds since 1970')
  return ms * 1000
}

export function usageError(fact: string, values: Readonly<Record<string, unknown>>, next = 'see --help'): MillraceError {
  return new MillraceError('ERR_USAGE', { fact, action: 'operator', values, next })
}

function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}
