import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compileFunction } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { inferMap } from '#ingest/infer.js'
import { parseMap } from '#ingest/map-file.js'
import { dataFiles, fileOf, missingData, rowsOf, temporaryDirectory } from './data.js'
import * as millrace from '../../src/index.js'

type Definition = Parameters<typeof millrace.defineEntity>[0] & {
  readonly commands: Record<string, Record<string, { kind: string; unit?: string; isOptional: boolean }>>
}

/** What the proposed module defines, run as the code it is. */
function entityOf(entityText: string): Definition {
  const body = entityText
    .replace(/^import \{ (.*) \} from 'millrace'$/m, 'const { $1 } = millrace')
    .replace(/^export const (\w+) =/m, 'return')
  return compileFunction(body, ['millrace'])(millrace) as Definition
}

async function proposalFor(path: string) {
  const inferred = await inferMap(path)
  const map = parseMap(inferred.mapText, inferred.mapName)
  const entity = entityOf(inferred.entityText)
  const rows = await rowsOf(path, map)
  return { inferred, map, entity, rows, rejected: rows.filter(({ command }) => typeof command === 'string') }
}

const HEADERS = 'time,T\n2020-03-09 10:00:00,1.5\n2020-03-09 10:00:01,2.5\n'

describe('a proposal for a file', () => {
  test('is a map that takes every row, and an entity with the map’s fields', async () => {
    const { inferred, map, entity, rows, rejected } = await proposalFor(
      fileOf(
        'Zeit;Maschine;Motor temp. [°C];Druck (bar);Zähler;Störung;Schicht;Notiz\n' +
          Array.from(
            { length: 40 },
            (_, n) =>
              `0${(n % 9) + 1}.03.2020 10:14;M${n % 3};${n},5;1,25;${n * 7};${n % 2 === 0 ? 'ja' : ''};${'ABC'[n % 3]};Notiz ${n}\n`,
          ).join(''),
        'öfen_07.csv',
      ),
    )

    expect(rejected).toEqual([])
    expect(rows).toHaveLength(40)
    expect(inferred).toMatchObject({ entityType: 'ofen', mapName: 'ofen.map.yaml', entityName: 'ofen.js', rowCount: 40, columnCount: 8 })
    expect(map).toMatchObject({
      csv: { delimiter: ';', decimal: ',', header: true },
      time: { format: 'DD.MM.YYYY hh:mm' },
      entityName: { kind: 'file', part: 'stem' },
      module: './ofen.js',
    })
    expect(Object.fromEntries(map.fields.map(({ field, kind, isOptional }) => [field, isOptional ? `${kind}?` : kind]))).toEqual({
      maschine: 'label',
      motorTemp: 'f64',
      druck: 'f64',
      zähler: 'i32',
      störung: 'label?',
      schicht: 'label',
      notiz: 'text',
    })
    expect(entity.commands.sample?.motorTemp).toMatchObject({ kind: 'f64', unit: '°C' })
    expect(entity.commands.sample?.störung).toMatchObject({ kind: 'label', isOptional: true })
  })

  test('names the entity by a column that says machine', async () => {
    const { map } = await proposalFor(fileOf('ts,machine id,v\n1583748873,a,1\n1583748874,b,2\n'))

    expect(map).toMatchObject({ entityName: { kind: 'column', column: 'machine id' }, time: { format: 'unix-s' } })
  })

  test.each([
    ['2020-03-09T10:00:00.5Z', 'iso'],
    ['2020-03-09 10:00:00', 'YYYY-MM-DD hh:mm:ss'],
    ['2020-03-09 10:00:00.123', 'YYYY-MM-DD hh:mm:ss.S'],
    ['2020/03/09 10:00', 'YYYY/MM/DD hh:mm'],
    ['03/29/2020 10:00:00', 'MM/DD/YYYY hh:mm:ss'],
    ['29/03/2020 10:00:00', 'DD/MM/YYYY hh:mm:ss'],
    ['29.03.2020 10:00:00', 'DD.MM.YYYY hh:mm:ss'],
    ['3/9/2020 1:05:09 PM', 'M/D/YYYY h:mm:ss A'],
    ['1583748873', 'unix-s'],
    ['1583748873.25', 'unix-s'],
    ['1583748873123', 'unix-ms'],
    ['1583748873123456', 'unix-us'],
  ])('finds out how %s tells time', async (time, format) => {
    const { map, rejected } = await proposalFor(fileOf(`time,v\n${time},1\n${time},2\n`))

    expect(map.time).toMatchObject({ kind: 'read', from: { kind: 'column', column: 'time' }, format })
    expect(rejected).toEqual([])
  })

  test('says where the month and the day could be the other way round', async () => {
    expect((await inferMap(fileOf('time,v\n03/09/2020 10:00:00,1\n'))).mapText).toContain('# is it the month or the day')
    expect((await inferMap(fileOf('time,v\n03/29/2020 10:00:00,1\n'))).mapText).not.toContain('# is it the month or the day')
  })

  test.each([
    ['tabs and no header', '1\t2.5\n3\t4.5\n', { csv: { delimiter: '\t', header: false } }],
    ['pipes', 'a|b\n1|2\n', { csv: { delimiter: '|', header: true } }],
    ['one column', 'value\n1\n2\n', { csv: { delimiter: ',', header: true } }],
    ['text in every column', 'state,mode\nrun,auto\nstop,auto\n', { csv: { header: true } }],
    ['Latin-1', Buffer.from('Temp °C\n1\n2\n', 'latin1'), { csv: { encoding: 'latin1' } }],
    ['quoted cells', '"a","b,c"\n"1","x,y"\n"2","z"\n', { csv: { delimiter: ',' }, fields: [{ field: 'a' }, { field: 'bC' }] }],
    ['names of JavaScript', 'then,constructor,class,1st,,\n1,2,3,4,5,6\n', {}],
    [
      'names that come twice',
      'T,T,t\n1,2,3\n',
      {
        fields: [
          { field: 't', from: { column: 1 } },
          { field: 't2', from: { column: 2 } },
          { field: 't3', from: { column: 't' } },
        ],
      },
    ],
    ['names full of YAML', '\'a\': b,{c},#d,[e],f # g,- h,"i\nj"\n1,2,3,4,5,6,7\n', {}],
    ['a row index', ',v\n0,1.5\n1,2.5\n', { skip: [1], fields: [{ field: 'v' }] }],
    ['an empty column', 'a,b\n1,\n2,\n', { skip: ['b'], fields: [{ field: 'a', kind: 'i32' }] }],
    ['numbers with zeros in front', 'code\n007\n008\n', { fields: [{ kind: 'label' }] }],
    ['numbers beyond 53 bits', 'serial\n90071992547409931\n', { fields: [{ kind: 'label' }] }],
    ['numbers beyond 32 bits', 'n\n4294967296\n1\n', { fields: [{ kind: 'i64' }] }],
    ['NaN among numbers', 'v\nNaN\n1.5\n', { fields: [{ kind: 'f64' }] }],
    ['yes and no', 'on\nyes\nno\n', { fields: [{ kind: 'bool' }] }],
  ])('fits a file with %s', async (_name, content, expected) => {
    const { map, rejected } = await proposalFor(fileOf(content))

    expect(map).toMatchObject(expected)
    expect(rejected).toEqual([])
  })

  test('of a hostile name is a map and code all the same, and the file is refused for its name', async () => {
    const path = join(temporaryDirectory(), "x\nthrow new Error('run') '.csv")
    writeFileSync(path, HEADERS.replace('T', "T [';throw 1//]"))

    const inferred = await inferMap(path)

    expect(entityOf(inferred.entityText).commands.sample).toMatchObject({ t: { unit: "';throw 1//" } })
    await expect(rowsOf(path, parseMap(inferred.mapText, 'x'))).rejects.toMatchObject({ code: 'ERR_ENTITY_ID' })
  })
})

describe('a file that gives nothing to propose', () => {
  test.each([
    ['is empty', '', 'ERR_CSV_EMPTY'],
    ['holds times alone', 'time\n2020-03-09T10:00:00Z\n', 'ERR_INFER'],
  ])('is refused when it %s', async (_name, content, code) => {
    await expect(inferMap(fileOf(content))).rejects.toMatchObject({ code })
  })

  test('is refused when it is not there', async () => {
    await expect(inferMap('/nowhere/x.csv')).rejects.toMatchObject({ code: 'ERR_CSV_FILE' })
  })
})

describe.each([
  { folder: 'skab', ending: '.csv', fieldCount: 8 },
  { folder: 'nab-machine-temperature', ending: '.csv', fieldCount: 1 },
  { folder: 'cnc-mill', ending: '.csv.gz', fieldCount: 49 },
  { folder: 'hydraulic-rig', ending: '.txt.gz', fieldCount: 60 },
])('the real data of $folder', ({ folder, ending, fieldCount }) => {
  const missing = missingData(folder)
  test.skipIf(missing !== undefined)(
    `gets a map with which each row of each file converts${missing === undefined ? '' : ` (${missing})`}`,
    async () => {
      const counts: number[] = []
      for (const path of dataFiles(folder, ending)) {
        const { rows, rejected, map, entity } = await proposalFor(path)

        expect(rejected.slice(0, 3)).toEqual([])
        expect(Object.keys(entity.commands.sample ?? {})).toEqual(map.fields.map(({ field }) => field))
        expect(rows.length).toBeGreaterThan(0)
        counts.push(map.fields.length)
      }
      expect(Math.min(...counts)).toBe(fieldCount)
    },
  )
})
