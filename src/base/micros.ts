const ISO_TIME =
  /^(?<date>[+-]?\d{4,6}-\d\d-\d\d)(?:[T ](?<time>\d\d:\d\d(?::\d\d)?)(?:[.,](?<fraction>\d{1,9}))?(?<zone>Z|[+-]\d\d:?\d\d)?)?$/i

/** `2026-01-01T00:00:00.000001Z`: a time in microseconds since 1970 without losing one. A number that is no such time is written as a number. */
export function isoMicros(micros: number): string {
  const ms = Math.floor(micros / 1000)
  const rest = micros - ms * 1000
  const date = new Date(ms)
  if (!Number.isInteger(micros) || Number.isNaN(date.getTime())) return String(micros)
  const iso = date.toISOString()
  return rest === 0 ? iso : `${iso.slice(0, -1)}${String(rest).padStart(3, '0')}Z`
}

/**
 * The time that a text means, as microseconds since 1970, or undefined when it means none: ISO 8601 down to the microsecond (a date alone is its
 * midnight in UTC, a time without a zone is local), or a whole number of microseconds.
 */
export function parseMicros(text: string): number | undefined {
  if (/^-?\d+$/.test(text)) return Number.isSafeInteger(Number(text)) ? Number(text) : undefined
  const { date, time, fraction = '', zone = '' } = ISO_TIME.exec(text)?.groups ?? {}
  if (date === undefined) return undefined
  const ms = Date.parse(time === undefined ? date : `${date}T${time}${zone.toUpperCase()}`)
  return Number.isNaN(ms) ? undefined : ms * 1000 + Number(fraction.padEnd(6, '0').slice(0, 6))
}
