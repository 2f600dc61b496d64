import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { openChannel } from '#bus/index.js'
import type { BusReport, ChannelReport } from '#runtime/bus-report.js'
import { CountingClients } from './counting-clients.js'
import { PlantFolder } from './plant-folder.js'
import { ProgramUnderTest, type ReadyLine, run, startPlant, until } from './program-under-test.js'

/** Of a plant with one worker. */
/** With room for no other. */
const ONE_WORKER = { MILLRACE_WORKERS__COUNT: '1', MILLRACE_WORKERS__MAX: '1' }
const CHANNELS = [
  ...['answers-w0-g0', 'appends-w0', 'bulk-w0', 'commands-g0-w0', 'effects-w0-g0'],
  ...['messages-w0-w0', 'outcomes-g0-w0', 'rejections-w0', 'replies-w0-w0'],
]

let folder: PlantFolder
let programs: ProgramUnderTest[]
let captures = 0

function eachHasAFolder(): void {
  beforeEach(() => {
    folder = new PlantFolder()
    programs = []
  })

  afterEach(async () => {
    await endPrograms()
    folder.remove()
  })
}

async function endPrograms(): Promise<void> {
  for (const program of programs) {
    if (!program.isOver) program.kill('SIGKILL')
    await program.ended.catch(() => undefined)
  }
}

async function plant(): Promise<{ readonly up: ProgramUnderTest; readonly ready: ReadyLine }> {
  const started = await startPlant(folder, { env: ONE_WORKER })
  programs.push(started.up)
  return started
}

const fileOf = (name: string) => join(folder.path, name)

/** `bus tap` at work, once its file is there. */
async function startTap(channel: string, ...words: readonly string[]): Promise<{ readonly path: string; readonly tap: ProgramUnderTest }> {
  const path = fileOf(`${channel}-${++captures}.cap`)
  const tap = new ProgramUnderTest(['bus', 'tap', channel, '-o', path, '--data', folder.data, '--json', ...words], { cwd: folder.path })
  programs.push(tap)
  await until('the capture is begun', () => existsSync(path) || tap.isOver)
  expect(tap.stderr).toBe('')
  return { path, tap }
}

async function endTap(tap: ProgramUnderTest): Promise<Readonly<Record<string, unknown>>> {
  tap.kill('SIGINT')
  expect(await tap.ended).toBe(0)
  return tap.json[0] as Readonly<Record<string, unknown>>
}

async function countFor(clients: CountingClients, events: number): Promise<void> {
  const target = clients.acked + events
  await until(`${events} more events are durable`, () => clients.acked > target)
}

describe('the channels of a running plant', () => {
  let up: ProgramUnderTest

  beforeAll(async () => {
    folder = new PlantFolder()
    ;({ up } = await startPlant(folder, { env: ONE_WORKER }))
  })

  beforeEach(() => {
    programs = []
  })

  afterEach(endPrograms)

  afterAll(async () => {
    up.kill('SIGTERM')
    await up.ended
    folder.remove()
  })

  test('are shown with what goes through them and who waits at their ends', async () => {
    const { tap } = await startTap('commands-g0-w0')
    const clients = await CountingClients.open(folder, 4)
    await countFor(clients, 50)

    const stat = await run(folder, ['bus', 'stat', '--json'])
    clients.stop()
    await until('all are settled', () => clients.isSettled)
    await clients.close()

    const report = stat.json as unknown as BusReport
    expect(report.channels.map(({ name }) => name)).toEqual(CHANNELS)
    const commands = report.channels.find(({ name }) => name === 'commands-g0-w0') as ChannelReport
    expect(commands.framesPerSecond).toBeGreaterThan(0)
    expect(commands.bytesPerSecond).toBeGreaterThan(commands.framesPerSecond as number)
    expect(commands.framesPublished).toBeGreaterThanOrEqual(50)
    expect(commands.tap).toMatchObject({ state: 'holding', pid: tap.pid })
    expect(commands.producer).toMatchObject({ process: 'gateway/0', alive: true, attachCount: 1 })
    expect(commands.consumer).toMatchObject({ process: 'worker/0', alive: true })
    expect(commands.consumer?.parks).toBeGreaterThan(0)
    expect(commands.consumer?.pulseAgeMs).toBeLessThan(5000)
    const table = await run(folder, ['bus', 'stat'])
    expect(table.stdout).toMatch(/commands-g0-w0 .* gateway\/0 .* worker\/0 .* holding \d+/)
    await endTap(tap)
  })

  test('are watched until Ctrl-C, a document a line', async () => {
    const watch = new ProgramUnderTest(['bus', 'stat', '--watch', '--every', '50', '--json', '--data', folder.data], { cwd: folder.path })
    programs.push(watch)

    await until('three lines are there', () => watch.stdout.split('\n').length > 3)
    watch.kill('SIGINT')

    expect(await watch.ended).toBe(0)
    expect((watch.json[2] as BusReport).channels).toHaveLength(CHANNELS.length)
  })

  test('are captured, and a capture is printed frame by frame, with the data of commands', async () => {
    const commands = await startTap('commands-g0-w0')
    const answers = await startTap('answers-w0-g0')
    const appends = await startTap('appends-w0')
    expect((await run(folder, ['send', 'counter/one', 'count', '{"n":7}', '--source', 'me', '--sequence', '3', '--json'])).code).toBe(0)
    for (const { tap } of [commands, answers, appends]) await endTap(tap)

    const printed = await run(folder, ['bus', 'tap', '--read', commands.path, '--json'])

    expect(printed.code).toBe(0)
    expect(printed.lines[0]).toMatchObject({ kind: 'header', channel: 'commands-g0-w0' })
    expect(printed.lines[1]).toMatchObject({
      kind: 'command',
      entity: 'counter/one',
      command: 'count',
      data: { n: 7 },
      source: 'me',
      sequence: 3,
      type: 1,
    })
    expect(printed.lines.at(-1)).toMatchObject({ kind: 'end', frameCount: 1 })
    expect((await run(folder, ['bus', 'tap', '--read', commands.path])).stdout).toMatch(
      /command count counter\/one {2}data=\{"n":7\} source=me sequence=3/,
    )
    expect((await run(folder, ['bus', 'tap', '--read', answers.path, '--json'])).lines[1]).toMatchObject({
      kind: 'answer',
      answer: 'done',
      outcome: { count: 1 },
    })
    const stored = (await run(folder, ['bus', 'tap', '--read', appends.path, '--json'])).lines.find(({ kind }) => kind === 'append')
    expect(stored).toMatchObject({
      entity: 'counter/one',
      expectedVersion: 0,
      reply: { count: 1 },
      rows: [{ event: 'Counted', data: { n: 7 } }],
    })
    expect((await run(folder, ['bus', 'tap', '--read', commands.path, '--limit', '0', '--json'])).lines).toHaveLength(1)
  })

  test('are named to whoever asks for another, who is told which is tapped already, and which file is there', async () => {
    const unknown = await run(folder, ['bus', 'tap', 'nowhere', '-o', fileOf('x'), '--json'])
    expect(unknown).toMatchObject({ code: 1, json: { error: { code: 'ERR_NO_CHANNEL' } } })
    expect(unknown.stderr).toMatch(/one of answers-w0-g0, appends-w0/)

    const { tap, path } = await startTap('appends-w0')
    const second = await run(folder, ['bus', 'tap', 'appends-w0', '-o', fileOf('x')])
    expect(second.code).toBe(1)
    expect(second.stderr).toMatch(new RegExp(`tapped already .*pid=${tap.pid}: end that tap first`))
    await endTap(tap)
    expect((await run(folder, ['bus', 'tap', 'appends-w0', '-o', path])).stderr).toMatch(/there is a file of that name already/)
  })

  test('are not all of commands, which is told, and so is that a capture was cut short', async () => {
    const { tap, path } = await startTap('appends-w0')
    expect((await run(folder, ['send', 'counter/two', 'count', '{"n":7}'])).code).toBe(0)
    await endTap(tap)

    const other = await run(folder, ['bus', 'replay', path])
    expect(other.stderr).toMatch(/it is of another channel .*commands-g0-w0/)
    truncateSync(path, statSync(path).size - 1)
    const cut = await run(folder, ['bus', 'tap', '--read', path])
    expect(cut.code).toBe(1)
    expect(cut.stderr).toMatch(/stops before its end/)
    expect(readFileSync(path).length).toBeGreaterThan(100)
  })
})

describe('the channels of a plant that was killed', () => {
  eachHasAFolder()

  test('are shown without asking anybody', async () => {
    const { up, ready } = await plant()
    up.kill('SIGKILL')
    for (const { pid } of ready.processes) if (pid !== null) process.kill(pid, 'SIGKILL')
    await up.ended

    const stat = await run(folder, ['bus', 'stat', '--json'])

    expect(stat.code).toBe(0)
    const { channels } = stat.json as unknown as BusReport
    expect(channels).toHaveLength(CHANNELS.length)
    for (const { producer, consumer } of channels) expect([producer?.alive, consumer?.alive]).toEqual([false, false])
    expect((await run(folder, ['bus', 'stat'])).stdout).toMatch(/gateway\/0 dead/)
  })
})

describe('channels that stand alone', () => {
  eachHasAFolder()

  test('are shown and captured by their directory', async () => {
    const directory = fileOf('channels')
    const producer = openChannel({ directory, name: 'readings', role: 'producer' })
    try {
      producer.trySend(new Uint8Array([1, 2, 255]), 7)

      const stat = await run(folder, ['bus', 'stat', '--directory', directory, '--json'])
      const tap = await run(folder, ['bus', 'tap', 'readings', '--directory', directory, '-o', fileOf('readings.cap'), '--for', '1'])

      expect((stat.json as unknown as BusReport).channels).toMatchObject([
        {
          name: 'readings',
          framesPublished: 1,
          producer: { process: null, pid: process.pid, alive: true, pulseAgeMs: null },
          consumer: { pid: 0 },
        },
      ])
      expect(tap.stdout).toMatch(/^1 frames?, .* of readings in 1\.\d s are in .*readings\.cap/)
      expect(tap.stderr).toMatch(/capturing readings into/)
      expect((await run(folder, ['bus', 'tap', '--read', fileOf('readings.cap')])).stdout).toMatch(/ {2}type 7 {5}3 bytes {2}0102ff\n$/)
    } finally {
      producer.close()
    }
  })
})

describe('a capture', () => {
  eachHasAFolder()

  test('ends by itself after its time, and when its plant ends', async () => {
    const { up } = await plant()
    const timed = await startTap('commands-g0-w0', '--for', '1')
    const lasting = await startTap('appends-w0')

    expect(await timed.tap.ended).toBe(0)
    expect(timed.tap.json[0]).toMatchObject({ endedBy: 'time' })
    up.kill('SIGTERM')
    await up.ended
    expect(await lasting.tap.ended).toBe(0)
    expect(lasting.tap.json[0]).toMatchObject({ endedBy: 'channel' })
  })
})

describe('whoever asks for what is not there', () => {
  eachHasAFolder()

  test('is told that no plant runs', async () => {
    for (const words of [
      ['bus', 'stat'],
      ['bus', 'tap', 'commands-g0-w0', '-o', fileOf('x')],
    ]) {
      const said = await run(folder, [...words, '--json'])
      expect(said).toMatchObject({ code: 1, json: { error: { code: 'ERR_NO_PLANT' } } })
    }
    expect(existsSync(fileOf('x'))).toBe(false)
  })

  test('is told what is wrong with a file', async () => {
    writeFileSync(fileOf('text'), 'a text, not a capture, and long enough to be one')
    expect((await run(folder, ['bus', 'tap', '--read', fileOf('text')])).stderr).toMatch(/the file is not a capture/)
    expect((await run(folder, ['bus', 'tap', '--read', fileOf('nothing')])).stderr).toMatch(/cannot be read .*ENOENT/)
    expect((await run(folder, ['bus', 'replay', fileOf('text'), '--plant', folder.plantFile])).stderr).toMatch(/the file is not a capture/)
    expect((await run(folder, ['bus', 'tap'])).code).toBe(2)
    expect((await run(folder, ['bus', 'tap', 'appends-w0'])).code).toBe(2)
  })
})
