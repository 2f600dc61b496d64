import fc from 'fast-check'
import { Packr } from 'msgpackr'
import { describe, expect, test } from 'vitest'
import { isPowerOfTwo } from '#base/align.js'
import { FakeClock, MonotoneMicros } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { exactJson } from '#base/exact-json.js'
import { hash32 } from '#base/hash.js'
import { ENTITY_ID_BYTES_MAX, entityId, parseEntityId, shardOfId } from '#base/ids.js'
import { pack, unpack } from '#base/pack.js'
import { Prng } from '#base/prng.js'

describe('a fake clock', () => {
  test('fires what falls due on the way, in order, each at its own time', () => {
    const clock = new FakeClock(0)
    const fired: [string, number][] = []
    const note = (name: string) => () => fired.push([name, clock.nowMicros()])
    clock.after(20, note('late'))
    clock.after(10, note('first of two'))
    clock.after(10, note('second of two'))
    const cancel = clock.after(15, note('cancelled'))

    cancel()
    clock.advance(30)

    expect(fired).toEqual([
      ['first of two', 10_000],
      ['second of two', 10_000],
      ['late', 20_000],
    ])
    expect(clock.nowMicros()).toBe(30_000)
  })

  test('fires a timer that a timer set within the same advance', () => {
    const clock = new FakeClock(0)
    let at = 0
    clock.after(10, () =>
      clock.after(5, () => {
        at = clock.nowMicros()
      }),
    )

    clock.advance(20)

    expect(at).toBe(15_000)
  })
})

describe('monotone microseconds', () => {
  test('go on by one where the clock stands still or goes back', () => {
    let now = 100
    const micros = new MonotoneMicros({ nowMicros: () => now, monotonicMs: () => 0, after: () => () => undefined })

    const given = [micros.next(), micros.next()]
    now = 50
    given.push(micros.next())
    now = 500
    given.push(micros.next())

    expect(given).toEqual([100, 101, 102, 500])
  })
})

describe('a seeded generator', () => {
  test('gives the same numbers for the same seed, others for another', () => {
    const numbers = (seed: number) => {
      const prng = new Prng(seed)
      return Array.from({ length: 50 }, () => prng.next())
    }

    expect(numbers(7)).toEqual(numbers(7))
    expect(numbers(7)).not.toEqual(numbers(8))
  })

  test('spreads evenly and normally', () => {
    const prng = new Prng(1)
    const even = Array.from({ length: 20_000 }, () => prng.below(10))
    const normal = Array.from({ length: 20_000 }, () => prng.normal(5, 2))

    for (let value = 0; value < 10; value++) expect(Math.abs(even.filter((one) => one === value).length - 2000)).toBeLessThan(200)
    const mean = normal.reduce((sum, one) => sum + one, 0) / normal.length
    const deviation = Math.sqrt(normal.reduce((sum, one) => sum + (one - mean) ** 2, 0) / normal.length)
    expect(Math.abs(mean - 5)).toBeLessThan(0.1)
    expect(Math.abs(deviation - 2)).toBeLessThan(0.1)
  })
})

describe('an error', () => {
  test('says the fact, the values by name and what to do', () => {
    const error = new MillraceError('ERR_TEST', {
      fact: 'it is full',
      action: 'retry',
      values: { path: '/a b', free: 7 },
      next: 'free some',
    })

    expect(error.message).toBe('it is full path="/a b" free=7: free some')
    expect(error).toMatchObject({ code: 'ERR_TEST', action: 'retry', values: { path: '/a b', free: 7 } })
  })
})

describe('an entity id', () => {
  test('joins and parts type and name', () => {
    expect(entityId('press', 'hall 1/press-7')).toBe('press/hall 1/press-7')
    expect(parseEntityId('press/hall 1/press-7')).toEqual({ type: 'press', name: 'hall 1/press-7' })
  })

  test.each([
    ['no slash', 'press'],
    ['an empty name', 'press/'],
    ['an upper-case type', 'Press/1'],
    ['a control character', 'press/a\nb'],
    ['half a surrogate pair', 'press/\ud800'],
    ['more bytes than fit', `press/${'ä'.repeat(ENTITY_ID_BYTES_MAX / 2)}`],
  ])('is refused with %s', (_what, id) => {
    expect(() => parseEntityId(id)).toThrow(expect.objectContaining({ code: 'ERR_ENTITY_ID' }))
  })

  test('belongs to the shard that it always belonged to', () => {
    // Every data directory depends on it. Computed by another program: FNV-1a with the finaliser of Murmur3, modulo 64.
    expect(['press/press-1', 'press/press-2', 'machine/cnc-mill-001'].map((id) => shardOfId(id, 64))).toEqual([57, 40, 51])
    expect(hash32(new TextEncoder().encode('press/press-1'))).toBe(hash32(new TextEncoder().encode('xpress/press-1'), 1))
  })
})

describe('exact JSON', () => {
  test('keeps apart what JSON throws together', () => {
    const value = { a: -0, b: Number.NaN, c: Number.NEGATIVE_INFINITY, d: undefined, e: [1.1, null], f: new Uint8Array([1, 2]), g: 10n }

    expect(exactJson(value)).toBe('{"a":-0,"b":"NaN","c":"-Infinity","e":[1.1,null],"f":"AQI=","g":"10"}')
  })
})

describe('packed bytes', () => {
  test('are those of msgpack, whoever writes and reads them', () => {
    const library = new Packr({ useRecords: false, moreTypes: true })
    const scalar = fc.oneof(
      fc.integer({ min: -(2 ** 32), max: 2 ** 34 }),
      fc.maxSafeInteger(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
    )
    const edges = [0, -0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, Number.NaN, undefined]
    const claim = (value: unknown) => {
      expect(pack(value)).toEqual(new Uint8Array(library.pack(value)))
      expect(unpack(pack(value))).toEqual(library.unpack(library.pack(value)))
    }
    for (const value of edges) claim(value)
    fc.assert(fc.property(fc.oneof(scalar, fc.string(), fc.array(scalar)), claim))
  })

  test('that are cut off or go on are refused', () => {
    const [whole, longer] = [pack(0.5), Uint8Array.of(...pack(7), 0)]
    expect(() => unpack(whole.subarray(0, 8))).toThrow()
    expect(() => unpack(longer)).toThrow()
    expect(() => unpack(new Uint8Array(0))).toThrow()
  })

  test('come back as they were, from a copy of their own', () => {
    const first = pack(['CODE', { nested: [1, 'x', null, Number.NaN] }])
    pack('something else')

    expect(unpack(first)).toEqual(['CODE', { nested: [1, 'x', null, Number.NaN] }])
  })
})

describe('a power of two', () => {
  test('is told from other numbers', () => {
    expect([1, 2, 1024, 2 ** 40].every(isPowerOfTwo)).toBe(true)
    expect([0, -2, 3, 1.5, Number.NaN, 2 ** 60 + 1000].some(isPowerOfTwo)).toBe(false)
  })
})
