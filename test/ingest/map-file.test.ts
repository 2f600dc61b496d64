import { readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { durationMicros, parseMap, readMapFile } from '#ingest/map-file.js'

const CSV = 'format: csv\nentity: { type: press, name: p }\ncommand: sample\nfields:\n  t: { column: T }\n'
const JSON_MAP = 'format: json\nentity: { type: press, name: { topic: 1 } }\ncommand: sample\nfields:\n  t: { path: T }\n'

describe('a map file', () => {
  test('says as little as it can: all else has a default', () => {
    expect(parseMap(CSV, 'press.map.yaml')).toEqual({
      format: 'csv',
      csv: { delimiter: ',', quote: '"', gzip: 'auto', header: true, decimal: '.', encoding: 'utf-8' },
      zone: 'UTC',
      overlap: 'earlier',
      gap: 'reject',
      time: { kind: 'arrival' },
      entityType: 'press',
      entityName: { kind: 'constant', text: 'p' },
      command: 'sample',
      fields: [
        {
          field: 't',
          from: { kind: 'column', column: 'T' },
          kind: 'f64',
          unit: undefined,
          scale: 1,
          offset: 0,
          isOptional: false,
          format: 'iso',
        },
      ],
      skip: [],
      sequence: undefined,
      source: undefined,
      module: undefined,
    })
  })

  test('says where everything comes from', () => {
    const map = parseMap(
      `${CSV}  u: { column: 3, kind: i32, unit: kN, scale: 0.1, offset: -2, optional: true }\n  v: V\n` +
        'delimiter: "\\t"\nzone: Europe/Moscow\ntime: { start: 2020-03-09T10:00:00, step: 100ms }\nskip: [x, 4]\nmodule: ./press.js\nsource: line-7\n',
      'x',
    )

    expect(map).toMatchObject({
      csv: { delimiter: '\t' },
      time: { kind: 'step', startMicros: Date.UTC(2020, 2, 9, 7) * 1000, stepMicros: 100_000 },
      skip: ['x', 4],
      module: './press.js',
      source: { kind: 'constant', text: 'line-7' },
    })
    expect(map.fields.slice(1)).toMatchObject([
      { field: 'u', from: { column: 3 }, kind: 'i32', unit: 'kN', scale: 0.1, offset: -2, isOptional: true },
      { field: 'v', from: { column: 'V' }, kind: 'f64' },
    ])
  })

  test('of messages names paths and topic levels', () => {
    expect(parseMap(`${JSON_MAP}  u: data.values[2]\nsequence: { property: seq }\n`, 'x')).toMatchObject({
      entityName: { kind: 'topic', level: 1 },
      sequence: { kind: 'property', property: 'seq' },
      fields: [{ from: { path: ['T'] } }, { from: { path: ['data', 'values', 2] } }],
    })
  })
})

describe('a wrong map file', () => {
  test.each([
    ['', 1, 'has no keys'],
    ['a: [', 1, 'is not YAML'],
    [`${CSV}zone: UTC\nzone: UTC\n`, 7, 'Map keys must be unique'],
    [`${CSV}delimitr: x\n`, 6, 'unknown key delimitr .*: allowed are format, delimiter, '],
    [`${CSV}  u: { column: U, knd: f64 }\n`, 6, 'fields.u has an unknown key knd .*: allowed are column, path, topic, kind'],
    [`${CSV}  u:\n    column: U\n    kind: f65\n`, 8, 'fields.u.kind is wrong .*: expected one of f64, f32'],
    [`${CSV}  u: { path: a }\n`, 6, 'a path is not for format csv: expected column'],
    [`${CSV}  u: { kind: f64 }\n`, 6, 'expected one column'],
    [`${CSV}  u: { column: U, kind: label, scale: 2 }\n`, 6, 'scale and offset are for numbers, not for label'],
    [`${CSV}  u: { column: U, format: iso }\n`, 6, 'only a field of kind time has a format'],
    [`${CSV}  9x: X\n`, 6, 'a name is an identifier'],
    [`${CSV}zone: Mars/Olympus\n`, 6, 'no such time zone'],
    [`${CSV}delimiter: ';;'\n`, 6, 'expected one ASCII character'],
    [`${CSV}time: 5\n`, 6, 'time is wrong .*: expected { column, format }'],
    [`${CSV}time: { column: t, format: YYYY }\n`, 6, 'it has no month: expected iso, unix-s'],
    [`${CSV}time: { column: t, start: 2020-01-01, step: 1s }\n`, 6, 'either start and step, or a column'],
    [`${CSV}time: { start: 2020-01-01 }\n`, 6, 'both start and step'],
    [`${CSV}time: { start: 2020-13-01, step: 1s }\n`, 6, 'no such date'],
    [`${CSV}time: { start: 2020-01-01, step: 1x }\n`, 6, 'step is no duration'],
    [`${CSV}skip: x\n`, 6, 'expected a list of columns, or rest'],
    [`${CSV}sequence: { path: x }\n`, 6, 'the sequence of a csv file is the row number'],
    [`${CSV}header: false\n`, 5, 'no column names: use numbers from 1'],
    [CSV.replace('name: p', 'name: { constant: a, column: b }'), 2, 'expected one of column, file, constant'],
    [CSV.replace('type: press', 'type: Press'), 2, 'lower-case letters'],
    [CSV.replace('command: sample\n', ''), 1, 'command is missing .*: expected the name of a command'],
    [CSV.replace('\n  t: { column: T }', ' {}'), 4, 'expected at least one field'],
    [`${JSON_MAP}header: true\n`, 6, 'only for format csv'],
    [`${JSON_MAP}  u: 'a..b'\n`, 6, 'expected a path such as data.temperature'],
    [`${JSON_MAP}sequence: {}\n`, 6, 'expected one of path and property'],
  ])('is answered with its line and what is allowed there', (text, line, message) => {
    expect(() => parseMap(text, 'press.map.yaml')).toThrow(
      expect.objectContaining({ code: 'ERR_MAP_FILE', values: { at: `press.map.yaml:${line}` }, message: expect.stringMatching(message) }),
    )
  })

  test('says that it is not there', async () => {
    await expect(readMapFile('/nowhere/press.map.yaml')).rejects.toMatchObject({
      code: 'ERR_MAP_FILE',
      message: expect.stringContaining('--infer'),
    })
  })
})

test.each(readdirSync('examples/ingest').filter((name) => name.endsWith('.yaml')))('the example %s is right', async (name) => {
  expect((await readMapFile(`examples/ingest/${name}`)).fields.length).toBeGreaterThan(0)
})

test.each([
  ['100ms', 100_000],
  ['1s', 1_000_000],
  ['1.5 s', 1_500_000],
  ['5min', 300_000_000],
  ['1h', 3_600_000_000],
  ['1d', 86_400_000_000],
  ['250us', 250],
  ['0s', undefined],
  ['0.1us', undefined],
  ['-1s', undefined],
  ['soon', undefined],
])('the duration %s is %s microseconds', (text, micros) => {
  expect(durationMicros(text)).toBe(micros)
})
