import { MillraceError } from '#base/errors.js'

/** Throws ERR_ARGUMENT naming the argument unless it is a whole number from `min` to `max`. */
export function checkWhole(name: string, value: unknown, min: number, max: number): void {
  const isRight = Number.isInteger(value) && (value as number) >= min && (value as number) <= max
  if (!isRight) throw argumentError(name, `a whole number from ${min} to ${max}`, value)
}

/** Throws ERR_ARGUMENT naming the argument unless it can be the path of a file. */
export function checkPath(name: string, value: unknown): void {
  const isRight = typeof value === 'string' && value !== '' && !value.includes('\0')
  if (!isRight) throw argumentError(name, 'a path without NUL characters', value)
}

export function argumentError(name: string, expected: string, given: unknown): MillraceError {
  return new MillraceError('ERR_ARGUMENT', {
    fact: `${name} must be ${expected}`,
    action: 'operator',
    values: { argument: name, given: typeof given === 'number' || typeof given === 'string' ? given : kindOf(given) },
  })
}

function kindOf(value: unknown): string {
  return value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value
}
