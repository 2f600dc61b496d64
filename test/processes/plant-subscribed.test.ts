import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Row } from '#journal/index.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { openSubscription } from '#runtime/open-subscription.js'
import { PlantSession, WITHOUT_SPARES } from '#runtime/plant-session.js'
import { ProgramUnderTest, until } from '../apps/program-under-test.js'
import { SampleFeeder } from '../faults/sample-feeder.js'
import { Broker } from '../ingest/broker.js'
import { writePressPlant } from '../ingest/press-plant.js'
import { breakAndRecover } from './break-and-recover.js'

const ENTITIES = 10

let directory: string
let data: string
let session: PlantSession
let feeders = 0

const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

async function startPlant(): Promise<PlantSession> {
  return PlantSession.start({
    dataDirectory: data,
    plantFile: writePressPlant(directory),
    env: { MILLRACE_HTTP__PORT: '0', ...WITHOUT_SPARES, MILLRACE_WORKERS__COUNT: '1' },
  })
}

/** Feeds the plant while something is done to it; afterwards the log has `end` rows. */
async function whileFed(act: (feeder: SampleFeeder) => Promise<void>): Promise<number> {
  const feeder = await SampleFeeder.start(data, ENTITIES, `feeder-${feeders++}`)
  await act(feeder)
  await feeder.stop()
  return endPosition()
}

async function endPosition(): Promise<number> {
  const access = await JournalAccess.open(data)
  try {
    return (await access.summary()).endPosition
  } finally {
    await access.close()
  }
}

const breakJournal = () => breakAndRecover(session, 'journal')

describe('the log of a plant, read from another process', () => {
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'millrace-subscribed-'))
    data = join(directory, 'data')
    session = await startPlant()
  })

  afterAll(async () => {
    await session.close()
    rmSync(directory, { recursive: true, force: true })
  })

  test('comes without a gap, in order and once over deaths of the journal', async () => {
    const subscription = await openSubscription({ data })
    const positions: number[] = []
    const reading = subscription.forEach((row) => positions.push(row.position))

    const end = await whileFed(async () => {
      for (const count of [100, 300]) {
        await until('some rows arrived', () => positions.length >= count)
        await breakJournal()
      }
      await until('more rows arrived', () => positions.length >= 500)
    })
    await until('all rows arrived', () => positions.length >= end)
    await subscription.close()
    await reading

    expect(positions).toEqual(upTo(0, end))
    expect(subscription.stats).toMatchObject({ delivered: end, position: end, lag: 0 })
    expect(subscription.stats.reconnects).toBeGreaterThanOrEqual(1)
  })

  test('goes on under its name where it was settled, over a restart of the reader and a death of the journal', async () => {
    const take = async (count: number): Promise<Row[]> => {
      const rows: Row[] = []
      for await (const row of await openSubscription({ data, name: 'mes', entity: 'press/*', event: 'Sampled' }))
        if (rows.push(row) === count) break
      return rows
    }
    const end = await whileFed(async () => {
      const first = await take(100)
      await breakJournal()
      const second = await take(100)

      // The row at which the first reader left was not settled.
      expect([...first, ...second].map(({ position }) => position)).toEqual([...upTo(0, 100), ...upTo(99, 199)])
    })

    const access = await JournalAccess.open(data)
    onTestFinished(() => access.close())
    expect(await access.subscriptions()).toMatchObject([{ name: 'mes', position: 198, isFenced: false }])
    expect(end).toBeGreaterThan(198)
  })

  test('is tailed over a death of the journal and a restart of the plant, each row once and in order', async () => {
    const tail = new ProgramUnderTest(['tail', '-f', '--from', 'beginning', '--event', 'Sampled', '--json', '--data', data], {
      cwd: directory,
    })
    const positions = () => (tail.json as { position: number }[]).map(({ position }) => position)
    const lines = () => tail.stdout.split('\n').length - 1
    const before = await endPosition()
    await until('it has caught up', () => lines() >= before)

    await whileFed(async () => {
      await breakJournal()
    })
    await session.close()
    session = await startPlant()
    const end = await whileFed(async (feeder) => {
      await until('some more rows are durable', () => feeder.settled >= 50)
    })
    await until('it has caught up again', () => lines() >= end)
    tail.kill('SIGINT')

    expect(await tail.ended).toBe(130)
    expect(positions()).toEqual(upTo(0, end))
  })

  test('is published by a command up to where it ends, and from there on by the next one', async () => {
    const broker = await Broker.start()
    const publish = async (...words: string[]) => {
      const program = new ProgramUnderTest(
        [
          'publish',
          'mqtt',
          broker.url,
          '--topic',
          'plant/{name}',
          '--mqtt-version',
          '4',
          '--name',
          'tool',
          ...words,
          '--json',
          '--data',
          data,
        ],
        { cwd: directory },
      )
      const code = await program.ended
      return { code, ...(program.json.at(-1) as { delivered: number; position: number }) }
    }
    const before = await endPosition()

    const first = await publish('--once', '--entity', 'press/press-1', 'press/press-2')
    const end = await whileFed(async (feeder) => until('some rows are durable', () => feeder.settled >= 20))
    const second = await publish('--once', '--entity', 'press/press-1', 'press/press-2')

    expect(first).toMatchObject({ code: 0, name: 'tool', position: before, lag: 0, rejected: 0 })
    expect(second).toMatchObject({ code: 0, position: end, lag: 0 })
    expect(new Set(broker.published.map(({ topic }) => topic))).toEqual(new Set(['plant/press-1', 'plant/press-2']))
    expect(broker.published).toHaveLength(first.delivered + second.delivered)
    const versions = broker.published
      .filter(({ topic }) => topic === 'plant/press-1')
      .map(({ payload }) => (JSON.parse(payload.toString()) as { version: number }).version)
    expect(versions).toEqual(upTo(1, versions.length + 1))
  })

  test('tells in the status of its plant who reads it now and who does not', async () => {
    const status = async () => {
      const program = new ProgramUnderTest(['status', '--json', '--data', data], { cwd: directory })
      await program.ended
      return (program.json.at(-1) as { subscriptions: readonly { name: string }[] }).subscriptions.find(({ name }) => name === 'live')
    }
    const end = await endPosition()
    const subscription = await openSubscription({ data, name: 'live', from: end })
    const reading = subscription.forEach(() => undefined)

    await until('it is known to be read', async () => ((await status()) as { state?: string } | undefined)?.state === 'reading')
    await subscription.close()
    await reading

    expect(await status()).toMatchObject({ position: end, lag: 0, state: 'paused' })
    const shown = new ProgramUnderTest(['status', '--data', data], { cwd: directory })
    await shown.ended
    expect(shown.stdout).toMatch(new RegExp(`^live +${end.toLocaleString('en-US')} +0 +\\S+ +paused$`, 'm'))
  })

  test('tells who waits for an event that nobody has heard of which there are', async () => {
    const tail = new ProgramUnderTest(['tail', '-n', '1', '--event', 'Smapled', 'press.Sampled', '--data', data], { cwd: directory })

    expect(await tail.ended).toBe(0)
    expect(tail.stderr).toMatch(/^the log has no event Smapled yet; it has press\.Sampled\b/)
    expect(tail.stdout).toMatch(/^\d+ +press\/press-\d+ .* Sampled /)
  })

  test('has a list of those who read it, who can be reset and forgotten', async () => {
    const command = async (...words: string[]) => {
      const program = new ProgramUnderTest(['subscription', ...words, '--data', data], { cwd: directory })
      const code = await program.ended
      return { code, stdout: program.stdout, stderr: program.stderr }
    }
    const listed = async () => (JSON.parse((await command('list', '--json')).stdout) as { subscriptions: object[] }).subscriptions
    await (await openSubscription({ data, name: 'listed', from: 'end' })).close()
    const end = await endPosition()

    expect(await listed()).toContainEqual(expect.objectContaining({ name: 'listed', position: end, lag: 0, isFenced: false }))
    expect((await command('list')).stdout).toMatch(/^subscription +position +lag +last seen +state\n/)
    expect(await command('reset', 'listed', '--to', '7')).toMatchObject({ code: 0, stdout: 'listed goes on at position 7.\n' })
    expect(await listed()).toContainEqual(expect.objectContaining({ name: 'listed', position: 7, lag: end - 7 }))
    expect(await command('remove', 'listed')).toMatchObject({ code: 0 })
    expect(await command('remove', 'listed')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no subscription of this name') as string,
    })
    expect(await command('reset', 'listed', '--to', 'yesterday')).toMatchObject({ code: 2 })
  })
})
