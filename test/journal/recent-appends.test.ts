import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RecentAppends } from '#journal/recent-appends.js'

type Entry = [term: number, number: number, entity: number, version: number]

const entries: fc.Arbitrary<Entry> = fc.tuple(fc.integer({ min: 1, max: 3 }), fc.nat(40), fc.nat(5), fc.nat(5))

describe('the recent appends', () => {
  test('are exactly the newest that fit, whenever one looks', () => {
    const steps = fc.array(fc.record({ entry: entries, isLook: fc.boolean() }), { maxLength: 200 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), steps, (capacity, all) => {
        const recent = new RecentAppends(capacity)
        const twin: Entry[] = []
        for (const { entry, isLook } of all) {
          if (isLook) expect(recent.has(...entry)).toBe(twin.slice(-capacity).some((one) => String(one) === String(entry)))
          else {
            recent.add(...entry)
            twin.push(entry)
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  test('are found again after many were added behind the last look', () => {
    const recent = new RecentAppends(10_000)
    recent.add(1, 0, 0, 1)
    const first = recent.has(1, 0, 0, 1)

    for (let number = 1; number <= 5000; number++) recent.add(1, number, number % 7, number)

    expect(first).toBe(true)
    expect([1, 2500, 5000].map((number) => recent.has(1, number, number % 7, number))).toEqual([true, true, true])
    expect(recent.has(1, 5001, 5001 % 7, 5001)).toBe(false)
  })
})
