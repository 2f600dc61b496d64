import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { MillraceError } from '#base/errors.js'
import { callControl, streamControl } from '#processes/control-client.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import type { CountStep } from '#recovery/worker-count.js'
import { dataPaths } from '#runtime/data-directory.js'
import { runtimeDirectoryOf } from '#shm/index.js'
import { CountingClients } from './counting-clients.js'
import { runCliHere } from './cli/run-cli.js'
import { COUNTER, PlantFolder } from './plant-folder.js'
import { type ProgramUnderTest, type ReadyLine, run, startPlant, TWO_WORKERS, until } from './program-under-test.js'

/** Ten seconds are the bound; what lies outside it takes its time on a busy machine. */
const STOP_MS_MAX = 30_000
/** As the next version of it. */
const versioned = (text: string): string => text.replace('definePlant({', "definePlant({ version: '0.1.0',")
const clean = { ackedMissing: 0, duplicated: 0, outOfOrder: 0, invented: 0 }

describe('a plant that runs', () => {
  let folder: PlantFolder
  let up: ProgramUnderTest
  let ready: ReadyLine

  beforeAll(async () => {
    folder = new PlantFolder()
    ;({ up, ready } = await startPlant(folder, { env: { ...TWO_WORKERS, MILLRACE_PROCESSES__SPARES: '1' } }))
  })

  afterAll(async () => {
    up.kill('SIGTERM')
    await up.ended
    folder.remove()
  })

  test('says that it is ready, with its processes, which are those that run', () => {
    const living = folder.processes().map(({ pid }) => pid)

    expect(ready).toMatchObject({
      ready: true,
      readyMs: expect.any(Number),
      data: folder.data,
      http: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/),
    })
    const seats = ready.processes.filter(({ slot }) => slot !== null)
    expect(seats.map(({ role, slot }) => `${role}/${slot}`)).toEqual(['supervisor/0', 'journal/0', 'worker/0', 'worker/1', 'gateway/0'])
    for (const { pid } of ready.processes) expect(living).toContain(pid)
  })

  test('tells its status as JSON: the seats and the spares, with pid, term and state', async () => {
    let status: Readonly<Record<string, unknown>> = {}
    await until('the spares stand by', async () => {
      status = (await run(folder, ['status', '--json'])).json
      return (status.processes as { state: string }[]).filter(({ state }) => state === 'standby').length === 3
    })

    expect(status).toMatchObject({ ready: true, stopping: false, dataDirectory: folder.data, recoveryCount: 0, http: ready.http })
    const processes = status.processes as ReadyLine['processes']
    expect(processes.map(({ role, slot, state }) => `${role}/${slot} ${state}`)).toEqual([
      'supervisor/0 ready',
      'journal/0 ready',
      'worker/0 ready',
      'worker/1 ready',
      'gateway/0 ready',
      'journal/null standby',
      'worker/null standby',
      'gateway/null standby',
    ])
    expect(new Set(processes.map(({ pid }) => pid)).size).toBe(8)
    expect(new Set(processes.map(({ pid }) => pid))).toEqual(new Set(folder.processes().map(({ pid }) => pid)))
    for (const { role, slot, term } of processes)
      expect(term, `${role}/${slot}`).toEqual(role === 'supervisor' || slot === null ? null : expect.any(Number))
  })

  test('tells its status to a person', async () => {
    const { code, stdout } = await run(folder, ['status'])

    expect(code).toBe(0)
    expect(stdout).toMatch(/^The plant is ready, up for .* 0 recoveries\. Data: /)
    for (const name of [
      'supervisor/0',
      'journal/0',
      'worker/0',
      'worker/1',
      'gateway/0',
      'journal (spare)',
      'worker (spare)',
      'gateway (spare)',
      String(up.pid),
    ])
      expect(stdout).toContain(name)
  })

  test('refuses a second one on the same directory, naming the first', async () => {
    const second = await run(folder, ['up', folder.plantFile])
    const json = await run(folder, ['up', folder.plantFile, '--json'])

    expect(second.code).toBe(1)
    expect(second.stderr).toMatch(
      new RegExp(`^millrace: a plant runs on this data directory already data=\\S+ pid=${up.pid}: .*millrace down`),
    )
    expect(json).toMatchObject({ code: 1, json: { error: { code: 'ERR_PLANT_RUNNING' } } })
    expect((await run(folder, ['status', '--json'])).json).toMatchObject({ ready: true })
  })

  test.each<[string, string, string]>([
    ['of the version that it runs', COUNTER, 'ERR_CODE_SAME'],
    ['that does not load', 'throw new Error("no licence")', 'ERR_PLANT_MODULE'],
    ['without a command that it has', versioned(COUNTER.replaceAll('count:', 'add:').replace('count(', 'add(')), 'ERR_COMMAND_CHANGED'],
    ['that cannot read its events', versioned(COUNTER.replaceAll('Counted', 'Added')), 'ERR_SCHEMA_CHANGED'],
    ['whose version is none', COUNTER.replace('definePlant({', "definePlant({ version: 'two',"), 'ERR_PLANT_MODULE'],
  ])('is not upgraded to code %s', async (_, text, code) => {
    const { processes } = (await callControl(dataPaths(folder.data).supervisorSocket, 'status')) as PlantStatus
    const said = await runCliHere(['code', 'upgrade', folder.write('next.js', text), '--data', folder.data, '--json'])

    expect(said.code).toBe(1)
    expect(JSON.parse(said.stdout)).toMatchObject({ error: { code } })
    const after = (await callControl(dataPaths(folder.data).supervisorSocket, 'status')) as PlantStatus
    expect(after.code).toEqual({ version: '0.0.0', plantFile: folder.plantFile, upgrade: null })
    const seatsOf = (all: PlantStatus['processes']) => all.filter(({ slot }) => slot !== null).map(({ pid, term }) => [pid, term])
    expect(seatsOf(after.processes)).toEqual(seatsOf(processes))
  })

  test('is not upgraded to the file that it runs from', async () => {
    const said = await runCliHere(['code', 'upgrade', folder.plantFile, '--data', folder.data])

    expect(said.code).toBe(1)
    expect(said.stderr).toMatch(/^millrace: the plant runs from this very file.* put each version in a folder of its own/)
  })

  test('sends, gets, queries and tails', async () => {
    const sent = await run(folder, ['send', 'counter/a', 'count', '{"n":7}', '--json'])
    const again = await run(folder, ['send', 'counter/a', 'count', '{"n":8}', '--source', 'me', '--sequence', '1', '--json'])
    const repeated = await run(folder, ['send', 'counter/a', 'count', '{"n":8}', '--source', 'me', '--sequence', '1', '--json'])
    const refused = await run(folder, ['send', 'counter/a', 'count', '{"n":-1}', '--json'])
    const got = await run(folder, ['get', 'counter/a', '--json'])
    const past = await run(folder, ['get', 'counter/a', '--version', '1', '--json'])
    const rows = await run(folder, ['query', '--entity', 'counter/a', '--json'])
    const tail = await run(folder, ['tail', '-n', '1', '--json'])

    expect(sent).toMatchObject({ code: 0, json: { ok: true, version: 1, reply: { count: 1 } } })
    expect(again.json).toEqual({ ok: true, version: 2, reply: { count: 2 } })
    expect(repeated.json).toEqual(again.json)
    expect(refused).toMatchObject({ code: 1, json: { ok: false, refused: 'NEGATIVE', detail: { n: -1 } } })
    expect(got.json).toEqual({ entity: 'counter/a', version: 3, state: { count: 2, last: 8 } })
    expect(past.json).toEqual({ entity: 'counter/a', version: 1, state: { count: 1, last: 7 } })
    expect(rows.lines.map(({ event, version, data }) => [event, version, data])).toEqual([
      ['Counted', 1, { n: 7 }],
      ['Counted', 2, { n: 8 }],
    ])
    expect(tail.lines).toMatchObject([{ entity: 'counter/a', version: 3, event: null, refused: 'NEGATIVE' }])
  })

  test.each<[readonly string[], RegExp]>([
    [['send', 'counter/a', 'cuont', '{}'], /counter has no command cuont; it has count/],
    [['send', 'counter/a', 'count', '{"m":1}'], /m: unknown field/],
    [['send', 'cuonter/a', 'count', '{"n":1}'], /there is no entity type cuonter; there are counter/],
    [['get', 'counter/nobody'], /there is no such entity in the log.*counter\/a/],
    [['get', 'cuonter/a'], /the plant has no such entity type.*it has counter/],
  ])('says what is wrong with %j', async (words, said) => {
    const { code, stdout, stderr } = await run(folder, words)

    expect(code).toBe(1)
    expect(stdout + stderr).toMatch(said)
  })

  test('lets nobody but its owner near its files, sockets, pipes and memory', () => {
    const open = [folder.data, runtimeDirectoryOf(folder.data)].flatMap((directory) =>
      [directory, ...readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((name) => join(directory, name))].flatMap((path) => {
        const stats = lstatSync(path)
        const mode = (stats.mode & 0o777).toString(8)
        return mode === (stats.isDirectory() ? '700' : '600') ? [] : [`${path} ${mode}`]
      }),
    )

    expect(open).toEqual([])
  })

  test('has as many workers as it is told to, one change at a time', async () => {
    const { supervisorSocket } = dataPaths(folder.data)
    const refusal = (method: string, args: object) =>
      callControl(supervisorSocket, method, args).then(
        () => 'none',
        (error: MillraceError) => error.code,
      )
    const [few, many, none] = await Promise.all(['0', '4', 'two'].map((count) => run(folder, ['workers', '--count', count, '--json'])))
    const change = streamControl(supervisorSocket, 'workers', { count: 3 })
    const first = (await change.next()).value as CountStep

    expect([few, none].map((said) => [said?.code, said?.stderr])).toEqual([
      [2, 'millrace: not a whole number from 1 --count=0: see --help\n'],
      [2, 'millrace: not a whole number from 1 --count=two: see --help\n'],
    ])
    expect(many).toMatchObject({ code: 1, json: { error: { code: 'ERR_WORKERS_MAX' } } })
    expect(first).toEqual({ kind: 'added', worker: 'worker/2', workers: 3 })
    expect(await refusal('workers', { count: 1.5 })).toBe('ERR_WORKERS_COUNT')
    expect(await refusal('workers', { count: 2 })).toBe('ERR_WORKERS_CHANGE')
    const plantFile = folder.write('later.js', versioned(COUNTER))
    expect(await refusal('upgrade', { plantFile })).toBe('ERR_WORKERS_CHANGE')
    await change.return()
    await until(
      'the change is over, although nobody listens',
      async () => ((await callControl(supervisorSocket, 'status')) as PlantStatus).workers?.change === null,
    )
    const { code, stdout } = await run(folder, ['workers'])
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /^worker +pid +state .*\nworker\/0 .*22 .*\nworker\/1 .*21 .*\nworker\/2 .*21 .*\n\nThere is room for no more: workers.max is 3\.\n$/,
    )
    const back = await run(folder, ['workers', '--count', '2'])
    expect(back).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^21 shards have moved in .*\nThe plant has 2 workers instead of 3\.\n$/),
    })
  })

  test('checks its log while it runs', async () => {
    expect(await run(folder, ['log', 'verify', '--json'])).toMatchObject({ code: 0, json: { ok: true, findings: [] } })
  })
})

describe('a plant that is stopped', () => {
  let folder: PlantFolder

  beforeEach(() => {
    folder = new PlantFolder()
  })

  afterEach(() => {
    expect(folder.remove()).toEqual([])
  })

  test.each(['SIGTERM', 'SIGINT', 'down'] as const)(
    'by %s under load drains within its bound and loses nothing that was acknowledged',
    async (how) => {
      const { up } = await startPlant(folder, { env: TWO_WORKERS })
      const clients = await CountingClients.open(folder, 20)
      await until('commands are acknowledged', () => clients.acked > 1000)

      const askedMs = performance.now()
      if (how === 'down')
        expect(await run(folder, ['down', '--json'])).toMatchObject({ code: 0, json: { stopped: true, ms: expect.any(Number) } })
      else up.kill(how)
      expect(await up.ended).toBe(0)
      const stoppedMs = performance.now() - askedMs
      await clients.close()

      expect(stoppedMs).toBeLessThan(STOP_MS_MAX)
      expect(folder.processes()).toEqual([])
      expect(readdirSync(join(folder.data, 'run')).filter((name) => name.endsWith('.sock'))).toEqual([])
      expect(await clients.check(folder)).toMatchObject(clean)
    },
  )

  test('by force ends at once', async () => {
    const unlimited = {
      MILLRACE_STOP__DRAIN_MS: '9min',
      MILLRACE_PROCESSES__PULSE_LIMIT_MS: '10min',
      MILLRACE_PROCESSES__TURN_LIMIT_MS: '10min',
    }
    const { up, ready } = await startPlant(folder, { env: unlimited })
    // Without force the plant would wait for it.
    process.kill(ready.processes.find(({ role }) => role === 'worker')?.pid as number, 'SIGSTOP')

    await run(folder, ['down', '--force'])
    await up.ended

    expect(folder.processes()).toEqual([])
  })
})
