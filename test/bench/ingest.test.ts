import { expect, test } from 'vitest'
import { describeIngest, INGEST_SMOKE, measureIngest } from '../../bench/ingest.js'

test('the ingest benchmark sends from devices and through both doors and finds each command in the log once', async () => {
  const result = await measureIngest(INGEST_SMOKE)

  expect(result.eventsPerSecond).toBeGreaterThan(0)
  expect(result.events).toBeGreaterThan(0)
  expect(result.processes).toBe(4)
  expect(result.halfLoad.ackP99Ms).toBeGreaterThanOrEqual(result.halfLoad.ackP50Ms)
  for (const ns of [result.nsPerEvent.gateway, result.nsPerEvent.worker, result.nsPerEvent.journal]) expect(ns).toBeGreaterThan(0)

  for (const { commandsPerSecond, pacedPerSecond, ackMs } of [result.stream, result.http]) {
    expect(commandsPerSecond).toBeGreaterThan(0)
    expect(pacedPerSecond).toBeLessThanOrEqual(commandsPerSecond)
    expect(ackMs.p50).toBeGreaterThan(0)
    expect(ackMs.p99).toBeGreaterThanOrEqual(ackMs.p50)
    expect(ackMs.max).toBeGreaterThanOrEqual(ackMs.p99)
  }
  expect(result.commands).toBeGreaterThan(0)
  expect(result.reference.p50Ms).toBeGreaterThan(0)
  expect(describeIngest(result)).toMatch(/each found in the log once$/m)
})
