import { appendFileSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FakeClock, systemClock } from '#base/clock.js'
import { fileCheckpointStore } from '#ingest/checkpoint-store.js'
import { openCsvSource } from '#ingest/csv-source.js'
import type { IngestOptions, IngestSummary } from '#ingest/ingest-options.js'
import { runIngest } from '#ingest/ingest-run.js'
import { fileOf, pressMap, SOON, temporaryDirectory } from './data.js'
import { FakeDoor, type FakeDoorOptions } from './fake-door.js'

const HEADER = 'time,press,T,mode\n'
const row = (number: number, mode = 'auto') =>
  `2020-03-09T10:00:${String(number % 60).padStart(2, '0')}Z,p${number % 3},${number},${mode}\n`
const rowsText = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => row(from + index)).join('')

/** Refuses modes that start with `no`, throws on `broken`, does not know `unknown`. */
const picky: FakeDoorOptions = {
  decide: ({ data }) => {
    const mode = String(data.mode)
    return mode.startsWith('no') ? { refuse: 'NO' } : mode === 'broken' ? { fail: 'boom' } : { reply: undefined }
  },
  reject: ({ data }) => (data.mode === 'unknown' ? 'mode: there is no such mode' : undefined),
}

async function ingest(path: string, door: FakeDoor, directory: string, options: Partial<IngestOptions> = {}): Promise<IngestSummary> {
  return runIngest({
    source: await openCsvSource(path, pressMap()),
    door,
    clock: systemClock,
    speed: 'max',
    checkpoints: fileCheckpointStore(directory),
    rejectFile: join(directory, 'rejects.jsonl'),
    ...options,
  })
}

function rejectsOf(directory: string): Record<string, unknown>[] {
  const path = join(directory, 'rejects.jsonl')
  return existsSync(path)
    ? readFileSync(path, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    : []
}

const temperatures = (door: FakeDoor) => door.stored.map(({ data }) => data.temperature)
const numbers = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

describe('a file taken into a plant', () => {
  test('arrives in order, once, and is counted', async () => {
    const door = new FakeDoor()

    const summary = await ingest(fileOf(HEADER + rowsText(0, 500)), door, temporaryDirectory())

    expect(temperatures(door)).toEqual(numbers(0, 500))
    expect(summary).toEqual({ rows: 500, accepted: 500, rejected: 0, durable: 500, isComplete: true, resumedAfter: 0 })
  })

  test('waits where the door is full, and nothing overtakes', async () => {
    const door = new FakeDoor({ capacity: 3 })

    await ingest(fileOf(HEADER + rowsText(0, 200)), door, temporaryDirectory())

    expect(temperatures(door)).toEqual(numbers(0, 200))
    expect(door.offers).toBeGreaterThan(200)
  })

  test('leaves rejected rows in the reject file, each with its line, kind and reason', async () => {
    const directory = temporaryDirectory()
    const text = HEADER + row(0) + row(1, 'no') + '2020,p1,x,auto\n' + row(3, 'unknown') + row(4, 'broken') + row(5)

    const summary = await ingest(fileOf(text), new FakeDoor(picky), directory)

    expect(summary).toMatchObject({ rows: 6, accepted: 2, rejected: 4, durable: 2 })
    expect(rejectsOf(directory)).toEqual([
      expect.objectContaining({
        line: 4,
        row: 3,
        kind: 'malformed',
        reason: expect.stringContaining('column time'),
        raw: '2020,p1,x,auto',
      }),
      expect.objectContaining({ line: 5, row: 4, kind: 'unfit', reason: 'mode: there is no such mode' }),
      expect.objectContaining({ line: 3, row: 2, kind: 'refused', reason: 'NO' }),
      expect.objectContaining({ line: 6, row: 5, kind: 'failed', reason: 'boom' }),
    ])
    expect(statSync(join(directory, 'rejects.jsonl')).mode & 0o777).toBe(0o600)
  })

  test('taken again is offered nothing, and gives the same counts', async () => {
    const directory = temporaryDirectory()
    const path = fileOf(HEADER + rowsText(0, 50) + row(50, 'no'))
    const door = new FakeDoor(picky)
    const first = await ingest(path, door, directory)
    const { offers } = door

    const second = await ingest(path, door, directory)

    expect(second).toEqual({ ...first, resumedAfter: 51 })
    expect(door.offers).toBe(offers)
  })

  test('that grew goes on behind what was taken', async () => {
    const directory = temporaryDirectory()
    const path = fileOf((HEADER + rowsText(0, 30)).trimEnd())
    const door = new FakeDoor()
    await ingest(path, door, directory)
    appendFileSync(path, `\n${rowsText(30, 60)}`)

    const summary = await ingest(path, door, directory)

    expect(summary).toMatchObject({ rows: 60, accepted: 60, resumedAfter: 30 })
    expect(temperatures(door)).toEqual(numbers(0, 60))
    expect(door.stored.at(-1)).toMatchObject({ sequence: 60 })
  })

  test.each([
    ['other rows', HEADER + rowsText(100, 130)],
    ['one byte changed', (HEADER + rowsText(0, 30)).replace(',7,auto', ',8,auto')],
    ['fewer rows', HEADER + rowsText(0, 20)],
    ['a last row that has grown', `${(HEADER + rowsText(0, 30)).trimEnd()}matic\n`],
  ])('is refused when a file with %s lies in its place', async (_name, text) => {
    const directory = temporaryDirectory()
    const path = fileOf((HEADER + rowsText(0, 30)).trimEnd())
    const door = new FakeDoor()
    await ingest(path, door, directory)
    writeFileSync(path, text)

    await expect(ingest(path, door, directory)).rejects.toMatchObject({ code: 'ERR_FILE_REPLACED', values: { rowsTaken: 30 } })
    expect(temperatures(door)).toEqual(numbers(0, 30))
  })

  test('is not taken past a checkpoint that cannot be read', async () => {
    const directory = temporaryDirectory()
    const path = fileOf(HEADER + rowsText(0, 5))
    const source = await openCsvSource(path, pressMap())
    writeFileSync(join(directory, `${source.checkpointName}.json`), '{"version":1,"row":')

    await expect(ingest(path, new FakeDoor(), directory)).rejects.toMatchObject({ code: 'ERR_CHECKPOINT_DAMAGED' })
  })

  test('stops when a reject cannot be written, with no checkpoint past it', async () => {
    const directory = temporaryDirectory()
    const path = fileOf(HEADER + row(0) + row(1) + row(2, 'no') + row(3))
    const door = new FakeDoor({
      decide(command) {
        writeFileSync(join(directory, 'rejects'), 'a file where a folder is wanted')
        return picky.decide?.(command) ?? { reply: undefined }
      },
    })
    const rejectFile = join(directory, 'rejects', 'press.jsonl')

    await expect(ingest(path, door, directory, { rejectFile })).rejects.toMatchObject({ code: 'ERR_REJECT_FILE' })

    expect(await ingest(path, door, directory)).toMatchObject({ rows: 4, accepted: 3, rejected: 1, resumedAfter: 2 })
  })
})

describe('a run that is interrupted', () => {
  test('by a stop keeps what settled, and the next one finishes', async () => {
    const directory = temporaryDirectory()
    const path = fileOf(HEADER + rowsText(0, 100))
    const door = new FakeDoor({ isManual: true, capacity: 10 })
    const stop = new AbortController()
    const first = ingest(path, door, directory, { signal: stop.signal })
    await expect.poll(() => door.inFlightCount, SOON).toBe(10)
    stop.abort()
    door.settle()

    expect(await first).toMatchObject({ rows: 10, accepted: 10, isComplete: false })
    const second = ingest(path, door, directory)
    const settling = setInterval(() => door.settle(), 1)
    try {
      expect(await second).toMatchObject({ rows: 100, accepted: 100, resumedAfter: 10, isComplete: true })
    } finally {
      clearInterval(settling)
    }
    expect(temperatures(door)).toEqual(numbers(0, 100))
  })

  test('by a stop while nothing settles gives up after its bound', async () => {
    const directory = temporaryDirectory()
    const path = fileOf(HEADER + rowsText(0, 100))
    const door = new FakeDoor({ isManual: true, capacity: 10 })
    const stop = new AbortController()
    const first = ingest(path, door, directory, { signal: stop.signal, drainMs: 20 })
    await expect.poll(() => door.inFlightCount, SOON).toBe(10)
    door.settle(4)
    stop.abort()

    expect(await first).toMatchObject({ isComplete: false })
    door.crash(3)
    const settling = setInterval(() => door.settle(), 1)
    try {
      expect(await ingest(path, door, directory)).toMatchObject({ rows: 100, accepted: 100 })
    } finally {
      clearInterval(settling)
    }
    expect(temperatures(door)).toEqual(numbers(0, 100))
  })

  test('anywhere loses no row, takes none twice, and counts and rejects the same', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ settle: fc.nat(30), durable: fc.nat(12), saves: fc.boolean() }), { maxLength: 5 }),
        fc.constantFrom('', '.gz'),
        async (kills, ending) => {
          const directory = temporaryDirectory()
          const text = HEADER + rowsText(0, 20) + row(20, 'no') + 'bad\n' + rowsText(22, 50) + row(50, 'no') + rowsText(51, 80)
          const path = fileOf(text, `press.csv${ending}`)
          const door = new FakeDoor({ ...picky, isManual: true, capacity: 12 })

          for (const kill of kills) {
            // A killed process leaves its files as they are: the run goes on, deaf, with a store that forgets.
            let isDead = false
            const real = fileCheckpointStore(directory)
            const checkpoints = {
              load: (name: string) => real.load(name),
              save: async (...args: Parameters<typeof real.save>) => (isDead ? undefined : real.save(...args)),
            }
            const stop = new AbortController()
            const run = ingest(path, door, directory, {
              checkpoints,
              signal: stop.signal,
              drainMs: 0,
              checkpointEveryMs: kill.saves ? 0 : 1e9,
            })
            for (let turn = 0; turn < kill.settle; turn++) {
              door.settleOne((commands) => (turn * 7) % Math.max(1, commands.length))
              await new Promise(setImmediate)
            }
            isDead = true
            door.crash(kill.durable)
            stop.abort()
            await run
          }
          const settling = setInterval(() => door.settle(), 0)
          const summary = await ingest(path, door, directory).finally(() => clearInterval(settling))

          expect(summary).toMatchObject({ rows: 80, accepted: 77, rejected: 3, durable: 77, isComplete: true })
          expect(temperatures(door).sort((a, b) => Number(a) - Number(b))).toEqual(
            numbers(0, 80).filter((number) => ![20, 21, 50].includes(number)),
          )
          for (const press of ['press/p0', 'press/p1', 'press/p2'] as const) {
            const own = door.stored.filter(({ entity }) => entity === press).map(({ sequence }) => sequence)
            expect(own).toEqual([...own].sort((a, b) => a - b))
          }
          expect(
            rejectsOf(directory)
              .map((reject) => Number(reject.row))
              .sort((a, b) => a - b),
          ).toEqual([21, 22, 51])
        },
      ),
      { numRuns: 40 },
    )
  })
})

describe('the speed of a run', () => {
  test('real spreads the rows over the time that lies between them', async () => {
    const clock = new FakeClock()
    const door = new FakeDoor()
    const run = ingest(fileOf(HEADER + rowsText(0, 4)), door, temporaryDirectory(), { clock, speed: 'real' })

    for (let second = 0; second < 4; second++) {
      await expect.poll(() => temperatures(door), SOON).toEqual(numbers(0, second + 1))
      clock.advance(999)
      await new Promise(setImmediate)
      expect(temperatures(door)).toEqual(numbers(0, second + 1))
      clock.advance(1)
    }
    await run
  })

  test('2 takes half of it', async () => {
    const clock = new FakeClock()
    const door = new FakeDoor()
    const run = ingest(fileOf(HEADER + rowsText(0, 3)), door, temporaryDirectory(), { clock, speed: 2 })
    await expect.poll(() => temperatures(door), SOON).toEqual([0])

    clock.advance(500)

    await expect.poll(() => temperatures(door), SOON).toEqual([0, 1])
    clock.advance(500)
    expect(await run).toMatchObject({ rows: 3 })
  })
})

test('a checkpoint names the settled prefix, never a row ahead of it', async () => {
  const directory = temporaryDirectory()
  const path = fileOf(HEADER + rowsText(0, 30))
  const door = new FakeDoor({ isManual: true })
  const source = await openCsvSource(path, pressMap())
  const store = fileCheckpointStore(directory)
  const run = ingest(path, door, directory, { checkpointEveryMs: 0 })
  await expect.poll(() => door.inFlightCount, SOON).toBe(30)

  door.settleOne((commands) => commands.findIndex(({ sequence }) => sequence === 2))
  door.settleOne((commands) => commands.findIndex(({ sequence }) => sequence === 3))
  await new Promise(setImmediate)
  const before = await store.load(source.checkpointName)
  door.settleOne((commands) => commands.findIndex(({ sequence }) => sequence === 1))

  expect(before).toBeUndefined()
  await expect.poll(async () => (await store.load(source.checkpointName))?.row, SOON).toBe(3)
  door.settle()
  await run
  expect(statSync(join(directory, `${source.checkpointName}.json`)).mode & 0o777).toBe(0o600)
})
