import { describe, expect, test } from 'vitest'
import { bool, f32, f64, fieldSchemas, i32, i64, json, label, readAs, readingOf, text, time, whyNotReadable } from '#schema/index.js'
import type { Fields } from '#schema/index.js'

const WAS = { temperature: f64('°C'), code: label({ oneOf: ['A', 'B'] }), count: i32(), note: text({ optional: true }) }

describe('events stored with some fields', () => {
  test.each<[string, Fields]>([
    ['the same', WAS],
    ['another order', { note: WAS.note, count: WAS.count, code: WAS.code, temperature: WAS.temperature }],
    ['an optional one in front', { first: bool({ optional: true }), ...WAS }],
    [
      'one with a default in the middle',
      { temperature: WAS.temperature, mode: label({ default: 'auto' }), code: WAS.code, count: WAS.count, note: WAS.note },
    ],
    ['an optional one that was not', { ...WAS, temperature: f64('°C', { optional: true }) }],
    ['a default for an optional one', { ...WAS, note: text({ default: '' }) }],
    ['i32 as i64', { ...WAS, count: i64() }],
    ['i32 as f64', { ...WAS, count: f64() }],
    ['more values of a label', { ...WAS, code: label({ oneOf: ['C', 'B', 'A'] }) }],
    ['any label', { ...WAS, code: label() }],
    ['a label as text', { ...WAS, code: text() }],
  ])('can be read with %s', (_, is) => {
    expect(whyNotReadable(fieldSchemas(WAS), fieldSchemas(is))).toBeUndefined()
  })

  const { count: _, ...withoutCount } = WAS
  test.each<[string, Fields, string, string]>([
    ['one gone', withoutCount, 'count', 'it is gone'],
    ['one renamed', { ...withoutCount, total: i32() }, 'count', 'it is gone'],
    ['a new one that must be there', { ...WAS, force: f64() }, 'force', 'it is new, and neither optional nor with a default'],
    ['another unit', { ...WAS, temperature: f64('°F') }, 'temperature', 'it was in °C, it is in °F'],
    ['no unit', { ...WAS, temperature: f64() }, 'temperature', 'it was in °C, it is in no unit'],
    ['a narrower kind', { ...WAS, temperature: f32('°C') }, 'temperature', 'it was f64, it is f32'],
    ['a time for a number', { ...WAS, count: time() }, 'count', 'it was i32, it is time'],
    ['json for text', { ...WAS, note: json({ optional: true }) }, 'note', 'it was text, it is json'],
    ['fewer values of a label', { ...WAS, code: label({ oneOf: ['A'] }) }, 'code', 'it may be B no more'],
    [
      'an optional one that must be there now',
      { ...WAS, note: text() },
      'note',
      'it was optional, and now it is neither that nor with a default',
    ],
  ])('cannot be read with %s, by name', (__, is, field, how) => {
    expect(whyNotReadable(fieldSchemas(WAS), fieldSchemas(is))).toEqual({ field, how })
  })

  test('come out with the fields of today in their order, defaults filled in and no object shared', () => {
    const is = { mode: label({ default: 'auto' }), list: json({ default: [1] }), count: i64(), note: text({ optional: true }) }
    const read = readAs(fieldSchemas({ note: WAS.note, count: WAS.count }), fieldSchemas(is))

    const first = read?.({ count: 3 })
    const second = read?.({ note: 'x', count: 4 })

    expect(Object.entries(first as object)).toEqual([
      ['mode', 'auto'],
      ['list', [1]],
      ['count', 3],
    ])
    expect(second).toEqual({ mode: 'auto', list: [1], count: 4, note: 'x' })
    expect(first?.list).not.toBe(second?.list)
  })

  test('are left as they are where only kinds are wider', () => {
    expect(readAs(fieldSchemas({ a: i32(), b: label() }), fieldSchemas({ a: f64(), b: text() }))).toBeUndefined()
  })
})

describe('the reading of a stored shape', () => {
  const schema = {
    entity: 'press',
    events: [
      {
        event: 'Sampled',
        fields: fieldSchemas({ temperature: f64() }),
        former: [
          { event: 'Measured', fields: fieldSchemas({ temp: f64() }) },
          { event: 'Sampled', fields: fieldSchemas({ temperature: f64({ optional: true }), old: bool({ optional: true }) }) },
        ],
      },
    ],
    commands: [],
    dropped: ['Calibrated'],
  }

  test.each<[string, string, Fields, unknown]>([
    ['is the present one', 'Sampled', { temperature: f64() }, { kind: 'present', event: 0 }],
    ['is the present one when it can be read so', 'Sampled', { temperature: i32() }, { kind: 'present', event: 0 }],
    ['is a former one under another name', 'Measured', { temp: f64() }, { kind: 'former', event: 0, step: 0 }],
    ['is a former one when it can be read so', 'Sampled', { temperature: f64(), old: bool() }, { kind: 'former', event: 0, step: 1 }],
    ['is none when the event was dropped', 'Calibrated', { any: bool() }, { kind: 'dropped' }],
    ['is unknown for another name', 'Heated', { temperature: f64() }, undefined],
    ['is unknown for fields that nobody declared', 'Sampled', { heat: f64() }, undefined],
  ])('%s', (_, event, fields, reading) => {
    expect(readingOf(schema, { entity: 'press', event, fields: fieldSchemas(fields), number: 1 }, [])).toEqual(reading)
  })
})
