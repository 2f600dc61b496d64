import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { PlantModel } from '#entity/index.js'
import { Prng } from '#base/prng.js'
import { Machine } from '#plant/machine.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { packageRoot } from '#runtime/package-root.js'
import { PlantSession } from '#runtime/plant-session.js'
import { SessionUnderTest } from '#runtime/session-under-test.js'
import { writePressPlant } from '../ingest/press-plant.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'
import { missingMosquitto } from './brokers.js'
import { checkDelivery, type DeliveryReport, type Expected } from './delivery-check.js'
import { type RestartableBroker, startMosquittoWithListener, startRecordingBroker } from './restartable-broker.js'
import { SampleFeeder } from './sample-feeder.js'

const MAIN = join(packageRoot(), 'dist', 'apps', 'cli', 'main.js')
const HASTY = fileURLToPath(new URL('children/hasty-publisher.mjs', import.meta.url))
const SEED = soakSeed(4)
const ENTITIES = 20
/** Of new messages between the start of a publisher and its death. */
const MESSAGES_MAX = isSoak ? 300 : 100
/** In which rounds something else dies, too. */
const ALSO_EVERY = isSoak ? 4 : 1
const PROGRESS_WITHIN_MS = 30_000
const LOOK_EVERY_MS = 50
/** With nothing new for so long it is worth a look whether all has arrived; a connection may be tried again only after half a minute. */
const SETTLED_MS = 300
const QUIET_MS = isSoak ? 40_000 : 8000
const TIMEOUT_MS = isSoak ? 0 : 90_000

/** How the publisher under test is started; `undefined` where it is a part of the plant. */
type StartPublisher = (options: { readonly data: string; readonly url: string }) => ChildProcess

const TOOL: StartPublisher = ({ data, url }) =>
  spawn(
    process.execPath,
    [
      MAIN,
      'publish',
      'mqtt',
      url,
      '--data',
      data,
      '--topic',
      'tool/{entity}/{event}',
      '--event',
      'Sampled',
      '--name',
      'tool',
      '--mqtt-version',
      '4',
    ],
    { stdio: 'ignore' },
  )

const SABOTAGED: StartPublisher = ({ data, url }) => {
  const target = { data, url, name: 'hasty', topic: 'tool/{entity}/{event}', event: 'Sampled', protocolVersion: 4 }
  return spawn(process.execPath, [HASTY, JSON.stringify(target)], { stdio: 'ignore' })
}

interface Run {
  readonly times: number
  readonly broker: RestartableBroker
  readonly start: StartPublisher
  /** Whether the plant has a target of its own, which dies with its gateway. */
  readonly hasOwnTarget?: boolean
  /** How long nothing comes until nothing will. */
  readonly quietMs?: number
  /** Beside the publisher, which dies every time. */
  readonly alsoKills: readonly ('journal' | 'gateway' | 'broker')[]
}

/** Kills publishers and others at moments of the seed, and answers what arrived of them in the end. */
async function killAndCheck(
  run: Run,
): Promise<{ readonly kills: number; readonly tool: DeliveryReport; readonly gateway?: DeliveryReport }> {
  const { times, broker, start, alsoKills } = run
  const prng = new Prng(SEED)
  const directory = temporaryDirectory()
  const target = { url: broker.url, topic: 'gateway/{entity}/{event}', name: 'gateway', protocolVersion: 4 }
  const session = await PlantSession.start({
    dataDirectory: join(directory, 'data'),
    plantFile: writePressPlant(directory, undefined, run.hasOwnTarget === true ? target : undefined),
    env: { MILLRACE_HTTP__PORT: '0', MILLRACE_WORKERS__COUNT: '1' },
  })
  onTestFinished(() => session.close())
  const plant = new SessionUnderTest(session, new PlantModel([Machine]), 1)
  const feeder = await SampleFeeder.start(session.dataDirectory, ENTITIES)

  for (let kill = 0; kill < times; kill++) {
    const before = broker.received('tool').length
    const publisher = start({ data: session.dataDirectory, url: broker.url })
    const ended = new Promise((resolve) => publisher.once('exit', resolve))
    const wanted = before + 1 + prng.below(MESSAGES_MAX)
    const other = (kill + 1) % ALSO_EVERY === 0 ? alsoKills[Math.floor(kill / ALSO_EVERY) % alsoKills.length] : undefined
    if (other === 'broker') await broker.restart()
    else if (other !== undefined) await plant.breakAndRecover(other, 0)
    await until(`kill ${kill} of seed ${SEED}: ${wanted} messages`, () => broker.received('tool').length >= wanted)
    publisher.kill('SIGKILL')
    await ended
  }
  await feeder.stop()
  const expected = await sampledRows(session.dataDirectory)
  const last = start({ data: session.dataDirectory, url: broker.url })
  const publishers = run.hasOwnTarget === true ? ['tool', 'gateway'] : ['tool']
  await quiet(
    () => publishers.every((name) => checkDelivery(expected, broker.received(name)).missing === 0),
    () => publishers.reduce((sum, name) => sum + broker.received(name).length, 0),
    run.quietMs ?? QUIET_MS,
  )
  last.kill('SIGKILL')
  const report = (name: string) => checkDelivery(expected, broker.received(name))
  return { kills: times, tool: report('tool'), ...(run.hasOwnTarget === true ? { gateway: report('gateway') } : {}) }
}

async function sampledRows(data: string): Promise<Expected[]> {
  const access = await JournalAccess.open(data)
  try {
    const rows: Expected[] = []
    for await (const { entity, version } of access.query({ event: 'Sampled' })) rows.push({ entity, version })
    return rows
  } finally {
    await access.close()
  }
}

/** Until nothing new comes and the condition holds, or nothing new has come for so long that nothing will. */
async function quiet(condition: () => boolean, count: () => number, limitMs: number): Promise<void> {
  let last = count()
  for (let quietMs = 0; quietMs < limitMs; quietMs += LOOK_EVERY_MS) {
    await delay(LOOK_EVERY_MS)
    if (count() !== last) quietMs = 0
    else if (quietMs % SETTLED_MS === 0 && condition()) return
    last = count()
  }
}

async function until(claim: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + PROGRESS_WITHIN_MS
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not in time: ${claim}`)
    await delay(2)
  }
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-subscribe-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

const PERFECT = { missing: 0, outOfOrder: 0, strange: 0 }

describe('a publisher that is killed again and again', () => {
  test(
    'loses no event and keeps the order of each entity, though journal, gateway and broker die as well',
    async () => {
      const times = soakTimes({ smoke: 3, full: 200 })
      const broker = await startRecordingBroker(temporaryDirectory(), 1)

      const report = await killAndCheck({ times, broker, start: TOOL, hasOwnTarget: true, alsoKills: ['journal', 'gateway', 'broker'] })

      process.stderr.write(`subscribe-kills: ${JSON.stringify(report)}\n`)
      expect(report.tool).toMatchObject(PERFECT)
      expect(report.gateway).toMatchObject(PERFECT)
      expect(report.tool.rows).toBeGreaterThan(times)
    },
    TIMEOUT_MS,
  )

  const why = missingMosquitto()
  test.skipIf(why !== undefined)(
    `loses no event on its way through a real mosquitto${why === undefined ? '' : `: ${why}`}`,
    async () => {
      const times = soakTimes({ smoke: 2, full: 200 })
      const broker = await startMosquittoWithListener(temporaryDirectory())

      const report = await killAndCheck({ times, broker, start: TOOL, alsoKills: ['broker', 'journal'] })

      process.stderr.write(`subscribe-kills: ${JSON.stringify(report)}\n`)
      expect(report.tool).toMatchObject(PERFECT)
    },
    TIMEOUT_MS,
  )

  test(
    'is found out when it moves its checkpoint before the broker has acknowledged',
    async () => {
      // Slow, so that there is always something on its way.
      const broker = await startRecordingBroker(temporaryDirectory(), 30)

      const report = await killAndCheck({
        times: soakTimes({ smoke: 1, full: 20 }),
        broker,
        start: SABOTAGED,
        alsoKills: [],
        quietMs: 1000,
      })

      expect(report.tool.missing).toBeGreaterThan(0)
    },
    TIMEOUT_MS,
  )
})
