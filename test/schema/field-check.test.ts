import { describe, expect, test } from 'vitest'
import {
  bool,
  createCodec,
  f32,
  f64,
  type FieldSchema,
  fieldSchemas,
  i32,
  i64,
  json,
  LABEL_BYTES_MAX,
  label,
  TEXT_BYTES_MAX,
  text,
  time,
} from '#schema/index.js'

const FIELDS = {
  temperature: f64('°C'),
  rate: f32({ optional: true }),
  count: i32({ optional: true }),
  order: i64({ optional: true }),
  isDone: bool({ optional: true }),
  code: label({ optional: true, oneOf: ['A', 'B'] }),
  name: label({ optional: true }),
  note: text({ optional: true }),
  begun: time({ optional: true }),
  extra: json({ optional: true }),
}

describe('data of an event or a command', () => {
  const codec = createCodec(fieldSchemas(FIELDS))

  test.each([
    [{ temperature: 'x' }, "temperature: expected a number, got 'x'"],
    [{ temperature: null }, 'temperature: expected a number, got null'],
    [{ temperature: 1n }, 'temperature: expected a number, got 1n'],
    [{}, 'temperature: missing, expected a number'],
    [{ temperature: 1, rate: 1e39 }, 'rate: 1e+39 is beyond the range of f32'],
    [{ temperature: 1, count: 2 ** 31 }, 'count: expected a whole number of 32 bits, got 2147483648'],
    [{ temperature: 1, count: 1.5 }, 'count: expected a whole number of 32 bits, got 1.5'],
    [{ temperature: 1, count: Number.NaN }, 'count: expected a whole number of 32 bits, got NaN'],
    [{ temperature: 1, order: 2 ** 53 }, 'order: expected a safe integer, got 9007199254740992'],
    [{ temperature: 1, order: 1n }, 'order: expected a safe integer, got 1n'],
    [{ temperature: 1, begun: 0.5 }, 'begun: expected whole microseconds since 1970, got 0.5'],
    [{ temperature: 1, begun: new Date() }, 'begun: expected whole microseconds since 1970, got an object'],
    [{ temperature: 1, isDone: 1 }, 'isDone: expected true or false, got 1'],
    [{ temperature: 1, code: 'C' }, "code: expected one of 'A', 'B', got 'C'"],
    [{ temperature: 1, code: 'constructor' }, "code: expected one of 'A', 'B', got 'constructor'"],
    [{ temperature: 1, name: '\ud800' }, 'name: not well-formed Unicode'],
    [
      { temperature: 1, name: 'ä'.repeat(LABEL_BYTES_MAX / 2 + 1) },
      `name: ${LABEL_BYTES_MAX + 2} bytes are more than the ${LABEL_BYTES_MAX} allowed`,
    ],
    [
      { temperature: 1, note: 'a'.repeat(TEXT_BYTES_MAX + 1) },
      `note: ${TEXT_BYTES_MAX + 1} bytes are more than the ${TEXT_BYTES_MAX} allowed`,
    ],
    [{ temperature: 1, note: 5 }, 'note: expected text, got 5'],
    [{ temperature: 1, extra: { a: [1, Number.NaN] } }, 'extra.a[1]: JSON has no NaN'],
    [{ temperature: 1, extra: { a: () => 1 } }, 'extra.a: JSON has no function'],
    [{ temperature: 1, extra: new Map() }, 'extra: JSON has no Map'],
    [{ temperature: 1, extra: JSON.parse('{"__proto__": 1}') }, 'extra: a key named __proto__ is refused'],
    [{ temperature: 1, extra: 'a'.repeat(300_000) }, 'extra: 300005 bytes are more than the 262144 allowed'],
    [5, `expected an object with the fields ${Object.keys(FIELDS).join(', ')}, got 5`],
    [null, `expected an object with the fields ${Object.keys(FIELDS).join(', ')}, got null`],
    [[], `expected an object with the fields ${Object.keys(FIELDS).join(', ')}, got an array`],
  ])('is refused with a path, case %#', (value, problem) => {
    expect(codec.check(value)).toBe(problem)
  })

  test('is refused with a field that the schema has not, by name', () => {
    expect(codec.check({ temperature: 1, temprature: 2 })).toBe(
      `temprature: unknown field, expected the fields ${Object.keys(FIELDS).join(', ')}`,
    )
  })

  test('is accepted at the limits', () => {
    const value = {
      temperature: Number.NaN,
      rate: -Infinity,
      count: -(2 ** 31),
      order: Number.MIN_SAFE_INTEGER,
      code: 'B',
      name: 'ä'.repeat(LABEL_BYTES_MAX / 2),
      note: 'a'.repeat(TEXT_BYTES_MAX),
      extra: { deep: [null, { a: undefined }] },
    }

    expect(codec.check(value)).toBeUndefined()
    expect(codec.check({ temperature: 1, rate: undefined })).toBeUndefined()
    expect(codec.check({ temperature: 1, rate: 3.4028234663852886e38 })).toBeUndefined()
  })

  test('with JSON that holds itself is refused', () => {
    const extra: Record<string, unknown> = {}
    extra.self = extra

    expect(codec.check({ temperature: 1, extra })).toMatch(/^extra\.self.*: nested deeper than 64$/)
  })
})

describe('a schema that is wrong', () => {
  test.each<[FieldSchema, string]>([
    [{ name: '__proto__', kind: 'f64', isOptional: false }, '__proto__: the name __proto__ is taken by JavaScript'],
    [{ name: 'constructor', kind: 'f64', isOptional: false }, 'constructor: the name constructor is taken by JavaScript'],
    [{ name: 'a-b', kind: 'f64', isOptional: false }, 'a-b: a name is an identifier: letters, digits, _ and $'],
    [{ name: '"]; process.exit(1); ["', kind: 'f64', isOptional: false }, 'a name is an identifier'],
    [{ name: 'a', kind: 'f128' as 'f64', isOptional: false }, 'a: not a field, use one of f64()'],
    [{ name: 'a', kind: 'label', isOptional: false, oneOf: [] }, 'a: oneOf is a list of at least one text'],
    [{ name: 'a', kind: 'label', isOptional: false, oneOf: ['x', 'x'] }, 'a: oneOf has a value twice'],
    [{ name: 'a', kind: 'text', isOptional: false, oneOf: ['x'] }, 'a: only a label has oneOf'],
    [{ name: 'a', kind: 'i32', isOptional: false, defaultValue: 1.5 }, 'a: default: expected a whole number of 32 bits, got 1.5'],
    [{ name: 'a', kind: 'label', isOptional: false, oneOf: ['x'], defaultValue: 'y' }, "a: default: expected one of 'x', got 'y'"],
  ])('is refused: %j', (field, problem) => {
    expect(() => createCodec([field])).toThrow(problem)
  })

  test('is refused with two fields of one name', () => {
    const field: FieldSchema = { name: 'a', kind: 'f64', isOptional: false }

    expect(() => createCodec([field, field])).toThrow('a: there are two of this name')
  })
})
