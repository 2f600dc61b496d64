import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Row } from '#journal/index.js'
import { packBatch, unpackBatch } from '#runtime/row-pack.js'

const count = fc.nat({ max: Number.MAX_SAFE_INTEGER })
const text = fc.oneof(fc.constant(''), fc.string({ unit: 'grapheme', maxLength: 5 }))
const value = fc.oneof(
  fc.double(),
  fc.constantFrom(-0, Number.NaN, Infinity),
  fc.string(),
  fc.boolean(),
  fc.constant(null),
  fc.constant(undefined),
  fc.array(fc.record({ a: text }, { noNullPrototype: true }), { maxLength: 2 }),
)
/** Of one type the fields are mostly the same. */
const data = fc.oneof(
  fc.record({ temperature: fc.double(), code: text }, { noNullPrototype: true }),
  fc.record({ temperature: fc.double(), code: text }, { noNullPrototype: true }),
  fc.dictionary(
    text.filter((name) => name !== '__proto__'),
    value,
    { noNullPrototype: true, maxKeys: 4 },
  ),
)

const row: fc.Arbitrary<Row> = fc
  .record({
    position: count,
    entity: text.map((name) => `press/${name}` as const),
    version: count,
    typeNumber: fc.nat(3),
    at: fc.double({ noNaN: true }),
    accepted: count,
    isLate: fc.boolean(),
    source: text,
    sequence: fc.option(count, { nil: undefined }),
    correlation: text,
    causation: text,
    term: fc.nat(2 ** 31),
    appendNumber: fc.nat(2 ** 31),
    outcomeKind: fc.constantFrom(0 as const, 1 as const, 2 as const),
    outcome: fc.uint8Array({ maxLength: 4 }),
    data,
    event: fc.constant(undefined),
  })
  .map((made) => ({ ...made, event: ['Sampled', 'Alarm', undefined, 'ü'][made.typeNumber] }))

describe('rows on their way to another process', () => {
  test('come back as they were, to the last bit', () => {
    fc.assert(
      fc.property(fc.array(row, { maxLength: 12 }), count, count, (rows, next, end) => {
        const back = unpackBatch(packBatch({ rows, next, end }))

        expect(back).toStrictEqual({ rows, next, end })
        expect(back.rows.map(({ data: one }) => Object.keys(one))).toEqual(rows.map(({ data: one }) => Object.keys(one)))
      }),
      { numRuns: 200 },
    )
  })
})
