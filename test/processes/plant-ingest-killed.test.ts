import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { callControl } from '#processes/control-client.js'
import type { Role } from '#processes/process-role.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import { dataPaths } from '#runtime/data-directory.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { ProgramUnderTest, run, startPlant, TWO_WORKERS, until } from '../apps/program-under-test.js'
import { soakTimes } from '../soak.js'
import { COUNTS_MAP, counts, countsThatDiffer, isStored, rowCount } from './counted-rows.js'

const ROWS = soakTimes({ smoke: 12_000, full: 500_000 })
const KILLED: readonly Role[] = ['worker', 'journal', 'gateway', 'worker', 'journal', 'gateway']

let folder: PlantFolder
let file: string
let map: string

/** Processes that were given a seat again. */
async function attempts(): Promise<number> {
  const { recoveries } = await statusOf()
  return recoveries.reduce((sum, recovery) => sum + recovery.attempts, 0)
}

describe('a file on its way into a plant', () => {
  let up: ProgramUnderTest
  let name: string
  let rowsBefore: number

  beforeAll(async () => {
    folder = new PlantFolder()
    map = folder.write('counts.map.yaml', COUNTS_MAP)
    ;({ up } = await startPlant(folder, { env: { ...TWO_WORKERS, MILLRACE_PROCESSES__SPARES: '1' } }))
  })

  beforeEach(async ({ task }) => {
    name = task.id.replaceAll(/\W/g, '')
    file = folder.write(`${name}.csv`, counts(ROWS, name))
    rowsBefore = await rowCount(folder)
  })

  afterAll(async () => {
    up.kill('SIGTERM')
    expect(await up.ended).toBe(0)
    expect(folder.remove()).toEqual([])
  })

  async function untilStored(share: number): Promise<void> {
    await until('a part of it is durable', () => isStored(folder, rowsBefore + ROWS * share))
  }

  test('is not disturbed by kill -9 of a worker, the journal and the gateway, in turn and twice', async () => {
    const ingest = startIngest()

    for (const [index, role] of KILLED.entries()) {
      await untilStored((index + 1) / (KILLED.length + 2))
      process.kill(await pidOf(role), 'SIGKILL')
      expect(ingest.isOver).toBe(false)
    }
    const code = await ingest.ended
    // A kill may hit a successor that is not ready yet: then both belong to one recovery.
    await until('all are replaced', async () => (await attempts()) >= KILLED.length)

    expect(ingest.json).toEqual([{ rows: ROWS, accepted: ROWS, rejected: 0, durable: ROWS, isComplete: true, resumedAfter: 0 }])
    expect(code).toBe(0)
    expect(await countsThatDiffer(folder, ROWS, name)).toEqual([])
  })

  test('goes on behind a kill -9 of the command, as often as that happens, without a row twice', async () => {
    for (const share of [0.1, 0.3, 0.6]) {
      const ingest = startIngest()
      await untilStored(share)
      ingest.kill('SIGKILL')
      expect(await ingest.ended).toBe('SIGKILL')
    }
    const last = startIngest()
    await last.ended

    expect(last.json).toEqual([
      { rows: ROWS, accepted: ROWS, rejected: 0, durable: ROWS, isComplete: true, resumedAfter: expect.any(Number) },
    ])
    expect(await countsThatDiffer(folder, ROWS, name)).toEqual([])
  })

  test('is interrupted by Ctrl-C with 130, saying how to go on', async () => {
    const ingest = startIngest()
    await untilStored(0.2)

    ingest.kill('SIGINT')
    const code = await ingest.ended
    const [summary] = ingest.json as [{ rows: number; isComplete: boolean }]
    const again = startIngest()
    await again.ended

    expect(code).toBe(130)
    expect(summary.isComplete).toBe(false)
    expect(again.json).toMatchObject([{ rows: ROWS, isComplete: true, resumedAfter: summary.rows }])
    expect(await countsThatDiffer(folder, ROWS, name)).toEqual([])
  })
})

describe('a file whose command started the plant itself', () => {
  test('goes on when both were killed', async () => {
    folder = new PlantFolder()
    map = folder.write('counts.map.yaml', COUNTS_MAP)
    file = folder.write('counts.csv', counts(ROWS))
    const ingest = startIngest('--plant', folder.plantFile)
    await until('a part of it is durable', () => isStored(folder, ROWS * 0.3))

    ingest.kill('SIGKILL')
    await until('the plant is gone, too', () => folder.processes().length === 0, 5000)
    const again = startIngest()
    await again.ended

    expect(again.json).toMatchObject([{ rows: ROWS, accepted: ROWS, durable: ROWS, isComplete: true }])
    expect(folder.processes()).toEqual([])
    expect(await countsThatDiffer(folder, ROWS)).toEqual([])
    expect(folder.remove()).toEqual([])
  })
})

describe('a file that was taken in', () => {
  let up: ProgramUnderTest
  let rowsBefore: number

  beforeAll(async () => {
    folder = new PlantFolder()
    map = folder.write('counts.map.yaml', COUNTS_MAP)
    ;({ up } = await startPlant(folder))
  })

  beforeEach(async ({ task }) => {
    file = folder.write(`${task.id}.csv`, counts(100))
    rowsBefore = await rowCount(folder)
    await run(folder, ['ingest', 'csv', file, '--map', map, '--json'])
  })

  afterAll(async () => {
    up.kill('SIGTERM')
    await up.ended
    expect(folder.remove()).toEqual([])
  })

  test('is taken once: a second time nothing is sent', async () => {
    const second = await run(folder, ['ingest', 'csv', file, '--map', map, '--json'])

    expect(second).toMatchObject({ code: 0, json: { rows: 100, accepted: 100, resumedAfter: 100, isComplete: true } })
    expect((await rowCount(folder)) - rowsBefore).toBe(100)
  })

  test('goes on where it has grown', async () => {
    writeFileSync(file, counts(150))

    const grown = await run(folder, ['ingest', 'csv', file, '--map', map, '--json'])

    expect(grown.json).toMatchObject({ rows: 150, accepted: 150, resumedAfter: 100 })
    expect((await rowCount(folder)) - rowsBefore).toBe(150)
  })

  test.each<[string, () => string]>([
    ['other rows', () => counts(100).replaceAll('counter-1,', 'counter-2,')],
    ['fewer rows', () => counts(50)],
  ])('and replaced by another with %s is refused', async (_what, other) => {
    renameSync(folder.write('other.csv', other()), file)

    const { code, stderr, json } = await run(folder, ['ingest', 'csv', file, '--map', map, '--json'])

    expect({ code, json }).toMatchObject({ code: 1, json: { error: { code: 'ERR_FILE_REPLACED' } } })
    expect(stderr).toMatch(/the file was replaced: .* rowsTaken=100: give the new file a name of its own/)
    expect((await rowCount(folder)) - rowsBefore).toBe(100)
  })

  test('leaves its bad rows with line and reason in a reject file', async () => {
    const bad = folder.write('bad.csv', `${counts(4)}1,counter-0,many\nnot a row\n5,counter-0,-3\n6,counter-0,7\n`)

    const { code, json } = await run(folder, ['ingest', 'csv', bad, '--map', map, '--json'])

    expect({ code, json }).toMatchObject({ code: 0, json: { rows: 8, accepted: 5, rejected: 3, durable: 5 } })
    const rejects = readFileSync(json.rejectFile as string, 'utf8')
      .trimEnd()
      .split('\n')
    expect(rejects.map((line) => JSON.parse(line) as object)).toMatchObject([
      { line: 6, kind: 'malformed', reason: expect.stringContaining('n') },
      { line: 7, kind: 'malformed', reason: expect.any(String) },
      { line: 8, kind: 'refused', reason: 'NEGATIVE {"n":-3}' },
    ])
  })
})

function startIngest(...words: string[]): ProgramUnderTest {
  return new ProgramUnderTest(['ingest', 'csv', file, '--map', map, '--data', folder.data, '--json', ...words], { cwd: folder.path })
}

/** The holder of the seat; waits for one where it is just being replaced. */
async function pidOf(role: Role): Promise<number> {
  let pid: number | null = null
  await until('somebody holds the seat', async () => {
    pid = (await statusOf()).processes.find((one) => one.role === role && one.slot === 0)?.pid ?? null
    return pid !== null
  })
  return pid as unknown as number
}

/** Asked without a command of the line in between, which would take longer than the file. */
async function statusOf(): Promise<PlantStatus> {
  return (await callControl(dataPaths(folder.data).supervisorSocket, 'status')) as PlantStatus
}
