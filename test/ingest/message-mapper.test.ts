import { describe, expect, test } from 'vitest'
import { MessageMapper, type MqttMessage } from '#ingest/message-mapper.js'
import { parseMap } from '#ingest/map-file.js'

const BASE = `
format: json
entity: { type: press, name: { topic: 1 } }
command: sample
fields: { temperature: { path: temperature } }
`

function map(more: string, payload: unknown, message: Partial<MqttMessage> = {}, base = BASE) {
  const text = typeof payload === 'string' ? payload : JSON.stringify(payload)
  return new MessageMapper(parseMap(base + more, 'press.map.yaml')).map({
    topic: 'factory/p1',
    payload: Buffer.from(text),
    userProperties: undefined,
    ...message,
  })
}

describe('a message and its map', () => {
  test('give a command without source and sequence where the map names none', () => {
    expect(map('', { temperature: 1.5 })).toEqual({
      source: '',
      sequence: 0,
      entity: 'press/p1',
      command: 'sample',
      data: { temperature: 1.5 },
      at: undefined,
    })
  })

  test.each([
    ['the topic', '', 'mqtt:factory/p1'],
    ['a level of the topic', 'source: { topic: 1, prefix: dev- }', 'mqtt:dev-p1'],
    ['a path', 'source: { path: device.id }', 'mqtt:17'],
    ['a text', 'source: line-3', 'mqtt:line-3'],
  ])('give %s as the source', (_name, more, source) => {
    expect(map(`sequence: { path: n }\n${more}`, { n: 1, temperature: 1, device: { id: 17 } })).toMatchObject({ source, sequence: 1 })
  })

  test('give a source of bounded length, another one for another topic', () => {
    const long = (last: string) =>
      map('sequence: { path: n }', { n: 1, temperature: 1 }, { topic: `factory/p1/${'x'.repeat(60_000)}${last}` })

    expect(long('a')).toMatchObject({ source: expect.stringMatching(/^mqtt:[0-9a-f]{64}$/) as string })
    expect(long('a')).not.toEqual(long('b'))
  })

  test.each([
    [{ n: '12' }, 12],
    ['only once', 'user property n holds no whole number, and it is the sequence'],
    [{ n: ['1', '2'] }, 'user property n holds no whole number, and it is the sequence'],
    [{ n: '9007199254740993' }, 'user property n holds no whole number, and it is the sequence'],
    [{ m: '1' }, 'user property n is missing, it holds the sequence'],
    [undefined, 'user property n is missing, it holds the sequence'],
  ])('take the sequence from user properties %j', (given, expected) => {
    const userProperties = typeof given === 'string' ? { n: given } : given

    const mapped = map('sequence: { property: n }', { temperature: 1 }, { userProperties: userProperties as MqttMessage['userProperties'] })

    expect(typeof mapped === 'string' ? mapped : mapped.sequence).toBe(expected)
  })

  test('read values as the kinds that the map says, and leave out what is optional', () => {
    const fields = `
format: json
entity: { type: press, name: { path: id } }
command: sample
fields:
  t: { path: 'v[0]', scale: 0.5 }
  nan: { path: nan }
  n: { path: n, kind: i64 }
  on: { path: on, kind: bool }
  mode: { path: mode, kind: label }
  raw: { path: raw, kind: json }
  when: { path: when, kind: time, format: unix-s }
  line: { topic: 0, kind: label }
  absent: { path: absent, optional: true }
`
    const payload = { id: 'p9', v: [3], nan: 'NaN', n: 7, on: true, mode: 'auto', raw: { a: [1] }, when: 1.5 }

    expect(map('', payload, {}, fields)).toMatchObject({
      entity: 'press/p9',
      data: { t: 1.5, nan: Number.NaN, n: 7, on: true, mode: 'auto', raw: { a: [1] }, when: 1_500_000, line: 'factory' },
    })
  })

  test.each([
    ['a payload that is not an object', '', '12', 'temperature is missing'],
    [
      'a time that is none',
      'time: { path: t }',
      { t: 'noon', temperature: 1 },
      "t is not a time of the form 2020-03-09T10:14:33Z: 'noon', it holds the time",
    ],
    ['an object for a number', '', { temperature: {} }, 'temperature is an object'],
    ['null for a number', '', { temperature: null }, 'temperature is missing'],
    ['__proto__ for a path', 'sequence: { path: __proto__ }', { temperature: 1 }, '__proto__ is missing, it holds the sequence'],
  ])('refuse %s', (_name, more, payload, reason) => {
    expect(map(more, payload)).toBe(reason)
  })

  test('read a payload that is a bare value, as $', () => {
    const fields = 'format: json\nentity: { type: press, name: { topic: 1 } }\ncommand: sample\nfields: { temperature: { path: $ } }'

    expect(map('', '71.5', {}, fields)).toMatchObject({ data: { temperature: 71.5 } })
    expect(map('', '"hot"', {}, fields)).toBe("the payload is not a number: 'hot'")
  })

  test('refuse a topic without the level that names the entity', () => {
    expect(map('', { temperature: 1 }, { topic: 'factory' })).toBe("the entity's name: level 1 of the topic is missing")
  })
})
