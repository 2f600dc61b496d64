import { expect, test } from 'vitest'
import { describeRecovery, measureRecovery, RECOVERY_SMOKE } from '../../bench/recovery.js'

test('the recovery benchmark kills each role, loses nothing and tells the times by phase', async () => {
  const result = await measureRecovery(RECOVERY_SMOKE)

  expect(result).toMatchObject({ bench: 'recovery', ackedMissing: 0, duplicated: 0, outOfOrder: 0 })
  expect(result.roles.map(({ role, kills }) => [role, kills])).toEqual([
    ['worker', 1],
    ['gateway', 1],
  ])
  for (const { p50Ms, maxMs, phasesMs, acked } of result.roles) {
    expect(p50Ms).toBeGreaterThan(0)
    expect(maxMs).toBeGreaterThanOrEqual(p50Ms)
    expect(phasesMs['ready']).toBeGreaterThan(0)
    expect(acked).toBeGreaterThan(0)
  }
  expect(result.reference.medianMs).toBeGreaterThan(1)
  expect(describeRecovery(result)).toContain('acknowledged and missing 0, doubled 0, out of order 0')
})
