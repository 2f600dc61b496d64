import { describe, expect, test } from 'vitest'
import { compareReports, describeChanges } from '#drills/compare-reports.js'
import type { PlantReport } from '#recovery/report.js'
import { drillReport, reportOf } from '../recovery/sample-report.js'

const AT = Date.UTC(2026, 0, 31, 12) * 1000

describe('a run beside the one before', () => {
  test('is the same within a tenth', () => {
    const changes = compareReports(drillReport(), { ...drillReport(), rtoMs: { p50: 340, p99: 720, max: 880 } })

    expect(changes.every(({ verdict }) => verdict === 'same')).toBe(true)
    expect(changes.map(({ what }) => what)).toContain('recovery p99')
  })

  test.each<[Partial<PlantReport>, string, 'better' | 'worse']>([
    [{ rtoMs: { p50: 310, p99: 400, max: 800 } }, 'recovery p99', 'better'],
    [{ rtoMs: { p50: 310, p99: 900, max: 800 } }, 'recovery p99', 'worse'],
    [{ eventsPerSecond: 2000 }, 'events/s', 'better'],
    [{ eventsPerSecond: 500 }, 'events/s', 'worse'],
    [{ ackMs: { p50: 1.5, p99: 20 } }, 'ack p99', 'worse'],
    [{ health: 'EXCELLENT' }, 'health', 'better'],
    [{ health: 'POOR' }, 'health', 'worse'],
    [{ ackedMissing: 1 }, 'missing', 'worse'],
  ])('with %j has one change: %s is %s', (now, what, verdict) => {
    const changes = compareReports(drillReport(), { ...drillReport(), ...now }).filter((change) => change.verdict !== 'same')

    expect(changes.map((change) => [change.what, change.verdict])).toEqual([[what, verdict]])
  })

  test('is compared only in what both have', () => {
    const what = compareReports(reportOf({}), drillReport()).map((change) => change.what)

    expect(what).not.toContain('health')
    expect(what).not.toContain('recovery p50')
    expect(what).not.toContain('bytes per event')
  })

  test('is told with what got worse first and the rest in a line', () => {
    const now = { ...drillReport(), eventsPerSecond: 3000, ackMs: { p50: 1.5, p99: 40 } }

    const lines = describeChanges(compareReports(drillReport(), now), { name: 'chaos', at: AT })

    expect(lines).toEqual([
      'against the last run of chaos, 2026-01-31T12:00:00.000Z:',
      '  worse   ack p99          9.0 ms → 40.0 ms',
      '  better  events/s         1,000 → 3,000',
      '  same    health, missing, duplicated, out of order, timers late max, recovery p50, recovery p99, recovery max, ack p50',
    ])
  })
})
