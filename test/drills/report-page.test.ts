import { describe, expect, test } from 'vitest'
import { renderReportPage } from '#drills/report-page.js'
import { drillReport, reportOf } from '../recovery/sample-report.js'

/** Elements that have no end tag. */
const VOID = new Set(['meta', '!doctype'])

describe('the page of a report', () => {
  test('says the same for the same report', () => {
    expect(renderReportPage(drillReport())).toBe(renderReportPage(drillReport()))
  })

  test('has every tag closed in its order', () => {
    expect(unclosed(renderReportPage(drillReport()))).toEqual([])
    expect(unclosed(renderReportPage(reportOf({})))).toEqual([])
  })

  test('needs nothing from elsewhere and runs nothing', () => {
    const page = renderReportPage(drillReport())

    expect(page).not.toMatch(/https?:|src=|href=|url\(|@import|<script|<link|\bon\w+=/i)
  })

  test('shows what was tried out besides devices, where something was', () => {
    const page = renderReportPage(drillReport())

    expect(page).toContain('<b>114</b><span>timers went off</span><i>late at worst 81.5 ms</i>')
    expect(page).toContain('<b>21</b><span>children erred</span><i>in 3 trees</i>')
    expect(renderReportPage(reportOf({}))).not.toMatch(/timers went off|children erred/)
  })

  test('is for dark and light and for a narrow screen', () => {
    const page = renderReportPage(drillReport())

    expect(page).toContain('prefers-color-scheme:dark')
    expect(page).toContain('name="viewport"')
  })

  test('escapes every text of the report', () => {
    const hostile = `<img onerror="x">'&`
    const report = drillReport()
    const page = renderReportPage({
      ...report,
      recoveries: report.recoveries.map((recovery) => ({ ...recovery, process: hostile, cause: hostile })),
      faults: (report.faults ?? []).map((fault) => ({ ...fault, kind: hostile, how: hostile, reasons: [hostile] })),
      incidents: (report.incidents ?? []).map((incident) => ({ ...incident, kind: hostile, process: hostile })),
    })

    expect(page).not.toContain('<img')
    expect(page).toContain('&lt;img onerror=&quot;x&quot;&gt;&#39;&amp;')
    expect(unclosed(page)).toEqual([])
  })

  test('shows health, what is wrong, faults with their reasons, and a plot for each incident that has a timeline', () => {
    const page = renderReportPage({ ...drillReport(), ackedMissing: 2, durable: 98, health: 'POOR' })

    expect(page).toContain('<p class="health poor">POOR</p>')
    expect(page).toContain('2 acknowledged commands missing from the log')
    expect(page).toContain('skipped: others made &lt;room&gt; on it')
    expect(page).toContain('a &quot;ballast&quot; &amp; no more')
    expect(page.match(/<article>/g)).toHaveLength(1)
    expect(page).toContain('1 more are not')
  })

  test('draws inside its pictures, with numbers only', () => {
    const page = renderReportPage(drillReport())
    const plots = [...page.matchAll(/<svg viewBox="0 0 (\d+) (\d+)".*?<\/svg>/gs)]

    expect(plots).toHaveLength(4)
    expect(page).not.toMatch(/NaN|undefined|Infinity/)
    for (const [svg, width, height] of plots) {
      for (const [, name, value] of svg.matchAll(/ (x|y|x1|x2|y1|y2|cx|cy)="([^"]*)"/g)) {
        expect(Number(value)).toBeGreaterThanOrEqual(0)
        expect(Number(value)).toBeLessThanOrEqual(Number(name?.includes('x') === true ? width : height))
      }
    }
  })

  test('breaks a line where a bucket has no acknowledgement', () => {
    const path = /<path class="line b" d="([^"]*)"/.exec(renderReportPage(drillReport()))?.[1] ?? ''

    expect(path.match(/M/g)).toHaveLength(2)
    expect(path.match(/L/g)).toHaveLength(3)
  })

  test('is whole without recoveries, faults and incidents', () => {
    const page = renderReportPage(reportOf({}))

    expect(page).toContain('Nothing that was acknowledged is missing')
    expect(page).not.toMatch(/NaN|undefined|Infinity|<svg/)
  })

  test('is whole with a recovery that took no time and a timeline without anything', () => {
    const report = drillReport()
    const [first, ...rest] = report.incidents ?? []
    const empty = { fromMs: 0, bucketMs: 100, acked: [], ackP50Ms: [], ackP99Ms: [] }
    const incidents = first === undefined ? [] : [{ ...first, timeline: empty }, ...rest]

    const page = renderReportPage({ ...report, recoveries: report.recoveries.map((one) => ({ ...one, rtoMs: 0 })), incidents })

    expect(page).not.toMatch(/NaN|undefined|Infinity/)
  })
})

/** What is not closed as it was opened: a page that a strict parser of XML would take, but for its elements without an end. */
function unclosed(page: string): string[] {
  const open: string[] = []
  const wrong: string[] = []
  for (const [, slash, name = '', selfClosed] of page.replace(/<style>.*?<\/style>/s, '').matchAll(/<(\/?)([!\w]+)[^<>]*?(\/?)>/g)) {
    if (VOID.has(name) || name === 'br' || selfClosed === '/') continue
    if (slash === '') open.push(name)
    else if (open.pop() !== name) wrong.push(name)
  }
  return [...wrong, ...open]
}
