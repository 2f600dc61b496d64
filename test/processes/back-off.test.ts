import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { Prng } from '#base/prng.js'
import { BackOff } from '#processes/back-off.js'

const LIMITS = { firstMs: 100, delayMsMax: 5000, stableMs: 500, failuresMax: 4, windowMs: 60_000 }

describe('a back-off', () => {
  test('lets one that had worked long enough start again at once', () => {
    const { backOff } = backOffOf(1)

    const delayMs = backOff.failed(LIMITS.stableMs)

    expect(delayMs).toBe(0)
    expect(backOff.isActive).toBe(false)
  })

  test('doubles the delay up to its bound, with jitter between half and all of it', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const { backOff } = backOffOf(seed)

      const delays = Array.from({ length: 10 }, () => backOff.failed(0))

      for (const [index, delay] of delays.entries()) {
        const whole = Math.min(LIMITS.delayMsMax, LIMITS.firstMs * 2 ** index)
        expect(delay).toBeGreaterThanOrEqual(whole / 2)
        expect(delay).toBeLessThanOrEqual(whole)
      }
    }
  })

  test('is active until its delay is over', () => {
    const { backOff, clock } = backOffOf(2)
    const delayMs = backOff.failed(0)

    clock.advance(delayMs - 1)
    const before = backOff.isActive
    clock.advance(2)

    expect([before, backOff.isActive, backOff.remainingMs]).toEqual([true, false, 0])
  })

  test('starts over after a stable time', () => {
    const { backOff } = backOffOf(3)
    for (let failure = 0; failure < 8; failure++) backOff.failed(0)

    backOff.failed(LIMITS.stableMs + 1)

    expect(backOff.isActive).toBe(false)
    expect(backOff.failed(0)).toBeLessThanOrEqual(LIMITS.firstMs)
  })

  test('calls failures many only within its window', () => {
    const { backOff, clock } = backOffOf(4)
    const many: boolean[] = []
    for (let failure = 0; failure < LIMITS.failuresMax; failure++) {
      backOff.failed(0)
      many.push(backOff.hasManyFailures)
    }

    clock.advance(LIMITS.windowMs + 1)

    expect(many).toEqual([false, false, false, true])
    expect(backOff.hasManyFailures).toBe(false)
  })

  test('draws different delays for seats that fail together', () => {
    const clock = new FakeClock()
    const prng = new Prng(5)
    const seats = Array.from({ length: 8 }, () => new BackOff(LIMITS, clock, prng))

    const delays = seats.map((backOff) => backOff.failed(0))

    expect(new Set(delays).size).toBe(8)
  })
})

function backOffOf(seed: number): { backOff: BackOff; clock: FakeClock } {
  const clock = new FakeClock()
  return { backOff: new BackOff(LIMITS, clock, new Prng(seed)), clock }
}
