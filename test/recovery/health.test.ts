import { describe, expect, test } from 'vitest'
import { HEALTH_LIMITS, HEALTHS, type Health, healthOf } from '#recovery/health.js'
import type { PlantReport, Recovery } from '#recovery/report.js'
import { recoveryOf, reportOf } from './sample-report.js'

describe('the health of a run', () => {
  test.each<[number, Health]>([
    [199.9, 'EXCELLENT'],
    [200, 'GOOD'],
    [499.9, 'GOOD'],
    [500, 'DEGRADED'],
    [999.9, 'DEGRADED'],
    [1000, 'POOR'],
  ])('with processes replaced after %d ms is %s', (rtoMs, health) => {
    expect(healthAfter({ rtoMs })).toBe(health)
  })

  test.each<[number, Health]>([
    [999.9, 'EXCELLENT'],
    [1000, 'GOOD'],
    [2500, 'DEGRADED'],
    [5000, 'POOR'],
  ])('with the plant started again after %d ms is %s', (rtoMs, health) => {
    expect(healthAfter({ process: 'plant', rtoMs })).toBe(health)
    expect(healthAfter({ process: 'supervisor/0', rtoMs })).toBe(health)
  })

  test('is that of the worse of both', () => {
    const recoveries = [recoveryOf({ rtoMs: 600 }), recoveryOf({ process: 'plant', rtoMs: 900 })]

    expect(healthOf(reportOf({ recoveries }))).toBe('DEGRADED')
  })

  test('goes by the 99th percentile: one of two hundred does not count, one of ten does', () => {
    const quick = (count: number) => Array.from({ length: count }, () => recoveryOf({ rtoMs: 50 }))

    expect(healthOf(reportOf({ recoveries: [...quick(199), recoveryOf({ rtoMs: 3000 })] }))).toBe('EXCELLENT')
    expect(healthOf(reportOf({ recoveries: [...quick(9), recoveryOf({ rtoMs: 3000 })] }))).toBe('POOR')
  })

  test('does not count how long a hang had to last before it may be called one', () => {
    expect(healthAfter({ cause: 'hang (pulse)', rtoMs: 1150, phases: { noticed: 1010, ready: 140 } })).toBe('EXCELLENT')
    expect(healthAfter({ cause: 'SIGKILL', rtoMs: 1150, phases: { noticed: 1010, ready: 140 } })).toBe('POOR')
  })

  test('is EXCELLENT when nobody died', () => {
    expect(healthOf(reportOf({}))).toBe('EXCELLENT')
  })

  test.each<Partial<PlantReport>>([
    { ackedMissing: 1, durable: 99 },
    { duplicated: 1 },
    { outOfOrder: 1 },
    { stateHash: { live: 'ab'.repeat(32), replayed: 'cd'.repeat(32) } },
  ])('is POOR, however quick, with %j', (wrong) => {
    expect(healthOf(reportOf({ ...wrong, recoveries: [recoveryOf({ rtoMs: 1 })] }))).toBe('POOR')
  })

  test('has a row for each but the last, and limits that grow', () => {
    expect(HEALTH_LIMITS.map(({ health }) => health)).toEqual(HEALTHS.slice(0, -1))
    for (const limits of [HEALTH_LIMITS.map((row) => row.replacedMs), HEALTH_LIMITS.map((row) => row.restartedMs)])
      expect(limits).toEqual([...limits].sort((a, b) => a - b))
  })
})

function healthAfter(recovery: Partial<Recovery>): Health {
  return healthOf(reportOf({ recoveries: [recoveryOf(recovery)] }))
}
