import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { encodeCanonical } from '#entity/index.js'
import { reverseProperties } from '#entity/state-copy.js'
import { digestState } from '#entity/state-digest.js'

const state = fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withNullPrototype: true, maxDepth: 4 })

describe('the digest of a state', () => {
  test('is the same for states that are encoded the same, and another one for others', () => {
    fc.assert(
      fc.property(state, state, (one, other) => {
        const isSame = Buffer.compare(encodeCanonical(one), encodeCanonical(other)) === 0
        expect(digestState(one) === digestState(other)).toBe(isSame)
      }),
    )
  })

  test('is that of a copy with its properties in the opposite order', () => {
    fc.assert(
      fc.property(state, (one) => {
        expect(digestState(reverseProperties(one, false))).toBe(digestState(one))
      }),
    )
  })

  test.each([
    ['a key and its value', { a: 'b' }, { b: 'a' }],
    ['two values', { a: 1, b: 2 }, { a: 2, b: 1 }],
    ['what is absent and what is undefined', { a: 1 }, { a: 1, b: undefined }],
    ['zero and its negative', { a: 0 }, { a: -0 }],
    ['a number and its text', [1], ['1']],
    ['a list and a list in a list', [[1], 2], [1, [2]]],
    ['a number and a bigint', { a: 1 }, { a: 1n }],
    ['bytes', new Uint8Array([1, 2]), new Uint8Array([2, 1])],
  ])('tells %s apart', (_, one, other) => {
    expect(digestState(one)).not.toBe(digestState(other))
  })

  const knot: { own?: object } = {}
  knot.own = knot
  test.each([
    ['a function', { a: () => 1 }],
    ['an instance of a class', { a: Buffer.from('odd') }],
    ['a symbol as a key', { [Symbol('odd')]: 1 }],
    ['an object that holds itself', knot],
  ])('is none where the state has %s', (_, odd) => {
    expect(digestState(odd)).toBeUndefined()
  })
})
