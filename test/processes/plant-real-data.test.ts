import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { systemClock } from '#base/clock.js'
import { fileCheckpointStore, type IngestSummary, openCsvSource, readMapFile, runIngest } from '#ingest/index.js'
import { dataPaths } from '#runtime/data-directory.js'
import { connectDoor } from '#runtime/door-access.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { type ProgramUnderTest, run, startPlant } from '../apps/program-under-test.js'
import { dataFiles, missingData } from '../ingest/data.js'

const EXAMPLES = fileURLToPath(new URL('../../examples/ingest', import.meta.url))
/** Files on their way at a time. */
const AT_ONCE = 4

const sets = [
  {
    folder: 'skab',
    ending: '.csv',
    map: 'skab.map.yaml',
    delimiter: ';',
    type: 'water-pump',
    rowCount: 46_806,
    nameOf: (path: string) => `${basename(dirname(path))}-${basename(path, '.csv')}`,
    atOf: (row: PlainRow) => Date.parse(`${row.datetime?.replace(' ', 'T')}+03:00`),
  },
  {
    folder: 'nab-machine-temperature',
    ending: '.csv',
    map: 'nab.map.yaml',
    delimiter: ',',
    type: 'thermometer',
    rowCount: 22_695,
    nameOf: (path: string) => basename(path, '.csv'),
    atOf: (row: PlainRow) => Date.parse(`${row.timestamp?.replace(' ', 'T')}Z`),
  },
  {
    folder: 'cnc-mill',
    ending: '.csv.gz',
    map: 'cnc-mill.map.yaml',
    delimiter: ',',
    type: 'cnc-mill',
    rowCount: 25_286,
    nameOf: (path: string) => basename(path, '.csv.gz'),
    atOf: (_row: PlainRow, index: number) => Date.UTC(2018, 0, 1) + index * 100,
  },
] as const

describe('real machine data taken in by the example maps into the example plant', () => {
  let folder: PlantFolder
  let up: ProgramUnderTest | undefined

  beforeAll(async () => {
    folder = new PlantFolder(`export { default } from ${JSON.stringify(join(EXAMPLES, 'plant.js'))}\n`)
    if (sets.some((set) => missingData(set.folder) === undefined)) ({ up } = await startPlant(folder))
  })

  afterAll(async () => {
    up?.kill('SIGTERM')
    await up?.ended
    folder.remove()
  })

  describe.each(sets)('of $folder', (set) => {
    const missing = missingData(set.folder)

    test.skipIf(missing !== undefined)(
      `arrives row by row and is given back bit for bit${missing === undefined ? '' : ` (${missing})`}`,
      async () => {
        const files = dataFiles(set.folder, set.ending)
        const map = join(EXAMPLES, set.map)

        const [first, ...others] = files as [string, ...string[]]
        const byCommand = await run(folder, ['ingest', 'csv', first, '--map', map, '--json'])
        const summaries = [byCommand.json, ...(await takeIn(folder, others, map))]
        const stored = await run(folder, ['query', '--entity', `${set.type}/*`, '--event', 'Sampled', '--json'])

        const expected = new Map(files.map((file) => [`${set.type}/${set.nameOf(file)}`, plainRows(file, set.delimiter)]))
        expect(byCommand.code).toBe(0)
        for (const [index, summary] of summaries.entries()) {
          const rows = [...expected.values()][index]?.length
          expect(summary, files[index]).toMatchObject({
            rows,
            accepted: rows,
            rejected: 0,
            durable: rows,
            isComplete: true,
          })
        }
        expect(stored.lines.length).toBe(set.rowCount)
        expect(differences(stored.lines as unknown as StoredRow[], expected, fieldsOf(map), set.atOf)).toEqual([])
        expect([...expected.values()].flat()).toHaveLength(set.rowCount)
      },
    )
  })
})

/** What the command does for one file, without starting a process for each. */
async function takeIn(folder: PlantFolder, files: readonly string[], mapFile: string): Promise<IngestSummary[]> {
  const map = await readMapFile(mapFile)
  const directory = dataPaths(folder.data).ingest
  const door = await connectDoor(folder.data)
  try {
    return await eachAtOnce(files, async (file) => {
      const source = await openCsvSource(file, map)
      const rejectFile = join(directory, `${source.checkpointName}.rejects.jsonl`)
      return runIngest({ source, door, rejectFile, clock: systemClock, speed: 'max', checkpoints: fileCheckpointStore(directory) })
    })
  } finally {
    await door.close()
  }
}

type PlainRow = Readonly<Record<string, string>>

interface StoredRow {
  readonly entity: string
  readonly at: string
  readonly data: Readonly<Record<string, unknown>>
}

/** The rows of a file as the plainest code there is reads them: none of these files has a quote. */
function plainRows(path: string, delimiter: string): PlainRow[] {
  const bytes = readFileSync(path)
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8')
  const [names = [], ...rows] = text
    .trimEnd()
    .split('\n')
    .map((line) => line.replace('\r', '').split(delimiter))
  return rows.map((cells) => Object.fromEntries(names.map((name, index) => [name, cells[index] as string])))
}

/** Field → column and whether it is text, read off the map file without the code that reads maps. */
function fieldsOf(map: string): [field: string, column: string, isText: boolean][] {
  const { fields } = parse(readFileSync(map, 'utf8')) as { fields: Record<string, { column: string; kind?: string }> }
  return Object.entries(fields).map(([field, { column, kind }]) => [field, column, kind === 'label'])
}

/** Takes the expected rows off as the stored ones come; the first few that are not equal, and what did not come. */
function differences(
  stored: readonly StoredRow[],
  expected: ReadonlyMap<string, readonly PlainRow[]>,
  fields: ReturnType<typeof fieldsOf>,
  atOf: (row: PlainRow, index: number) => number,
): unknown[] {
  const found: unknown[] = []
  const taken = new Map([...expected.keys()].map((entity) => [entity, 0]))
  for (const { entity, at, data } of stored) {
    const index = taken.get(entity) ?? 0
    const row = expected.get(entity)?.[index]
    taken.set(entity, index + 1)
    if (row === undefined) found.push({ entity, index, what: 'was not in any file' })
    else if (Date.parse(at) !== atOf(row, index)) found.push({ entity, index, at })
    else {
      for (const [field, column, isText] of fields) {
        const cell = row[column]
        const value = cell === undefined || isText ? cell : Number(cell)
        if (!Object.is(data[field], value)) found.push({ entity, index, field, cell, stored: data[field] })
      }
    }
    if (found.length > 5) return found
  }
  for (const [entity, rows] of expected)
    if (rows.length !== taken.get(entity)) found.push({ entity, rows: rows.length, stored: taken.get(entity) })
  return found
}

async function eachAtOnce<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  let next = 0
  const worker = async () => {
    while (next < items.length) {
      const index = next++
      results[index] = await work(items[index] as T)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return results
}
