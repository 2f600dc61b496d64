import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMillraceError } from '#base/errors.js'
import { decodeCanonical, encodeCanonical } from '#entity/index.js'

describe('any plain state', () => {
  test('comes back as it was', () => {
    fc.assert(
      fc.property(plain(), (value) => {
        expect(decodeCanonical(encodeCanonical(value))).toStrictEqual(value)
      }),
      { numRuns: 300 },
    )
  })

  test('has the same bytes whatever order its properties were made in', () => {
    fc.assert(
      fc.property(plain(), (value) => {
        expect(encodeCanonical(reversed(value))).toEqual(encodeCanonical(value))
      }),
    )
  })

  test('has other bytes than one that differs', () => {
    fc.assert(
      fc.property(plain(), plain(), (one, other) => {
        const isSame = Buffer.compare(encodeCanonical(one), encodeCanonical(other)) === 0

        if (isSame) expect(decodeCanonical(encodeCanonical(other))).toStrictEqual(one)
        else expect(other).not.toStrictEqual(one)
      }),
    )
  })
})

describe('values that are easily lost', () => {
  test.each([
    ['-0', -0],
    ['NaN', Number.NaN],
    ['Infinity', -Infinity],
    ['the least whole number of 32 bits', -(2 ** 31)],
    ['one above 32 bits', 2 ** 31],
    ['the largest safe integer', Number.MAX_SAFE_INTEGER],
    ['an undefined property', { a: undefined }],
    ['a lone surrogate', ['\ud800', { '\udc00': 1 }]],
    ['a byte order mark', '\ufeffa'],
    ['a date that is none', new Date(Number.NaN)],
    ['a large bigint', [0n, -1n, 2n ** 200n, -(2n ** 64n)]],
    ['bytes', new Uint8Array([0, 255])],
    ['a map with objects as keys', new Map([[{ a: 1 }, new Set([[1], [2]])]])],
    ['an object without a prototype', Object.assign(Object.create(null), { a: 1 })],
    ['a key named __proto__', JSON.parse('{"__proto__":{"a":1}}')],
  ])('%s comes back', (_name, value) => {
    const back = decodeCanonical(encodeCanonical(value))

    expect(back).toStrictEqual(value)
  })

  test('holes of a list come back as undefined', () => {
    const list = [1]
    list[2] = 3

    expect(decodeCanonical(encodeCanonical(list))).toStrictEqual([1, undefined, 3])
  })

  test('the order of a map and a set is part of the value', () => {
    const [one, other] = [
      new Map([
        ['a', 1],
        ['b', 2],
      ]),
      new Map([
        ['b', 2],
        ['a', 1],
      ]),
    ]

    expect(encodeCanonical(one)).not.toEqual(encodeCanonical(other))
    expect(encodeCanonical(new Set([1, 2]))).not.toEqual(encodeCanonical(new Set([2, 1])))
  })

  test('bytes read from a Buffer are plain bytes of their own', () => {
    const stored = Buffer.from(encodeCanonical(new Uint8Array([1, 2])))

    const back = decodeCanonical(stored) as Uint8Array
    stored.fill(0)

    expect(back).toStrictEqual(new Uint8Array([1, 2]))
  })
})

describe('a state that is not plain', () => {
  class Part {
    name = 'part'
  }
  const cycle: { inner: { list: unknown[] } } = { inner: { list: [] } }
  cycle.inner.list.push(cycle)

  test.each([
    ['state.a.b[1]', { a: { b: [1, () => 1] } }, 'a function'],
    ['state.a', { a: Symbol('x') }, 'a symbol'],
    ['state.when', { when: new URL('http://localhost/') }, 'an instance of URL'],
    ['state.bytes', { bytes: Buffer.from('x') }, 'an instance of Buffer'],
    ['state.wide', { wide: new Float64Array(1) }, 'an instance of Float64Array'],
    ['state.map.x', { map: new Map([['x', /x/]]) }, 'an instance of RegExp'],
    [
      'state.map.(key 1)',
      {
        map: new Map<unknown, number>([
          ['x', 1],
          [Object, 2],
        ]),
      },
      'a function',
    ],
    ['state.set.(member 0)', { set: new Set([Promise.resolve()]) }, 'an instance of Promise'],
    ['state.inner.list[0]', cycle, 'an object that holds itself'],
    ['state', { [Symbol('x')]: 1 }, 'an object with a symbol as a key'],
    ['state.sub', { sub: new Part() }, 'an instance of Part'],
  ])('is refused with the path %s', (path, value, what) => {
    const thrown = thrownBy(() => encodeCanonical(value))

    expect(isMillraceError(thrown, 'ERR_STATE_NOT_PLAIN')).toBe(true)
    expect(thrown.message).toContain(`${what} path=`)
    expect((thrown as { values?: unknown }).values).toEqual({ path })
  })

  test('is refused when it is nested too deeply', () => {
    let deep: unknown = 1
    for (let depth = 0; depth < 501; depth++) deep = [deep]

    expect(thrownBy(() => encodeCanonical(deep)).message).toContain('nested deeper than 500')
  })
})

describe('bytes that are damaged', () => {
  test('give a value or ERR_CANONICAL_DAMAGED, and nothing else', () => {
    fc.assert(
      fc.property(plain(), fc.nat(), fc.nat(255), fc.boolean(), (value, at, flip, isCut) => {
        const whole = encodeCanonical(value)
        const bytes = isCut ? whole.subarray(0, at % whole.length) : whole.with(at % whole.length, flip)

        const thrown = thrownBy(() => decodeCanonical(bytes))

        expect(thrown === undefined || isMillraceError(thrown, 'ERR_CANONICAL_DAMAGED'), String(thrown)).toBe(true)
        if (isCut) expect(thrown).toBeDefined()
      }),
      { numRuns: 300 },
    )
  })

  test('are refused with more behind the value', () => {
    expect(() => decodeCanonical(new Uint8Array([1, 1]))).toThrow('there is more behind the value')
  })
})

function plain(): fc.Arbitrary<unknown> {
  return fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withNullPrototype: true,
    withUnicodeString: true,
    values: [
      fc.double(),
      fc.integer(),
      fc.string({ unit: 'binary' }),
      fc.constant(-0),
      fc.boolean(),
      fc.constant(undefined),
      fc.uint8Array(),
    ],
  } as fc.ObjectConstraints)
}

/** A copy with the properties of each object made in the opposite order. */
function reversed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(reversed)
  if (value instanceof Map) return new Map([...value].map(([key, one]) => [reversed(key), reversed(one)]))
  if (value instanceof Set) return new Set([...value].map(reversed))
  if (value instanceof Date || value instanceof Uint8Array) return value
  const copy = Object.create(Object.getPrototypeOf(value))
  for (const [key, one] of Object.entries(value).reverse()) {
    Object.defineProperty(copy, key, { value: reversed(one), writable: true, enumerable: true, configurable: true })
  }
  return copy
}

function thrownBy(call: () => unknown): Error {
  try {
    call()
  } catch (error) {
    return error as Error
  }
  return undefined as unknown as Error
}
