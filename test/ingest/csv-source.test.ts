import { gzipSync } from 'node:zlib'
import { appendFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { openCsvSource } from '#ingest/csv-source.js'
import { fileOf, outcomesOf, pressMap, rowsOf, temporaryDirectory } from './data.js'

const HEADER = 'time,press,T,mode\n'
const row = (temperature: string, rest = 'auto') => `2020-03-09T10:00:00Z,p1,${temperature},${rest}\n`

describe('rows of a csv file', () => {
  test('become commands numbered from 1, with their source, entity, data and time', async () => {
    const [first, second] = await rowsOf(fileOf(HEADER + row('1.5') + row('2')), pressMap())

    expect(first).toMatchObject({ number: 1, line: 2, raw: '2020-03-09T10:00:00Z,p1,1.5,auto' })
    expect(first?.command).toEqual({
      source: expect.stringMatching(/^csv:[0-9a-f]{32}$/),
      sequence: 1,
      entity: 'press/p1',
      command: 'sample',
      data: { temperature: 1.5, mode: 'auto' },
      at: Date.UTC(2020, 2, 9, 10) * 1000,
    })
    expect(second).toMatchObject({ number: 2, line: 3, command: { sequence: 2 } })
  })

  test.each([
    ['gzip', (text: string) => fileOf(text, 'press.csv.gz')],
    ['gzip without the ending', (text: string) => fileOf(gzipSync(text), 'press.csv')],
    ['a byte order mark', (text: string) => fileOf(`\ufeff${text}`)],
    ['CRLF', (text: string) => fileOf(text.replaceAll('\n', '\r\n'))],
    ['blank lines', (text: string) => fileOf(text.replaceAll('\n', '\n\n'))],
    ['no line end at the end', (text: string) => fileOf(text.trimEnd())],
  ])('come out the same with %s', async (_name, write) => {
    const rows = await rowsOf(write(HEADER + row('1.5') + row('-2e3') + row('7')), pressMap())

    expect(outcomesOf(rows)).toEqual([1.5, -2000, 7])
  })

  test('read quoted cells, with delimiters, quotes and line ends in them', async () => {
    const rows = await rowsOf(
      fileOf(HEADER + row('1', '"a,b"') + row('2', '"say ""hi"""') + row('3', '"two\nlines"') + row('4')),
      pressMap(),
    )

    expect(rows.map(({ command }) => (typeof command === 'string' ? command : command.data.mode))).toEqual([
      'a,b',
      'say "hi"',
      'two\nlines',
      'auto',
    ])
    expect(rows.map(({ line }) => line)).toEqual([2, 3, 4, 6])
  })

  test('keep a quote inside an unquoted cell as it is', async () => {
    const rows = await rowsOf(fileOf(HEADER + row('1', '5" pipe')), pressMap())

    expect(rows[0]?.command).toMatchObject({ data: { mode: '5" pipe' } })
  })

  test('hold NaN and the infinities as such', async () => {
    const rows = await rowsOf(
      fileOf(HEADER + ['NaN', 'nan', 'inf', '-Infinity', '+INF', '-0'].map((text) => row(text)).join('')),
      pressMap(),
    )

    expect(outcomesOf(rows)).toEqual([Number.NaN, Number.NaN, Infinity, -Infinity, Infinity, -0])
  })

  test('may go back in time', async () => {
    const rows = await rowsOf(fileOf(`${HEADER}2020-03-09T10:00:01Z,p1,1,auto\n2020-03-09T10:00:00Z,p1,2,auto\n`), pressMap())

    expect(outcomesOf(rows)).toEqual([1, 2])
  })

  test('keep their source when the file grows, and have another in another file', async () => {
    const path = fileOf(HEADER + row('1'))
    const before = (await openCsvSource(path, pressMap())).source
    appendFileSync(path, row('2'))

    expect((await openCsvSource(path, pressMap())).source).toBe(before)
    expect((await openCsvSource(fileOf(HEADER + row('1')), pressMap())).source).not.toBe(before)
  })
})

describe('a bad row', () => {
  const bad: [string, string | Buffer, unknown][] = [
    ['a missing column', '2020-03-09T10:00:00Z,p1,1\n', 'only 3 of 4 cells, column mode is missing'],
    ['an extra column', row('1', 'auto,x'), '1 more cells than the 4 columns'],
    ['text in a number', row('warm'), "column T is not a number: 'warm'"],
    ['a hexadecimal number', row('0x10'), "column T is not a number: '0x10'"],
    ['an empty number', row(''), 'column T is empty'],
    ['an empty time', ',p1,1,auto\n', 'column time is empty, it holds the time'],
    ['a wrong time', 'yesterday,p1,1,auto\n', "column time is not a time of the form 2020-03-09T10:14:33Z: 'yesterday'"],
    ['a day that does not exist', '2020-02-30T10:00:00Z,p1,1,auto\n', "column time is no such date or time of day: '2020-02-30T10:00:00Z'"],
    ['an empty entity name', '2020-03-09T10:00:00Z,,1,auto\n', expect.stringContaining('its name is empty')],
    [
      'invalid UTF-8',
      Buffer.concat([Buffer.from('2020-03-09T10:00:00Z,p1,1,'), Buffer.from([0xff, 0xfe, 0x0a])]),
      'not valid UTF-8; is the file in another encoding?',
    ],
    ['too many bytes', row('1', 'x'.repeat(5000)), 'the row has 5026 bytes, more than the 4096 allowed'],
    ['a quote that never closes', row('1', '"auto'), 'a quote is opened in this line and never closed'],
    ['a quote in the wrong place', row('1', '"auto"x'), 'a quote is opened in this line and never closed'],
  ]
  test.each(bad)('with %s is answered, and the next ones are taken', async (_name, line, reason) => {
    const path = fileOf(Buffer.concat([Buffer.from(HEADER + row('1')), Buffer.from(line), Buffer.from(row('2') + row('3'))]))

    const rows = await rowsOf(path, pressMap(), { rowBytesMax: 4096 })

    expect(outcomesOf(rows)).toEqual([1, reason, 2, 3])
    expect(rows[1]).toMatchObject({ number: 2, line: 3 })
    expect(rows[1]?.raw.length).toBeLessThanOrEqual(200)
  })

  test('with a field of 10 MB is left out without being kept in memory', async () => {
    const rows = await rowsOf(fileOf(HEADER + row('1') + row('1', 'x'.repeat(10_000_000)) + row('2'), 'press.csv.gz'), pressMap())

    expect(outcomesOf(rows)).toEqual([1, 'the row has 10000026 bytes, more than the 1048576 allowed', 2])
  })

  test('whose open quote meets the closing quote of a later row costs itself alone', async () => {
    const rows = await rowsOf(fileOf(HEADER + row('1', '"auto') + row('2') + row('3') + row('4', 'auto"') + row('5')), pressMap())

    expect(outcomesOf(rows)).toEqual(['a quote is opened in this line and never closed', 2, 3, 4, 5])
  })

  test('at the end of a file that was cut says so', async () => {
    const rows = await rowsOf(fileOf(`${HEADER}${row('1')}2020-03-09T10:00:00Z,p1,2`), pressMap())

    expect(outcomesOf(rows)).toEqual([1, 'the file ends in the middle of this row: only 3 of 4 cells, column mode is missing'])
  })
})

describe('a file that does not fit its map', () => {
  const refusals: [string, () => string, string, string, RegExp][] = [
    [
      'lacks a mapped column',
      () => fileOf('time,press,mode\n'),
      '',
      'ERR_CSV_COLUMN',
      /column=T .*: name one of the columns that are there: 1 time, 2 press, 3 mode/,
    ],
    ['has a column that is not in the map', () => fileOf('time,press,T,mode,x\n'), '', 'ERR_CSV_COLUMN', /column=x .*skip: rest/],
    ['has a mapped column twice', () => fileOf('time,press,T,mode,T\n'), '', 'ERR_CSV_COLUMN', /has twice column=T .*by its number/],
    ['is empty', () => fileOf(''), '', 'ERR_CSV_EMPTY', /the file is empty/],
    ['is empty inside gzip', () => fileOf('', 'x.csv.gz'), '', 'ERR_CSV_EMPTY', /the file is empty/],
    ['is named .gz and is plain', () => writeAs('x.csv.gz', HEADER), '', 'ERR_CSV_FILE', /the file is not gzip/],
    ['is not there', () => '/nowhere/x.csv', '', 'ERR_CSV_FILE', /ENOENT/],
    ['is a directory', () => temporaryDirectory(), '', 'ERR_CSV_FILE', /directory/],
    ['is UTF-16', () => fileOf(Buffer.from(`\ufeff${HEADER}`, 'utf16le')), '', 'ERR_CSV_FILE', /UTF-16/],
    ['has lone carriage returns', () => fileOf((HEADER + row('1')).replaceAll('\n', '\r')), '', 'ERR_CSV_FILE', /carriage return/],
    [
      'has a header that is not UTF-8',
      () => fileOf(Buffer.from('time,press,T,m\xf6de\n', 'latin1')),
      '',
      'ERR_CSV_FILE',
      /not valid UTF-8/,
    ],
  ]
  test.each(refusals)('is refused when it %s', async (_name, path, more, code, message) => {
    await expect(openCsvSource(path(), pressMap(more))).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })

  test('is taken when the other columns are skipped, and when an optional one is absent', async () => {
    const rest = await rowsOf(fileOf('time,press,T,mode,x,x\n2020-03-09T10:00:00Z,p1,1,auto,8,9\n'), pressMap('skip: rest\n'))
    const absent = await rowsOf(fileOf(HEADER + row('1')), pressMap('  force: { column: F, optional: true }\n'))

    expect(outcomesOf(rest)).toEqual([1])
    expect(outcomesOf(absent)).toEqual([1])
  })

  test('cut within gzip gives the rows before the cut, then ERR_CSV_FILE', async () => {
    const packed = gzipSync(HEADER + Array.from({ length: 20_000 }, (_, index) => row(String(index * 7919))).join(''))
    const source = await openCsvSource(writeAs('press.csv.gz', packed.subarray(0, packed.length - 9)), pressMap())
    let rows = 0

    const reading = (async () => {
      for await (const group of source.rows()) rows += group.length
    })()

    await expect(reading).rejects.toMatchObject({ code: 'ERR_CSV_FILE', message: expect.stringContaining('cut or damaged') })
    expect(rows).toBeGreaterThan(10_000)
  })
})

function writeAs(name: string, content: string | Buffer): string {
  const path = `${temporaryDirectory()}/${name}`
  writeFileSync(path, content)
  return path
}
