import { describe, expect, test } from 'vitest'
import {
  type EntitySchema,
  entitySchemaFromJson,
  entitySchemaToJson,
  f64,
  fieldSchemas,
  i32,
  json,
  label,
  schemaHash,
  schemaHashHex,
} from '#schema/index.js'

const PRESS: EntitySchema = {
  entity: 'press',
  events: [
    {
      event: 'Sampled',
      fields: fieldSchemas({
        temperature: f64('°C', { default: Number.NaN }),
        force: f64({ default: -0 }),
        far: f64({ default: -Infinity }),
        code: label({ oneOf: ['A', 'B'], default: 'A' }),
        extra: json({ default: { b: [1, 'NaN'], a: null } }),
      }),
    },
  ],
  commands: [{ command: 'sample', fields: fieldSchemas({ count: i32({ optional: true }) }) }],
}

describe('an entity schema', () => {
  test('comes back from JSON as it was, with numbers that JSON lacks', () => {
    expect(entitySchemaFromJson(entitySchemaToJson(PRESS))).toStrictEqual(PRESS)
  })

  test('has one JSON and one hash, whatever order its properties were made in', () => {
    const reordered: EntitySchema = {
      commands: PRESS.commands,
      events: PRESS.events.map(({ fields, event }) => ({
        fields: fields.map((field) => Object.fromEntries(Object.entries(field).reverse()) as never),
        event,
      })),
      entity: 'press',
    }

    expect(entitySchemaToJson(reordered)).toBe(entitySchemaToJson(PRESS))
    expect(schemaHashHex([reordered])).toBe(schemaHashHex([PRESS]))
  })

  test('has another hash after any change', () => {
    const fields = PRESS.events[0]?.fields ?? []
    const changed = [
      fields.slice(1),
      fields.toReversed(),
      fields.map((field) => ({ ...field, isOptional: !field.isOptional })),
      fields.map((field) => ({ ...field, unit: 'K' })),
      fields.map(({ name, kind, isOptional }) => ({ name, kind, isOptional })),
    ]

    const hashes = [fields, ...changed].map((list) => schemaHashHex([list]))

    expect(new Set(hashes).size).toBe(hashes.length)
  })

  test('keeps its hash for ever, as 64 hex digits and as an int32 of the same bytes', () => {
    const hex = schemaHashHex([PRESS])

    expect(hex).toMatch(/^[0-9a-f]{64}$/)
    expect(schemaHash([PRESS])).toBe(Buffer.from(hex, 'hex').readInt32LE(0))
    expect(schemaHashHex([fieldSchemas({ a: f64('mm') })])).toBe(HASH_OF_A)
  })
})

/** sha256 of `[[{"name":"a","kind":"f64","unit":"mm","isOptional":false}]]`. */
const HASH_OF_A = '1a45b564e7c96dbe114bf9efe721bcedd452920060c8e7a001657a8f465beacd'

describe('JSON that is no entity schema', () => {
  test.each([
    ['{', 'a schema is not JSON'],
    ['5', 'expected an object'],
    ['{"entity":"Press"}', 'entity: expected the name of an entity type'],
    ['{"entity":"press","events":{}}', 'events: expected a list'],
    ['{"entity":"press","events":[{"event":"then","fields":[]}]}', 'events[0].event: the name then is taken by JavaScript'],
    ['{"entity":"press","events":[{"event":"A","fields":[{"name":"a"}]}]}', 'events[0].fields.a: not a field'],
    ['{"entity":"press","events":[],"commands":[3]}', 'commands: expected a list of objects'],
  ])('is refused with its path: %s', (text, problem) => {
    expect(() => entitySchemaFromJson(text)).toThrow(problem)
  })
})
