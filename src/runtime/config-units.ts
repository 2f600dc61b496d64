/** How sizes and times are written in configuration: a whole number in the base unit, or a number with a unit. */
const BYTES: Readonly<Record<string, number>> = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }
const MICROS: Readonly<Record<string, number>> = { us: 1, ms: 1e3, s: 1e6, min: 60e6, h: 3600e6, d: 86_400e6 }

/** As regular expressions for the JSON Schema, so that an editor knows the units too. */
export const BYTES_PATTERN = patternOf(BYTES)
export const DURATION_PATTERN = patternOf(MICROS)

export type DurationUnit = 'us' | 'ms'

/** `4MiB` → 4194304; undefined when it is not a size that comes to whole bytes. */
export function parseBytes(text: string): number | undefined {
  return wholeNumber(text, BYTES_PATTERN, BYTES, 1)
}

/** `2s` → 2000 in `ms`; undefined when it is not a time that comes to a whole number of the unit. */
export function parseDuration(text: string, unit: DurationUnit): number | undefined {
  return wholeNumber(text, DURATION_PATTERN, MICROS, MICROS[unit] ?? 1)
}

function wholeNumber(text: string, pattern: RegExp, units: Readonly<Record<string, number>>, divisor: number): number | undefined {
  const match = pattern.exec(text)
  const factor = units[match?.[2] ?? '']
  if (match === null || factor === undefined) return undefined
  const value = (Number(match[1]) * factor) / divisor
  return Number.isSafeInteger(value) ? value : undefined
}

function patternOf(units: Readonly<Record<string, number>>): RegExp {
  return new RegExp(`^(\\d+(?:\\.\\d+)?) ?(${Object.keys(units).join('|')})$`)
}
