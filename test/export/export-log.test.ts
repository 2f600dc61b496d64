import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse } from 'csv-parse/sync'
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { pack } from '#base/pack.js'
import { type BlocksItem, type ExportQuery, streamBlocks } from '#export/block-stream.js'
import { type ExportOptions, exportLog } from '#export/export-log.js'
import { OUTCOME_REFUSAL, OUTCOME_REPLY } from '#journal/append-frame.js'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import { type Journal, readRows, type Row } from '#journal/index.js'
import { ALARM_RAISED, batchOf, field, SAMPLED, TestWriter } from '../journal/writer.js'

const EVERYTHING = {
  entity: 'rig',
  event: 'Measured',
  fields: [
    field('wide', 'f64', { unit: '°C' }),
    field('single', 'f32'),
    field('small', 'i32'),
    field('large', 'i64'),
    field('is', 'bool'),
    field('at', 'time'),
    field('code', 'label'),
    field('note', 'text', { isOptional: true }),
    field('more', 'json', { isOptional: true }),
    field('maybe', 'f64', { isOptional: true, unit: 'mm' }),
  ],
}
const PLAIN = { wide: 1.5, single: 0.5, small: 1, large: 2, is: true, at: 1_700_000_000_000_001, code: 'A' }
const ODD = [
  { ...PLAIN, wide: -0, single: -0, note: '', more: null, maybe: -0 },
  { ...PLAIN, wide: Number.NaN, single: Number.NaN, maybe: Number.NaN, note: 'a "quoted", text\nwith lines' },
  {
    ...PLAIN,
    wide: Number.POSITIVE_INFINITY,
    small: -(2 ** 31),
    large: Number.MAX_SAFE_INTEGER,
    is: false,
    more: { list: [1, 'x', null] },
  },
  { ...PLAIN, wide: 5e-324, small: 2 ** 31 - 1, large: -Number.MAX_SAFE_INTEGER, at: -1, code: ' Ω ', note: 'ü', maybe: 0.1 },
]

let folder = ''
let journal: Journal

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-export-'))
  journal = createInMemoryJournal()
  const writer = new TestWriter(await journal.register([SAMPLED, ALARM_RAISED, EVERYTHING]))
  for (let block = 0; block < 4; block++) {
    const odd = ODD[block] as Record<string, unknown>
    const told = { source: 'till', sequence: block, outcomeKind: OUTCOME_REPLY, outcome: pack({ done: block }) } as const
    const refused = { outcomeKind: OUTCOME_REFUSAL, outcome: pack(['NO', { room: 1 }]), source: 'till', sequence: 100 + block } as const
    await journal.append(
      batchOf([
        writer.sample('press/a', block, told),
        writer.sample('press/b', block, { correlation: 'c1', flags: 1 }),
        writer.append({ entity: 'press/b', rows: [{ event: 'AlarmRaised', data: { code: 'HOT', value: block } }] }),
        writer.append({ entity: 'rig/1', rows: [{ event: 'Measured', data: odd }] }),
        writer.append({ entity: 'press/c', rows: [], ...refused }),
      ]),
    )
  }
  const [later] = await journal.register([{ ...SAMPLED, fields: [field('heat', 'f64')] }])
  const laterWriter = new TestWriter([later as never], { term: 2 })
  await journal.append(batchOf([laterWriter.append({ entity: 'press/d', rows: [{ event: 'Sampled', data: { heat: 7 } }] })]))
})

afterEach(() => rmSync(folder, { recursive: true }))

function run(out: string, options: Partial<ExportOptions> = {}) {
  const query = options.query ?? {}
  const path = join(folder, out)
  return exportLog(streamBlocks(journal, query), { query, format: 'parquet', out: path, isFile: /\.\w+$/.test(out), ...options })
}

async function rowsOf(query: ExportQuery = {}): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of readRows(journal, { from: 0 })) if (row.event !== undefined || query.receipts === true) rows.push(row)
  return rows
}

async function parquet(path: string) {
  const file = await asyncBufferFromFile(join(folder, path))
  return { metadata: await parquetMetadataAsync(file), rows: await parquetReadObjects({ file, utf8: false }) }
}

describe('a folder of Parquet', () => {
  test('has a file for each shape of each event, with all rows, and says what it holds', async () => {
    const report = await run('all', { query: { receipts: true } })

    expect(readdirSync(join(folder, 'all')).sort()).toEqual([
      'export.json',
      'press.AlarmRaised.parquet',
      'press.Sampled-2.parquet',
      'press.Sampled.parquet',
      'receipts.parquet',
      'rig.Measured.parquet',
    ])
    expect(report).toMatchObject({ rows: 21, from: 0, to: 21, out: join(folder, 'all') })
    expect(JSON.parse(readFileSync(join(folder, 'all/export.json'), 'utf8'))).toMatchObject({
      rows: 21,
      query: { receipts: true },
      files: expect.arrayContaining([expect.objectContaining({ file: 'press.Sampled.parquet', event: 'press.Sampled', rows: 8 })]),
    })
    expect((await parquet('all/press.Sampled-2.parquet')).rows).toMatchObject([{ entity: 'press/d', heat: 7 }])
    expect((await parquet('all/receipts.parquet')).rows).toHaveLength(4)
  })

  test('keeps every value bit for bit, with types, units and times', async () => {
    await run('all')

    const { metadata, rows } = await parquet('all/rig.Measured.parquet')
    const stored = (await rowsOf()).filter(({ event }) => event === 'Measured')

    expect(rows).toEqual(
      stored.map(({ position, entity, version, at, accepted, data }) => {
        const { at: fieldAt, large, note, more, maybe, ...rest } = data as Record<string, number>
        return {
          ...{ position: BigInt(position), entity, version: BigInt(version), event: 'Measured', late: false },
          ...{ at: dateOf(at), accepted: dateOf(accepted) },
          ...{ source: null, sequence: null, correlation: null, causation: null, outcome: null },
          ...rest,
          ...{ large: BigInt(large as number), 'data.at': dateOf(fieldAt as number) },
          ...{ note: note ?? null, more: more === undefined ? null : more, maybe: maybe ?? null },
        }
      }),
    )
    expect(Object.is(rows[0]?.['wide'], -0) && Object.is(rows[0]?.['maybe'], -0) && Object.is(rows[0]?.['single'], -0)).toBe(true)
    const types = Object.fromEntries(metadata.schema.slice(1).map(({ name, type, logical_type: logical }) => [name, logical ?? type]))
    expect(types).toMatchObject({
      wide: 'DOUBLE',
      single: 'FLOAT',
      small: 'INT32',
      large: 'INT64',
      is: 'BOOLEAN',
      code: { type: 'STRING' },
      more: { type: 'JSON' },
      at: { type: 'TIMESTAMP', unit: 'MICROS', isAdjustedToUTC: true },
    })
    const told = Object.fromEntries((metadata.key_value_metadata ?? []).map(({ key, value }) => [key, value]))
    expect(told['millrace.event']).toBe('rig.Measured')
    expect(JSON.parse(told['millrace.units'] as string)).toEqual({ wide: '°C', maybe: 'mm' })
  })
})

/** The reader gives milliseconds. */
function dateOf(micros: number): Date {
  return new Date(Math.trunc(micros / 1000))
}

describe('a CSV file', () => {
  test('reads back with every number, text and time', async () => {
    await run('measured.csv', { format: 'csv', query: { event: 'Measured' } })

    const text = readFileSync(join(folder, 'measured.csv'), 'utf8')
    const rows = parse<Record<string, string>>(text, { columns: true })

    for (const [index, odd] of ODD.entries()) {
      const row = rows[index] as Record<string, string>
      for (const name of ['wide', 'single', 'small', 'large', 'maybe'] as const) {
        const value = (odd as Record<string, unknown>)[name]
        expect(row[name] === '' ? undefined : Number(row[name]), `${name} of ${index}`).toBe(value)
      }
      expect(row).toMatchObject({ is: String(odd.is), code: odd.code, note: 'note' in odd ? odd.note : '' })
    }
    expect(rows.map((row) => row['data.at'])).toEqual([
      '2023-11-14T22:13:20.000001Z',
      '2023-11-14T22:13:20.000001Z',
      '2023-11-14T22:13:20.000001Z',
      '1969-12-31T23:59:59.999999Z',
    ])
    expect(rows[2]?.['more']).toBe('{"list":[1,"x",null]}')
    expect(text.split('\n')[1]).toContain(',A,"",null,-0')
  })
})

describe('JSON lines', () => {
  test('have all rows in one file, in order of position', async () => {
    await run('rows.jsonl', { format: 'jsonl', query: { receipts: true } })

    const lines = readFileSync(join(folder, 'rows.jsonl'), 'utf8').trimEnd().split('\n')
    const rows = lines.map((line) => JSON.parse(line) as Record<string, unknown>)

    expect(rows.map(({ position }) => position)).toEqual(Array.from({ length: 21 }, (_, position) => position))
    const ofA = rows.find(({ entity }) => entity === 'press/a')
    expect(ofA).toMatchObject({
      version: 1,
      event: 'Sampled',
      source: 'till',
      sequence: 0,
      outcome: { reply: { done: 0 } },
      data: { temperature: 0 },
    })
    expect(rows.find(({ entity }) => entity === 'press/c')).toMatchObject({ outcome: { refused: 'NO', detail: { room: 1 } }, data: {} })
    expect(rows.find(({ entity }) => entity === 'press/b')).toMatchObject({ late: true, correlation: 'c1' })
  })

  test.each<[string, ExportQuery, (row: Row) => boolean]>([
    ['one entity', { entity: 'press/b' }, ({ entity }) => entity === 'press/b'],
    ['an entity that is not there', { entity: 'press/z' }, () => false],
    ['a pattern', { entity: 'press/*' }, ({ entity }) => entity.startsWith('press/')],
    ['an event', { event: 'press.Sampled' }, ({ event }) => event === 'Sampled'],
    ['positions', { from: 3, to: 12 }, ({ position }) => position >= 3 && position <= 12],
    [
      'times',
      { since: 1_700_000_000_000_003, until: 1_700_000_000_000_009 },
      ({ at }) => at >= 1_700_000_000_000_003 && at <= 1_700_000_000_000_009,
    ],
    ['a comparison', { where: ['temperature > 1'] }, ({ data }) => (data['temperature'] as number) > 1],
  ])('have the rows of a selection: %s', async (_, query, holds) => {
    const report = await run('rows.jsonl', { format: 'jsonl', query })

    const positions = readFileSync(join(folder, 'rows.jsonl'), 'utf8')
      .split('\n')
      .flatMap((line) => (line === '' ? [] : [JSON.parse(line).position as number]))
    const expected = (await rowsOf()).filter(holds).map(({ position }) => position)
    expect(positions).toEqual(expected)
    expect(report.rows).toBe(expected.length)
  })
})

describe('the place of an export', () => {
  test('takes one file only of one event type', async () => {
    await expect(run('all.csv', { format: 'csv' })).rejects.toMatchObject({ code: 'ERR_EXPORT_TYPES' })
    expect(readdirSync(folder)).toEqual([])
  })

  test('has an empty table with its columns where no row matched', async () => {
    await run('none.csv', { format: 'csv', query: { event: 'AlarmRaised', from: 1000 } })
    await run('none.parquet', { query: { event: 'AlarmRaised', from: 1000 } })

    expect(readFileSync(join(folder, 'none.csv'), 'utf8')).toMatch(/^position,entity,.*,code,value\n$/)
    expect((await parquet('none.parquet')).metadata.schema.map(({ name }) => name)).toContain('value')
  })

  test('is not overwritten without a word, and with it replaced', async () => {
    const query = { event: 'AlarmRaised' }
    await run('alarms.csv', { format: 'csv', query })
    await run('all')

    await expect(run('alarms.csv', { format: 'csv', query })).rejects.toMatchObject({ code: 'ERR_EXPORT_EXISTS' })
    await expect(run('all')).rejects.toMatchObject({ code: 'ERR_EXPORT_EXISTS' })
    const again = await run('all', { isForced: true, query: { event: 'AlarmRaised' } })
    await run('alarms.csv', { format: 'csv', query: { ...query, to: 5 }, isForced: true })

    expect(again.rows).toBe(4)
    expect(readdirSync(join(folder, 'all')).sort()).toEqual(['export.json', 'press.AlarmRaised.parquet'])
    expect(readFileSync(join(folder, 'alarms.csv'), 'utf8').trimEnd().split('\n')).toHaveLength(2)
  })

  test('is never a folder that something else made', async () => {
    mkdirSync(join(folder, 'mine'))
    writeFileSync(join(folder, 'mine', 'precious'), 'x')
    mkdirSync(join(folder, 'other.part'))
    writeFileSync(join(folder, 'other.part', 'precious'), 'x')

    await expect(run('mine', { isForced: true })).rejects.toMatchObject({ code: 'ERR_EXPORT_EXISTS' })
    await expect(run('other', { isForced: true })).rejects.toMatchObject({ code: 'ERR_EXPORT_EXISTS' })
    expect(existsSync(join(folder, 'mine/precious')) && existsSync(join(folder, 'other.part/precious'))).toBe(true)
  })

  test.each(['folder', 'rows.jsonl'])('keeps nothing of an export that fails: %s', async (out) => {
    async function* failing(): AsyncGenerator<BlocksItem> {
      let blocks = 0
      for await (const item of streamBlocks(journal, {})) {
        if (item.kind === 'block' && ++blocks === 3) throw new Error('the journal is away')
        yield item
      }
    }
    const isFile = out.endsWith('.jsonl')
    const options = { query: {}, format: isFile ? 'jsonl' : 'csv', out: join(folder, out), isFile } as const

    await expect(exportLog(failing(), options)).rejects.toThrow('the journal is away')
    expect(readdirSync(folder)).toEqual([])
    await exportLog(streamBlocks(journal, {}), options)
    expect(readdirSync(folder)).toEqual([out])
  })

  test('takes over what an interrupted export left, and writes nothing into a place that it may not', async () => {
    mkdirSync(join(folder, 'all.part'))
    writeFileSync(join(folder, 'all.part', '.millrace-export'), '')
    writeFileSync(join(folder, 'all.part', 'press.Sampled.parquet'), 'PAR1 half')
    writeFileSync(join(folder, 'file'), '')

    await run('all')

    expect(readdirSync(folder)).toEqual(['all', 'file'])
    await expect(run('file/below.jsonl', { format: 'jsonl' })).rejects.toMatchObject({ code: 'ERR_EXPORT_WRITE' })
  })
})
