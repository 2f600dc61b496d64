import { describe, expect, test } from 'vitest'
import { checkDelivery, type Expected } from './delivery-check.js'
import type { Received } from './restartable-broker.js'

const ENTITIES = ['press/a', 'press/b']
const expected: Expected[] = Array.from({ length: 20 }, (_, index) => ({
  entity: ENTITIES[index % 2] as string,
  version: Math.floor(index / 2) + 1,
}))

function message({ entity, version }: Expected, number = version): Received {
  return { topic: `tool/${entity}/Sampled`, payload: JSON.stringify({ entity, version, event: 'Sampled', data: { number } }) }
}

const received = expected.map((row) => message(row))
const PERFECT = { rows: 20, received: 20, missing: 0, skipped: 0, outOfOrder: 0, duplicates: 0, strange: 0 }

describe('the checker of what arrived', () => {
  test('finds nothing when each row arrived, whatever the order of different entities', () => {
    const byEntity = received.toSorted((a, b) => (a.topic < b.topic ? -1 : a.topic > b.topic ? 1 : 0))

    expect(checkDelivery(expected, received)).toEqual(PERFECT)
    expect(checkDelivery(expected, byEntity)).toEqual(PERFECT)
  })

  test.each([
    ['one that is lost', received.toSpliced(7, 1), { received: 19, missing: 1, skipped: 1 }],
    ['the last one lost', received.slice(0, -1), { received: 19, missing: 1 }],
    ['one that comes twice', received.toSpliced(9, 0, received[3] as Received), { received: 21, duplicates: 1 }],
    ['one that comes late', [...received.toSpliced(4, 1), received[4] as Received], { outOfOrder: 1 }],
    ['one with the value of another', received.with(5, message(expected[5] as Expected, 99)), { missing: 1, skipped: 1, strange: 1 }],
    ['one that was never stored', [...received, message({ entity: 'press/a', version: 11 })], { received: 21, strange: 1 }],
  ])('finds exactly %s', (_what, messages, wrong) => {
    expect(checkDelivery(expected, messages)).toEqual({ ...PERFECT, ...wrong })
  })
})
