import { expect, test } from 'vitest'
import { describeRecovery, measureRecovery, RECOVERY_SMOKE } from '../../bench/recovery.js'

test('the recovery benchmark kills each role, loses nothing and tells the times by phase', async () => {
  const result = await measureRecovery(RECOVERY_SMOKE)

  expect(result).toMatchObject({ bench: 'recovery', ackedMissing: 0, duplicated: 0, outOfOrder: 0 })
  expect(result.rows).toMatchObject([{ case: 'a', cache: 'warm', entities: 20, kills: 1, hashOk: true, ackedMissing: 0, duplicated: 0 }])
  expect(result.rows[0]?.events).toBeGreaterThan(0)
  expect(result.rows[0]?.ms).toBeGreaterThan(result.rows[0]?.replayMs ?? 0)
  expect(result.rtoMs.p99).toBeGreaterThanOrEqual(result.rtoMs.p50)
  expect(result.parallelRatio.events).toBe(400)
  expect(result.parallelRatio.decodeThreadsMs['2']).toBeGreaterThan(0)
  expect(result.roles.map(({ role, kills }) => [role, kills])).toEqual([['worker', 1]])
  for (const { p50Ms, maxMs, phasesMs, acked } of result.roles) {
    expect(p50Ms).toBeGreaterThan(0)
    expect(maxMs).toBeGreaterThanOrEqual(p50Ms)
    expect(phasesMs['ready']).toBeGreaterThan(0)
    expect(acked).toBeGreaterThan(0)
  }
  expect(result.reference.medianMs).toBeGreaterThan(1)
  expect(describeRecovery(result)).toContain('acknowledged and missing 0, doubled 0, out of order 0')
})
