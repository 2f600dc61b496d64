import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Pace } from '#journal/query/pace.js'
import { pacedSort } from '#journal/query/paced-sort.js'

test('a sort that gives way now and then comes to what sort comes to', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 6000 }), fc.integer(), async (count, seed) => {
      const items = Array.from({ length: count }, (_, index) => ({ key: Math.abs(Math.imul(index + 1, seed | 1)) % 500, index }))
      const compare = (a: { key: number }, b: { key: number }) => a.key - b.key
      const expected = items.toSorted(compare)

      await pacedSort(items, compare, new Pace(undefined))

      expect(items).toEqual(expected)
    }),
    { numRuns: 12 },
  )
})
