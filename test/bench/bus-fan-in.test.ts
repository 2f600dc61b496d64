import { describe, expect, test } from 'vitest'
import { allowedCores } from '#shm/index.js'
import { BUS_FAN_IN_SMOKE, describeBusFanIn, measureBusFanIn } from '../../bench/bus-fan-in.js'

describe.runIf(allowedCores().length >= 2)('the sweep over many channels', () => {
  test('is measured quiet and with one channel flooded, every frame counted', async () => {
    const result = await measureBusFanIn(BUS_FAN_IN_SMOKE)

    expect(result).toMatchObject({ bench: 'bus-fan-in', channels: 64, rounds: BUS_FAN_IN_SMOKE.rounds })
    expect(result.nsPerEmptyChannel).toBeGreaterThan(0)
    expect(result.flooded.floodFramesPerSecond).toBeGreaterThan(0)
    expect(describeBusFanIn(result)).toMatch(/ns per empty channel/)
  })
})
