import type { LocalTime } from './local-time.js'

/** The formats that have a name. Anything else is a pattern of the tokens below. */
export const TIME_FORMATS = ['iso', 'unix-s', 'unix-ms', 'unix-us'] as const

/** For messages: what may stand behind `format`. */
export const TIME_FORMAT_HELP = `${TIME_FORMATS.join(', ')}, or a pattern of YYYY MM M DD D hh h mm ss S (fraction of a second) A (AM or PM), such as 'YYYY-MM-DD hh:mm:ss'`

/** Gives whole microseconds since 1970, or says what is wrong. A fraction finer than a microsecond is cut. */
export type TimeReader = (text: string) => number | string

const MICROS_MAX = 8.64e18 / 1000
const ISO = /^(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?)? ?([Zz]|[+-]\d\d(?::?\d\d)?)?$/
const TOKENS: Readonly<Record<string, string>> = {
  YYYY: '(?<year>\\d{4})',
  MM: '(?<month>\\d\\d)',
  M: '(?<month>\\d\\d?)',
  DD: '(?<day>\\d\\d)',
  D: '(?<day>\\d\\d?)',
  hh: '(?<hour>\\d\\d)',
  h: '(?<hour>\\d\\d?)',
  mm: '(?<minute>\\d\\d)',
  ss: '(?<second>\\d\\d)',
  S: '(?<fraction>\\d{1,12})',
  A: '(?<half>[AaPp][Mm])',
}

/** Why a format cannot be read, or undefined. */
export function wrongTimeFormat(format: string): string | undefined {
  if ((TIME_FORMATS as readonly string[]).includes(format)) return undefined
  const tokens = tokensOf(format).filter((part) => part in TOKENS)
  const twice = tokens.find((token, index) => tokens.some((other, at) => at !== index && groupOf(other) === groupOf(token)))
  if (twice !== undefined) return `it names the ${groupOf(twice)} twice`
  for (const group of ['year', 'month', 'day']) if (!tokens.some((token) => groupOf(token) === group)) return `it has no ${group}`
  return undefined
}

/** `local` turns times without an offset of their own into UTC. The format is one that `wrongTimeFormat` finds right. */
export function timeReader(format: string, local: LocalTime): TimeReader {
  switch (format) {
    case 'iso':
      return (text) => readIso(text, local)
    case 'unix-s':
      return (text) => readUnix(text, 1_000_000)
    case 'unix-ms':
      return (text) => readUnix(text, 1000)
    case 'unix-us':
      return (text) => readUnix(text, 1)
    default:
      return patternReader(format, local)
  }
}

function readIso(text: string, local: LocalTime): number | string {
  const match = ISO.exec(text)
  if (match === null) return 'not a time of the form 2020-03-09T10:14:33Z'
  const [, year, month, day, hour, minute, second, fraction, zone] = match
  const ms = wallMs(Number(year), Number(month), Number(day), Number(hour ?? 0), Number(minute ?? 0), Number(second ?? 0))
  if (typeof ms === 'string') return ms
  if (zone === undefined) return localMicros(ms, fraction, local)
  return (ms - zoneOffsetMs(zone)) * 1000 + fractionMicros(fraction)
}

function zoneOffsetMs(zone: string): number {
  if (zone === 'Z' || zone === 'z') return 0
  const digits = zone.slice(1).replace(':', '')
  const minutes = Number(digits.slice(0, 2)) * 60 + Number(digits.slice(2) || 0)
  return (zone.startsWith('-') ? -minutes : minutes) * 60_000
}

/** Read as decimal text, since a double of 1583748873.123456 seconds is already off by some microseconds. */
function readUnix(text: string, microsPerUnit: number): number | string {
  const match = /^([+-]?)(\d{1,17})(?:\.(\d{1,18}))?$/.exec(text)
  const exponent = match === null && /^[+-]?\d+(\.\d+)?[eE][+-]?\d+$/.test(text)
  if (match === null && !exponent) return 'not a number of seconds, milliseconds or microseconds since 1970'
  const micros = match === null ? Math.floor(Number(text) * microsPerUnit) : exactMicros(match, microsPerUnit)
  return Number.isSafeInteger(micros) && Math.abs(micros) <= MICROS_MAX ? micros : 'a time out of range'
}

function exactMicros([, sign, whole, fraction = '']: RegExpExecArray, microsPerUnit: number): number {
  const digits = Math.round(Math.log10(microsPerUnit))
  const cut = Number(fraction.slice(0, digits).padEnd(digits, '0') || 0)
  const micros = Number(whole) * microsPerUnit + cut
  return sign === '-' ? -micros : micros
}

function patternReader(format: string, local: LocalTime): TimeReader {
  const source = tokensOf(format)
    .map((part) => TOKENS[part] ?? part.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&'))
    .join('')
  const pattern = new RegExp(`^${source}$`)
  return (text) => {
    const found = pattern.exec(text)?.groups
    if (found === undefined) return `not a time of the form ${format}`
    const ms = wallMs(
      Number(found.year),
      Number(found.month),
      Number(found.day),
      hourOf(found),
      Number(found.minute ?? 0),
      Number(found.second ?? 0),
    )
    return typeof ms === 'string' ? ms : localMicros(ms, found.fraction, local)
  }
}

/** NaN for an hour that a half of the day does not have. */
function hourOf(found: Readonly<Record<string, string | undefined>>): number {
  const hour = Number(found.hour ?? 0)
  if (found.half === undefined) return hour
  if (hour < 1 || hour > 12) return Number.NaN
  return (hour % 12) + (found.half.toLowerCase() === 'pm' ? 12 : 0)
}

function wallMs(year: number, month: number, day: number, hour: number, minute: number, second: number): number | string {
  const isTime = hour >= 0 && hour < 24 && minute < 60 && second < 60
  const ms = Date.UTC(year, month - 1, day, hour, minute, second)
  const date = new Date(ms)
  const isDate = date.getUTCFullYear() === year && date.getUTCMonth() === month - 1 && date.getUTCDate() === day
  return isTime && isDate ? ms : 'no such date or time of day'
}

function localMicros(wall: number, fraction: string | undefined, local: LocalTime): number | string {
  const utc = local.toUtcMs(wall)
  return typeof utc === 'string' ? utc : utc * 1000 + fractionMicros(fraction)
}

function fractionMicros(fraction: string | undefined): number {
  return fraction === undefined ? 0 : Number(fraction.slice(0, 6).padEnd(6, '0'))
}

/** The tokens of a pattern and what stands between them. A run of S is one token. */
function tokensOf(format: string): string[] {
  return (format.match(/YYYY|MM|DD|hh|mm|ss|S+|[MDhA]|[^YMDhmsSA]+|./g) ?? []).map((part) => (/^S+$/.test(part) ? 'S' : part))
}

function groupOf(token: string): string {
  return /<(\w+)>/.exec(TOKENS[token] ?? '')?.[1] ?? token
}
