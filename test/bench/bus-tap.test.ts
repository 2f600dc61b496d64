import { existsSync, readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { describe, expect, test } from 'vitest'
import { BUS_TAP_SMOKE, describeBusTap, measureBusTap } from '../../bench/bus-tap.js'

function leftovers(): string[] {
  const names = (folder: string) => (existsSync(folder) ? readdirSync(folder) : [])
  return [...names('/dev/shm'), ...names(tmpdir())].filter((name) => name.startsWith('millrace-bench-tap-'))
}

describe('the cost of a tap', () => {
  test('is measured with and without it, over captures that hold every frame, and leaves nothing behind', async () => {
    const result = await measureBusTap(BUS_TAP_SMOKE)

    expect(result).toMatchObject({ bench: 'bus-tap', rounds: 1, bytes: 48, offered: { gaps: 0 }, fullSpeed: { gaps: 0 } })
    expect(result.offered.framesPerSecondTapped).toBeGreaterThan(10_000)
    expect(result.fullSpeed.ratio).toBeCloseTo(result.fullSpeed.framesPerSecondTapped / result.fullSpeed.framesPerSecond, 2)
    expect(describeBusTap(result)).toMatch(/frames\/s of 48 bytes offered: [\d,]+ frames\/s without a tap/)
    expect(leftovers()).toEqual([])
  })
})
