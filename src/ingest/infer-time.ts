import { LocalTime } from './local-time.js'
import { timeReader } from './time-format.js'

/** How a column tells time. */
export interface InferredTime {
  readonly format: string
  /** It says which zone it is in, or counts from 1970. */
  readonly hasZone: boolean
  /** Each day of the month is also a month: the other order would fit as well. */
  readonly isAmbiguous: boolean
}

/** Tried in this order. The month comes first where both orders fit and the slash hints at nothing else. */
const PATTERNS: readonly string[] = ['-', '/', '.'].flatMap((sign) =>
  ['YYYY#MM#DD', 'MM#DD#YYYY', 'DD#MM#YYYY', 'M#D#YYYY', 'D#M#YYYY']
    .sort((a, b) => (sign === '/' ? 0 : Number(a.startsWith('M')) - Number(b.startsWith('M'))))
    .flatMap((date) =>
      ['hh:mm:ss', 'hh:mm:ss.S', 'hh:mm:ss,S', 'hh:mm', 'h:mm:ss A', 'h:mm A', 'h:mm:ss', 'h:mm'].map(
        (time) => `${date.replaceAll('#', sign)} ${time}`,
      ),
    ),
)
const NAMED_TIME = /^(time|timestamp|date|datetime|ts|t|epoch|unix|zeit|datum|date_?time|time_?stamp)\b|(_|\b)(time|timestamp|ts|at)$/i
/** The years 1990 to 2100 in seconds. */
const SECONDS_MIN = 631_152_000
const SECONDS_MAX = 4_102_444_800

/** How the values of a column tell time, or undefined. Empty ones are passed over. Numbers are times when the name or their order says so. */
export function inferTime(name: string, values: readonly string[]): InferredTime | undefined {
  const texts = values.map((value) => value.trim()).filter((value) => value !== '')
  if (texts.length === 0) return undefined
  if (texts.every((value) => /^\d+(\.\d+)?$/.test(value))) return inferUnix(name, texts)
  if (
    texts.every((value) => /^\d{4}-\d\d-\d\d[Tt]|^\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d([.,]\d+)?)?)? ?([Zz]|[+-]\d\d:?\d\d)$/.test(value)) &&
    fits('iso', texts)
  ) {
    const hasZone = texts.every((value) => /[Tt ].*([Zz]|[+-]\d\d(:?\d\d)?)$/.test(value))
    return { format: 'iso', hasZone, isAmbiguous: false }
  }
  const format = PATTERNS.find((pattern) => fits(pattern, texts))
  if (format === undefined) return undefined
  return { format, hasZone: false, isAmbiguous: !format.startsWith('Y') && fits(swapped(format), texts) }
}

function inferUnix(name: string, texts: readonly string[]): InferredTime | undefined {
  const numbers = texts.map(Number)
  const isNamed = NAMED_TIME.test(name)
  const isGrowing = numbers.every((value, index) => index === 0 || value >= (numbers[index - 1] as number)) && new Set(numbers).size > 1
  if (!isNamed && !isGrowing) return undefined
  for (const [format, perSecond] of [
    ['unix-s', 1],
    ['unix-ms', 1e3],
    ['unix-us', 1e6],
  ] as const) {
    if (numbers.every((value) => value >= SECONDS_MIN * perSecond && value < SECONDS_MAX * perSecond))
      return { format, hasZone: true, isAmbiguous: false }
  }
  return undefined
}

function fits(format: string, texts: readonly string[]): boolean {
  const read = timeReader(format, UTC)
  return texts.every((value) => typeof read(value) === 'number')
}

function swapped(format: string): string {
  const [date = '', ...time] = format.split(' ')
  return [date.replaceAll('M', '#').replaceAll('D', 'M').replaceAll('#', 'D'), ...time].join(' ')
}

const UTC = new LocalTime('UTC', 'earlier', 'reject')
