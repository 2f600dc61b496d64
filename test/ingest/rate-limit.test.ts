import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { RateLimit } from '#ingest/rate-limit.js'

describe('a rate limit of 10 a second', () => {
  test('lets a second’s worth through at once, then as many as time brings', () => {
    const clock = new FakeClock()
    const rate = new RateLimit(10, clock)
    expect(rate.take('a', 10)).toBe(0)
    expect(rate.take('a', 1)).toBeCloseTo(0.1)

    clock.advance(100)

    expect(rate.take('a', 1)).toBe(0)
    expect(rate.take('a', 1)).toBeGreaterThan(0)
  })

  test('counts each address for itself', () => {
    const rate = new RateLimit(10, new FakeClock())

    expect(rate.take('a', 10)).toBe(0)
    expect(rate.take('b', 10)).toBe(0)
  })

  test('lets more than a second’s worth through when nothing came before, and pays for it afterwards', () => {
    const clock = new FakeClock()
    const rate = new RateLimit(10, clock)
    expect(rate.take('a', 30)).toBe(0)

    clock.advance(2000)
    expect(rate.take('a', 1)).toBeCloseTo(0.1)
    clock.advance(100)

    expect(rate.take('a', 1)).toBe(0)
  })

  test('saves no more than a second’s worth', () => {
    const clock = new FakeClock()
    const rate = new RateLimit(10, clock)
    rate.take('a', 1)

    clock.advance(3_600_000)

    expect(rate.take('a', 10)).toBe(0)
    expect(rate.take('a', 1)).toBeGreaterThan(0)
  })

  test('forgets the address that was quiet longest when there are too many', () => {
    const rate = new RateLimit(10, new FakeClock(), 2)
    rate.take('a', 10)
    rate.take('b', 10)
    rate.take('a', 1)
    rate.take('c', 10)

    expect(rate.addressCount).toBe(2)
    expect(rate.take('a', 1)).toBeGreaterThan(0)
    expect(rate.take('b', 1)).toBe(0)
  })
})

describe('a rate limit of 0', () => {
  test('is none', () => {
    const rate = new RateLimit(0, new FakeClock())

    expect(rate.take('a', 1_000_000)).toBe(0)
    expect(rate.addressCount).toBe(0)
  })
})
