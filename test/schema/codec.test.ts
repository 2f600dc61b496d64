import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMillraceError } from '#base/errors.js'
import {
  bool,
  createCodec,
  decodePayload,
  encodePayload,
  f32,
  f64,
  type Fields,
  fieldSchemas,
  i32,
  i64,
  json,
  label,
  text,
  time,
} from '#schema/index.js'

describe('the payload of an event with every kind of field', () => {
  const codec = codecOf({
    a: f64(),
    b: f32(),
    c: i32(),
    d: i64(),
    e: bool(),
    f: label(),
    g: text({ optional: true }),
    h: time(),
    i: json({ optional: true }),
  })

  test('lies as the layout says, byte for byte', () => {
    const bytes = encodePayload(codec, { a: 1, b: -2, c: -3, d: 4, e: true, f: 'né', g: 'x', h: 5, i: [1] })

    expect([...bytes]).toEqual([
      ...[0b11], // both optional fields are there
      ...[0, 0, 0, 0, 0, 0, 0xf0, 0x3f],
      ...[0, 0, 0, 0xc0],
      ...[0xfd, 0xff, 0xff, 0xff],
      ...[0, 0, 0, 0, 0, 0, 0x10, 0x40],
      ...[1],
      ...[3, 0, 0, 0],
      ...[1, 0, 0, 0],
      ...[0, 0, 0, 0, 0, 0, 0x14, 0x40],
      ...[2, 0, 0, 0],
      ...[0x6e, 0xc3, 0xa9],
      ...[0x78],
      ...[0x91, 1],
    ])
  })

  test('has zeros for what is absent, also over memory used before', () => {
    const value = { a: 0, b: 0, c: 0, d: 0, e: false, f: '', h: 0 }
    const bytes = new Uint8Array(codec.encodedBytes(value)).fill(0xff)

    const end = codec.encode(value, bytes, new DataView(bytes.buffer), 0)

    expect(end).toBe(codec.layout.fixedBytes)
    expect([...bytes]).toEqual(new Array(end).fill(0))
    expect(decodePayload(codec, bytes)).toStrictEqual(value)
  })
})

describe('a codec of any schema', () => {
  test('gives back any value as it normalises it, wherever it lies, and never looks outside', () => {
    fc.assert(
      fc.property(schemaAndValue(), fc.nat(64), ([fields, value], before) => {
        const codec = codecOf(fields)
        expect(codec.check(value)).toBeUndefined()
        const normal = codec.normalise(value)
        const length = codec.encodedBytes(value)
        const memory = new Uint8Array(before + length + 8).fill(0xaa)
        const view = new DataView(memory.buffer)

        const end = codec.encode(value, memory, view, before)
        const decoded = codec.decode(memory, view, before, length)

        expect(end).toBe(before + length)
        expect(decoded).toStrictEqual(normal)
        expect(Object.keys(decoded)).toEqual(Object.keys(normal))
        expect([...memory.subarray(0, before), ...memory.subarray(end)].every((byte) => byte === 0xaa)).toBe(true)
        expect(codec.check(decoded)).toBeUndefined()
        expect(codec.encodedBytes(normal)).toBe(length)
      }),
      { numRuns: 500 },
    )
  })

  test('refuses a payload of any other length, and survives any bytes', () => {
    fc.assert(
      fc.property(
        schemaAndValue(),
        fc.integer({ min: -40, max: 8 }),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        ([fields, value], more, flips) => {
          const codec = codecOf(fields)
          const whole = encodePayload(codec, value)
          const bytes = new Uint8Array(whole.length + Math.max(-whole.length, more))
          bytes.set(whole.subarray(0, bytes.length))
          for (const [at, flip] of flips) if (bytes.length > 0) bytes[at % bytes.length] = flip

          let thrown: unknown
          try {
            decodePayload(codec, bytes)
          } catch (error) {
            thrown = error
          }

          if (thrown !== undefined) expect(isMillraceError(thrown, 'ERR_PAYLOAD_DAMAGED'), (thrown as Error).message).toBe(true)
          else if (flips.length === 0) expect(bytes.length).toBe(whole.length)
        },
      ),
      { numRuns: 500 },
    )
  })

  test('refuses a field that ends behind its payload, before it looks there', () => {
    const codec = codecOf({ code: label() })
    const memory = new Uint8Array(16).fill(0xff) // no UTF-8
    const view = new DataView(memory.buffer)
    view.setUint32(0, 5, true)

    expect(() => codec.decode(memory, view, 0, 8)).toThrow('a payload does not fit its schema, code ends behind it')
  })

  test('refuses a payload that ends behind its memory', () => {
    const codec = codecOf({ a: f64() })
    const bytes = new Uint8Array(12)

    expect(() => codec.decode(bytes, new DataView(bytes.buffer), 8, 8)).toThrow(/ERR_PAYLOAD_DAMAGED|ends behind the memory/)
  })
})

describe('numbers', () => {
  test.each([0, -0, Number.NaN, Infinity, -Infinity, 5e-324, -1.7976931348623157e308, 0.1])('a double keeps %d bit for bit', (value) => {
    const codec = codecOf({ a: f64() })

    expect(decodePayload(codec, encodePayload(codec, { a: value })).a).toBe(value)
  })

  test('f32 is rounded when it is normalised, as when it is stored', () => {
    const codec = codecOf({ a: f32() })

    expect(codec.normalise({ a: 0.1 })).toEqual({ a: Math.fround(0.1) })
    expect(decodePayload(codec, encodePayload(codec, { a: 0.1 }))).toEqual({ a: Math.fround(0.1) })
  })

  test('whole numbers have no -0', () => {
    const codec = codecOf({ a: i32(), b: i64(), c: time() })

    expect(codec.normalise({ a: -0, b: -0, c: -0 })).toStrictEqual({ a: 0, b: 0, c: 0 })
    expect(decodePayload(codec, encodePayload(codec, { a: -0, b: -0, c: -0 }))).toStrictEqual({ a: 0, b: 0, c: 0 })
  })
})

describe('defaults', () => {
  const codec = codecOf({
    a: f64({ default: 7 }),
    b: text({ optional: true, default: 'none' }),
    c: json<{ n: number }>({ default: { n: 1 } }),
  })

  test('stand in for what is left out, when normalised and when encoded', () => {
    const full = { a: 7, b: 'none', c: { n: 1 } }

    expect(codec.check({})).toBeUndefined()
    expect(codec.normalise({})).toStrictEqual(full)
    expect(decodePayload(codec, encodePayload(codec, {}))).toStrictEqual(full)
    expect(codec.normalise({ a: undefined })).toStrictEqual(full)
  })

  test('stand in for an optional field that a stored payload lacks', () => {
    const older = codecOf({ b: text({ optional: true }) })
    const newer = codecOf({ b: text({ optional: true, default: 'none' }) })

    expect(decodePayload(newer, encodePayload(older, {}))).toStrictEqual({ b: 'none' })
  })

  test('are not shared between values', () => {
    const one = codec.normalise({}) as { c: { n: number } }
    one.c.n = 2

    expect(codec.normalise({})).toHaveProperty('c.n', 1)
  })
})

describe('a normalised value', () => {
  test('shares nothing with the original', () => {
    const codec = codecOf({ a: f64(), b: json<{ list: number[] }>() })
    const original = { a: 1, b: { list: [1], gone: undefined } }

    const normal = codec.normalise(original) as { b: { list: number[] } }
    normal.b.list.push(2)

    expect(original.b.list).toEqual([1])
    expect(normal.b).not.toHaveProperty('gone')
  })
})

describe('labels read again and again', () => {
  test('come out right when their bytes lie in a Buffer that is overwritten', () => {
    const codec = codecOf({ code: label() })
    const memory = Buffer.alloc(64)
    const view = new DataView(memory.buffer, memory.byteOffset, memory.length)

    const read = ['AbXcA', 'AdXcA', 'AbXcA', 'AdXcA', 'ÄÖÜ', 'AbXcA'].map((code) => {
      const end = codec.encode({ code }, memory, view, 3)
      return codec.decode(memory, view, 3, end - 3).code
    })

    expect(read).toEqual(['AbXcA', 'AdXcA', 'AbXcA', 'AdXcA', 'ÄÖÜ', 'AbXcA'])
  })
})

describe('two json fields measured before either is written', () => {
  test('are each written as measured', () => {
    const codec = codecOf({ a: json() })
    const [one, other] = [{ a: { x: 1 } }, { a: { x: 'two' } }]
    const memory = new Uint8Array(codec.encodedBytes(one) + codec.encodedBytes(other))
    const view = new DataView(memory.buffer)

    const end = codec.encode(one, memory, view, 0)
    codec.encode(other, memory, view, end)

    expect(codec.decode(memory, view, 0, end)).toEqual(one)
    expect(codec.decode(memory, view, end, memory.length - end)).toEqual(other)
  })
})

function codecOf(fields: Fields) {
  return createCodec(fieldSchemas(fields))
}

function schemaAndValue(): fc.Arbitrary<[Fields, Record<string, unknown>]> {
  const kinds = {
    f64: [f64, fc.double()],
    f32: [f32, fc.float()],
    i32: [i32, fc.integer()],
    i64: [i64, fc.maxSafeInteger()],
    bool: [bool, fc.boolean()],
    label: [label, fc.oneof(fc.constantFrom('RUNNING', 'STOPPED', 'über'), fc.string({ unit: 'grapheme' }))],
    text: [text, fc.string({ unit: 'grapheme', maxLength: 80 })],
    time: [time, fc.maxSafeInteger()],
    json: [json, fc.jsonValue().filter((value) => !JSON.stringify(value).includes('__proto__'))],
  } as const
  const field = fc
    .constantFrom(...(Object.keys(kinds) as (keyof typeof kinds)[]))
    .chain((kind) => fc.tuple(fc.constant(kind), fc.boolean(), kinds[kind][1] as fc.Arbitrary<unknown>, fc.boolean()))
  return fc.array(field, { maxLength: 20 }).map((list) => {
    const fields: Record<string, Fields[string]> = {}
    const value: Record<string, unknown> = {}
    for (const [index, [kind, isOptional, one, isThere]] of list.entries()) {
      fields[`field${index}`] = (kinds[kind][0] as (options: object) => Fields[string])({ optional: isOptional })
      if (!isOptional || isThere) value[`field${index}`] = one
    }
    return [fields, value]
  })
}
