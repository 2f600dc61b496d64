import { describe, expect, test } from 'vitest'
import { Heartbeat } from '#processes/heartbeat.js'

describe('a heartbeat', () => {
  test('ages from the last look at which a counter had moved, each on its own', () => {
    const heartbeat = new Heartbeat(1000, 5, 5)

    heartbeat.observe(1050, 6, 5)
    heartbeat.observe(1100, 6, 5)

    expect(heartbeat.pulseAgeMs(1100)).toBe(50)
    expect(heartbeat.turnAgeMs(1100)).toBe(100)
  })

  test('takes a counter that ran over for one that moved', () => {
    const heartbeat = new Heartbeat(0, 0xffff_ffff, 0)

    heartbeat.observe(70, 0, 0)

    expect(heartbeat.pulseAgeMs(70)).toBe(0)
  })

  test('forgives what its watcher did not see', () => {
    const heartbeat = new Heartbeat(0, 1, 1)

    heartbeat.observe(60_000, 1, 1)
    heartbeat.forgive(60_000)

    expect([heartbeat.pulseAgeMs(60_010), heartbeat.turnAgeMs(60_010)]).toEqual([10, 10])
  })
})
