import { expect, test } from 'vitest'
import { describePassivation, measurePassivation, PASSIVATION_SMOKE } from '../../bench/passivation.js'

test('the passivation benchmark wakes entities that left memory, at half load', async () => {
  const result = await measurePassivation(PASSIVATION_SMOKE)

  expect(result.wakes).toBe(PASSIVATION_SMOKE.sleepers)
  for (const { p50, p99, max } of [result.wakeMs, result.liveMs]) {
    expect(p50).toBeGreaterThan(0)
    expect(p99).toBeGreaterThanOrEqual(p50)
    expect(max).toBeGreaterThanOrEqual(p99)
  }
  expect(result.eventsPerSecond).toBeLessThan(result.fullEventsPerSecond)
  expect(describePassivation(result)).toContain('passive entities answered after')
})
