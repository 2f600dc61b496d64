/** One curve or row of bars over equal buckets; null is a gap. Colours are classes of the page. */
export interface Series {
  readonly label: string
  readonly kind: 'bars' | 'line'
  readonly tone: 'a' | 'b' | 'c'
  readonly values: readonly (number | null)[]
}

export interface TimePlot {
  /** What it shows, for those who do not see it. */
  readonly title: string
  readonly unit: string
  readonly fromMs: number
  readonly bucketMs: number
  readonly series: readonly Series[]
  /** From when to when the fault lasted. */
  readonly marked: readonly [fromMs: number, toMs: number]
  readonly isLogarithmic: boolean
}

export interface Mark {
  readonly row: string
  readonly value: number
}

const WIDTH = 640
const HEIGHT = 150
const LEFT = 56
const RIGHT = 8
const TOP = 10
const BOTTOM = 24

/** Text as it may stand in HTML and in its attributes. */
export function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;')
}

/** Something over the time of the run: seconds below, the unit at the left. */
export function timePlot(plot: TimePlot): string {
  const { fromMs, bucketMs, series, marked, isLogarithmic } = plot
  const buckets = Math.max(1, ...series.map(({ values }) => values.length))
  const toMs = fromMs + buckets * bucketMs
  const all = series.flatMap(({ values }) => values.filter((value): value is number => value !== null && value > 0))
  const scale = isLogarithmic ? logScale(all) : linearScale(all)
  const x = (ms: number) => LEFT + ((ms - fromMs) / (toMs - fromMs)) * (WIDTH - LEFT - RIGHT)
  const y = (value: number) => HEIGHT - BOTTOM - scale.place(value) * (HEIGHT - TOP - BOTTOM)
  const shapes = series.map((one) => (one.kind === 'bars' ? bars(one, fromMs, bucketMs, x, y) : line(one, fromMs, bucketMs, x, y)))
  const [from, to] = [clamped(marked[0], fromMs, toMs), clamped(marked[1], fromMs, toMs)]
  return svg(plot.title, HEIGHT, [
    `<rect class="fault" x="${at(x(from))}" y="${TOP}" width="${at(Math.max(1.5, x(to) - x(from)))}" height="${HEIGHT - TOP - BOTTOM}"/>`,
    ...scale.ticks.map((tick) => gridLine(y(tick), shortNumber(tick))),
    ...secondTicks(fromMs, toMs).map((ms) => caption(x(ms), HEIGHT - 8, 'middle', `${shortNumber(ms / 1000)} s`)),
    keyOf(plot),
    ...shapes,
  ])
}

/** One dot a mark, a row for each of its names, on a logarithmic axis in milliseconds. */
export function stripPlot(title: string, marks: readonly Mark[]): string {
  const rows = [...new Set(marks.map(({ row }) => row))]
  const rowHeight = 22
  const left = 96
  const height = TOP + rows.length * rowHeight + BOTTOM
  const scale = logScale(marks.map(({ value }) => value))
  const x = (value: number) => left + scale.place(value) * (WIDTH - left - RIGHT - 10)
  const y = (row: string) => TOP + (rows.indexOf(row) + 0.5) * rowHeight
  return svg(title, height, [
    ...scale.ticks.map(
      (tick) =>
        `<line class="grid" x1="${at(x(tick))}" x2="${at(x(tick))}" y1="${TOP}" y2="${height - BOTTOM}"/>${tickCaption(tick, scale, x(tick), height)}`,
    ),
    ...rows.map((row) => caption(left - 8, y(row) + 4, 'end', row)),
    ...marks.map(
      ({ row, value }) =>
        `<circle class="dot" cx="${at(x(value))}" cy="${at(y(row))}" r="4"><title>${escaped(row)}: ${value.toFixed(1)} ms</title></circle>`,
    ),
  ])
}

/** How many values lie in each part of a logarithmic axis in milliseconds. */
export function histogram(title: string, values: readonly number[]): string {
  const parts = 24
  const scale = logScale(values)
  const counts = Array.from({ length: parts }, () => 0)
  for (const value of values) {
    const part = Math.min(parts - 1, Math.floor(scale.place(value) * parts))
    counts[part] = (counts[part] as number) + 1
  }
  const most = linearScale(counts)
  const wide = (WIDTH - LEFT - RIGHT - 10) / parts
  const y = (count: number) => HEIGHT - BOTTOM - most.place(count) * (HEIGHT - TOP - BOTTOM)
  return svg(title, HEIGHT, [
    ...most.ticks.filter(Number.isInteger).map((tick) => gridLine(y(tick), shortNumber(tick))),
    ...scale.ticks.map((tick) => tickCaption(tick, scale, LEFT + scale.place(tick) * wide * parts, HEIGHT)),
    ...counts.map((count, part) =>
      count === 0
        ? ''
        : `<rect class="bar a" x="${at(LEFT + part * wide + 1)}" y="${at(y(count))}" width="${at(wide - 2)}" height="${at(HEIGHT - BOTTOM - y(count))}"><title>${count}</title></rect>`,
    ),
  ])
}

type Place = (value: number) => number

function bars(series: Series, fromMs: number, bucketMs: number, x: Place, y: Place): string {
  const width = x(fromMs + bucketMs) - x(fromMs)
  const shapes = series.values
    .map((value, index) =>
      value === null || value <= 0
        ? ''
        : `<rect class="bar ${series.tone}" x="${at(x(fromMs + index * bucketMs))}" y="${at(y(value))}" width="${at(Math.max(0.5, width - 0.6))}" height="${at(HEIGHT - BOTTOM - y(value))}"/>`,
    )
    .join('')
  return `<g><title>${escaped(series.label)}</title>${shapes}</g>`
}

/** A gap ends the line; a value alone is a dot. */
function line(series: Series, fromMs: number, bucketMs: number, x: Place, y: Place): string {
  let path = ''
  let isOn = false
  series.values.forEach((value, index) => {
    if (value !== null) path += `${isOn ? 'L' : 'M'}${at(x(fromMs + (index + 0.5) * bucketMs))} ${at(y(value))}${isOn ? '' : 'h0'}`
    isOn = value !== null
  })
  return path === '' ? '' : `<path class="line ${series.tone}" d="${path}"><title>${escaped(series.label)}</title></path>`
}

interface Scale {
  readonly ticks: readonly number[]
  /** 0 at the lower end, 1 at the upper. */
  place(value: number): number
}

/** From 0 to a round number above all values, which are positive. */
function linearScale(values: readonly number[]): Scale {
  const most = values.reduce((max, value) => Math.max(max, value), 0) || 1
  const decade = 10 ** Math.floor(Math.log10(most))
  const step = ([0.2, 0.5, 1, 2, 5].find((factor) => most / (factor * decade) <= 4) ?? 5) * decade
  const end = Math.ceil(most / step) * step
  const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, index) => index * step)
  return { ticks, place: (value) => value / end }
}

/** Whole decades around all positive values; what is not positive stands at the lower end. */
function logScale(values: readonly number[]): Scale {
  const positive = values.filter((value) => value > 0)
  const low = Math.floor(Math.log10(positive.reduce((min, value) => Math.min(min, value), Number.POSITIVE_INFINITY)))
  const high = Math.ceil(Math.log10(positive.reduce((max, value) => Math.max(max, value), 0)))
  const from = Number.isFinite(low) ? low : 0
  const to = Math.max(from + 1, Number.isFinite(high) ? high : 1)
  const ticks = Array.from({ length: to - from + 1 }, (_, index) => 10 ** (from + index))
  return { ticks, place: (value) => (value <= 0 ? 0 : Math.min(1, Math.max(0, (Math.log10(value) - from) / (to - from)))) }
}

function secondTicks(fromMs: number, toMs: number): number[] {
  const stepMs = [200, 500, 1000, 2000, 5000, 10_000].find((step) => (toMs - fromMs) / step <= 8) ?? 30_000
  const ticks: number[] = []
  for (let ms = Math.ceil(fromMs / stepMs) * stepMs; ms < toMs; ms += stepMs) ticks.push(ms)
  return ticks
}

function clamped(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value))
}

function gridLine(y: number, label: string): string {
  return `<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${at(y)}" y2="${at(y)}"/>${caption(LEFT - 6, y + 4, 'end', label)}`
}

/** Below a logarithmic axis of milliseconds; the last one must not stand out of the picture. */
function tickCaption(tick: number, { ticks }: Scale, x: number, height: number): string {
  const isLast = tick === ticks.at(-1)
  return caption(
    isLast ? x + RIGHT : x,
    height - 8,
    isLast ? 'end' : 'middle',
    tick < 1000 ? `${shortNumber(tick)} ms` : `${shortNumber(tick / 1000)} s`,
  )
}

/** The unit, and which line is which where there are several. */
function keyOf({ unit, series }: TimePlot): string {
  const names = series.length < 2 ? [] : series.map(({ label, tone }) => `<tspan class="key ${tone}" dx="8">${escaped(label)}</tspan>`)
  return `<text x="${LEFT + 4}" y="${TOP + 9}">${escaped(unit)}${names.join('')}</text>`
}

function caption(x: number, y: number, anchor: 'start' | 'middle' | 'end', what: string): string {
  return `<text x="${at(x)}" y="${at(y)}" text-anchor="${anchor}">${escaped(what)}</text>`
}

function svg(title: string, height: number, parts: readonly string[]): string {
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}"><title>${escaped(title)}</title>${parts.join('')}</svg>`
}

/** Coordinates to a tenth. */
function at(value: number): string {
  return String(Math.round(value * 10) / 10)
}

function shortNumber(value: number): string {
  if (value >= 1e6) return `${trimmed(value / 1e6)}M`
  if (value >= 1e3) return `${trimmed(value / 1e3)}k`
  return trimmed(value)
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(3)))
}
