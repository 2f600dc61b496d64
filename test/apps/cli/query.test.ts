import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { defineEntity } from '#entity/index.js'
import { f64, label } from '#schema/index.js'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ResultColumn } from '#journal/index.js'
import { openPlant } from '#runtime/inline-plant.js'
import { queryOf } from '../../../apps/cli/query-options.js'
import { bars, cellText, csvText, jsonText } from '../../../apps/cli/result-text.js'
import { type CliResult, runCli } from './run-cli.js'

const columns: readonly ResultColumn[] = [
  { name: 'time', kind: 'time' },
  { name: 'temperature', kind: 'f64', unit: '°C' },
  { name: 'code', kind: 'label' },
]

describe('the options of query', () => {
  test('come to a question', () => {
    expect(
      queryOf({
        data: './data',
        entity: 'press/*',
        since: '2026-01-05T06:00:00.000001Z',
        until: '5',
        versionFrom: '3',
        newest: '10',
        where: ['temperature > 90', 'code = a, b'],
        columns: ['at,entity', 'temperature'],
      }),
    ).toEqual({
      entity: 'press/*',
      since: 1_767_592_800_000_001,
      until: 5,
      versionMin: 3,
      newest: 10,
      where: ['temperature > 90', 'code = a, b'],
      columns: ['at', 'entity', 'temperature'],
    })
  })

  test.each([
    ['500ms', 500_000],
    ['10s', 10_000_000],
    ['1m', 60_000_000],
    ['1.5h', 5_400_000_000],
    ['1d', 86_400_000_000],
    ['1us', 1],
  ])('have buckets of %s', (every, everyMicros) => {
    expect(queryOf({ every, count: true, mean: ['force,temperature'], last: ['code'], by: ['entity'] })).toEqual({
      aggregates: ['count()', 'mean(force)', 'mean(temperature)', 'last(code)'],
      by: ['entity'],
      everyMicros,
    })
  })

  test.each([{ every: '10' }, { every: '0s' }, { every: '1 m' }, { since: 'today' }, { limit: '-1' }, { since: '2026-13-01' }])(
    'refuse %o',
    (options) => {
      expect(() => queryOf(options)).toThrow(expect.objectContaining({ code: 'ERR_USAGE' }) as Error)
    },
  )
})

describe('a row of a result', () => {
  const values = [1_767_592_800_000_001, 0.1 + 0.2, 'a "b", c']

  test('is read by a person', () => {
    expect(values.map((value, index) => cellText(value, columns[index] as ResultColumn))).toEqual([
      '2026-01-05T06:00:00.000001Z',
      '0.3',
      'a "b", c',
    ])
    expect([null, undefined, -0, Number.NaN, true, 'a\u001b[31m'].map((value) => cellText(value, { name: 'x', kind: undefined }))).toEqual([
      ...['', '', '-0', 'NaN', 'true'],
      '"a\\u001b[31m"',
    ])
  })

  test('is exact as JSON and as CSV', () => {
    expect(jsonText(values, columns)).toBe('{"time":"2026-01-05T06:00:00.000001Z","temperature":0.30000000000000004,"code":"a \\"b\\", c"}')
    expect(jsonText([Number.NaN, -0, undefined], columns)).toBe('{"time":"NaN","temperature":-0}')
    expect(csvText(columns)).toBe('time,temperature,code')
    expect(csvText(columns, values)).toBe('2026-01-05T06:00:00.000001Z,0.30000000000000004,"a ""b"", c"')
    expect(csvText(columns, [undefined, -0, null])).toBe(',-0,')
  })

  test('has a bar between the lowest and the highest', () => {
    expect(bars([1, 2, 3, 8, null, Number.NaN])).toEqual(['▁', '▂', '▃', '█', ' ', ' '])
    expect(bars([5, 5])).toEqual(['▁', '▁'])
    expect(bars([])).toEqual([])
  })
})

describe('a log that is asked from the shell', () => {
  const START = Date.parse('2026-01-05T06:00:00Z') * 1000
  const Press = defineEntity({
    name: 'press',
    events: { Sampled: { temperature: f64('°C') }, AlarmRaised: { code: label() } },
    commands: { sample: { temperature: f64('°C') } },
    initial: () => ({ temperature: 0 }),
    decide: {
      sample(_state, command, { emit }) {
        emit.Sampled(command)
        if (command.temperature > 90) emit.AlarmRaised({ code: 'OVERHEAT' })
      },
    },
    apply: {
      Sampled(state, event) {
        state.temperature = event.temperature
      },
      AlarmRaised() {},
    },
  })
  const folder = mkdtempSync(join(tmpdir(), 'millrace-query-'))

  beforeAll(async () => {
    const plant = await openPlant({ entities: [Press], data: join(folder, 'data') })
    for (const [second, temperature] of [80, 95, 85.5].entries())
      await plant.entity(Press, 'press-1').sample({ temperature }, { at: START + second * 1e6 })
    await plant.close()
    const source = fileURLToPath(new URL('../../../dist/src/index.js', import.meta.url))
    writeFileSync(
      join(folder, 'plant.mjs'),
      `import { defineEntity, definePlant, f64, label } from ${JSON.stringify(pathToFileURL(source).href)}
      const Press = defineEntity({ name: 'press', events: { Sampled: { temperature: f64('°C') }, AlarmRaised: { code: label() } }, commands: {},
        initial: () => ({ temperature: 0 }), decide: {}, apply: { Sampled(state, event) { state.temperature = event.temperature }, AlarmRaised() {} } })
      export default definePlant({ entities: [Press] })`,
    )
  })

  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  const ask = (...words: string[]): Promise<CliResult> => runCli(words, { cwd: folder })

  test('prints whole rows, tables, JSON and CSV', async () => {
    const [rows, table, json, csv] = await Promise.all([
      ask('query', '--newest', '1'),
      ask('query', '--every', '2s', '--mean', 'temperature', '--count'),
      ask('query', '--where', 'temperature > 90', '--columns', 'at,temperature', '--json'),
      ask('query', '--csv', '--event', 'AlarmRaised'),
    ])

    expect(rows).toEqual({
      code: 0,
      stdout: '3  press/press-1  v4  2026-01-05T06:00:02.000Z  Sampled {"temperature":85.5}\n',
      stderr: '1 row\n',
    })
    expect(table.stdout.split('\n')).toEqual([
      'time                      count()  mean(temperature) °C',
      '2026-01-05T06:00:00.000Z        2                  87.5',
      '2026-01-05T06:00:02.000Z        1                  85.5',
      '',
    ])
    expect(json.stdout).toBe('{"at":"2026-01-05T06:00:01.000Z","temperature":95}\n')
    expect(csv.stdout).toBe('position,entity,version,event,at,code\n2,press/press-1,3,AlarmRaised,2026-01-05T06:00:01.000Z,OVERHEAT\n')
  })

  test('explains what a question reads, and says what is wrong with one', async () => {
    const [explained, shown, wrong] = await Promise.all([
      ask('query', '--explain', '--count', '--where', 'temperature > 90', '--json'),
      ask('query', '--explain', '--since', '2026-02-01'),
      ask('query', '--where', 'temperatur > 90'),
    ])

    expect(JSON.parse(explained.stdout)).toMatchObject({
      plan: { events: ['press.Sampled'], order: 'groups' },
      counts: { rowsMatched: 1 },
      rows: 1,
    })
    expect(shown.stdout).toMatch(/^plan +read 0 of \d+ blocks: 0 rows, 0.0 KiB\nskipped +\d+ by time\n/)
    expect(wrong).toMatchObject({ code: 2, stdout: '' })
    expect(wrong.stderr).toContain(
      'there is no column temperatur --where=temperatur: the columns are temperature (f64), code (label), position,',
    )
  })

  test('tells what an entity was as of a version and a time', async () => {
    const get = (asOf: string) => ask('get', 'press/press-1', '--plant', 'plant.mjs', '--as-of', asOf, '--json')
    const [version, now, before, wrong] = await Promise.all([
      get('1'),
      get(new Date().toISOString()),
      get('2020-01-01T00:00:00Z'),
      get('yesterday'),
    ])

    expect(JSON.parse(version.stdout)).toEqual({ entity: 'press/press-1', version: 1, state: { temperature: 80 } })
    expect(JSON.parse(now.stdout)).toEqual({ entity: 'press/press-1', version: 4, state: { temperature: 85.5 } })
    expect(before).toMatchObject({ code: 1 })
    expect(before.stderr).toContain(
      'the entity had no row then entity=press/press-1 asOf=2020-01-01T00:00:00.000Z: its first row was accepted at 20',
    )
    expect(wrong).toMatchObject({ code: 2 })
  })
})
