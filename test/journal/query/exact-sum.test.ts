import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ExactSums } from '#journal/query/exact-sum.js'
import { exactSum } from '../../models/log-query.js'

const numbers = fc.array(
  fc.oneof(
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(1e308, -1e308, 1.7976931348623157e308, 5e-324, -5e-324, 0.1, 1e16, -1e16, 2 ** 960, -(2 ** 960), 2 ** 53, 1, -0),
    fc.integer({ min: -1000, max: 1000 }).map((value) => value / 10),
  ),
  { maxLength: 60 },
)

describe('a sum of doubles', () => {
  test('is the real sum rounded once, one by one and many at a time, in any order', () => {
    fc.assert(
      fc.property(numbers, fc.integer({ min: 0, max: 60 }), (values, cut) => {
        const sums = new ExactSums()
        sums.fit(2)
        const many = Float64Array.from(values.slice(cut))
        for (const value of values.slice(0, cut)) sums.add(1, value)
        sums.addMany(1, many, undefined, undefined, many.length)
        for (const value of values.toReversed()) sums.add(0, value)

        expect([sums.value(0), sums.value(1)].map((value) => value + 0)).toEqual(
          [exactSum(values), exactSum(values)].map((value) => value + 0),
        )
      }),
      { numRuns: 500 },
    )
  })

  test('cancels to the last bit', () => {
    const sums = new ExactSums()
    sums.fit(1)

    for (const value of [1e16, 1, -1e16, 1e-300]) sums.add(0, value)

    expect(sums.value(0)).toBe(1)
    sums.add(0, -1)
    expect(sums.value(0)).toBe(1e-300)
  })

  test('overflows only when the real sum does, and treats infinities as IEEE 754 does', () => {
    const of = (...values: number[]) => {
      const sums = new ExactSums()
      sums.fit(1)
      sums.addMany(0, Float64Array.from(values), undefined, undefined, values.length)
      return sums.value(0)
    }

    expect(of(1.7e308, 1.7e308, -1.7e308)).toBe(1.7e308)
    expect(of(1.7e308, 1.7e308)).toBe(Infinity)
    expect(of(Infinity, 1, -1e308)).toBe(Infinity)
    expect(of(Infinity, -Infinity)).toBeNaN()
    expect(of()).toBe(0)
  })

  test('of picks counts the numbers among them and leaves NaN out', () => {
    const sums = new ExactSums()
    sums.fit(1)

    const count = sums.addMany(0, Float64Array.of(1, 2, Number.NaN, 8), Uint32Array.of(0, 2, 1), Uint32Array.of(3, 0, 2), 3)

    expect([count, sums.value(0)]).toEqual([2, 9])
  })
})
