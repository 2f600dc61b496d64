import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { packageRoot } from '#runtime/package-root.js'
import { PlantSession, WITHOUT_SPARES } from '#runtime/plant-session.js'
import { writePressPlant } from '../ingest/press-plant.js'
import { breakAndRecover } from '../processes/break-and-recover.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'
import { missingMosquitto } from './brokers.js'
import { checkDelivery, type DeliveryReport, type Expected } from './delivery-check.js'
import { type RestartableBroker, startMosquittoWithListener, startRecordingBroker } from './restartable-broker.js'
import { SampleFeeder } from './sample-feeder.js'

const MAIN = join(packageRoot(), 'dist', 'apps', 'cli', 'main.js')
const HASTY_MAIN = fileURLToPath(new URL('children/hasty-publisher.mjs', import.meta.url))
const SEED = soakSeed(4)
const ENTITIES = 20
/** Of new messages between the start of a publisher and its death. */
const MESSAGES_MAX = isSoak ? 300 : 100
/** In which rounds something else dies, too. */
const ALSO_EVERY = isSoak ? 4 : 1
/** Without a message of those who are waited for. On a machine that does ten things at once the start of a process alone takes most of a minute. */
const PROGRESS_WITHIN_MS = isSoak ? 300_000 : 30_000
const LAST_WORDS_MAX = 2000
const LOOK_EVERY_MS = 50
/** With nothing new for so long it is worth a look whether all has arrived; a connection may be tried again only after half a minute. */
const SETTLED_MS = 300
const QUIET_MS = isSoak ? 40_000 : 8000

/** A publisher in a process of its own; its messages are below its name. */
interface Publisher {
  readonly name: string
  start(place: { readonly data: string; readonly url: string }): ChildProcess
}

const TOOL: Publisher = {
  name: 'tool',
  start: ({ data, url }) => {
    const words = ['--topic', 'tool/{entity}/{event}', '--event', 'Sampled', '--name', 'tool', '--mqtt-version', '4']
    return spawn(process.execPath, [MAIN, 'publish', 'mqtt', url, '--data', data, ...words], { stdio: ['ignore', 'ignore', 'pipe'] })
  },
}

/** Wrong: it moves its checkpoint before the broker has acknowledged. */
const HASTY: Publisher = {
  name: 'hasty',
  start: ({ data, url }) => {
    const target = { data, url, name: 'hasty', topic: 'hasty/{entity}/{event}', event: 'Sampled', protocolVersion: 4 }
    return spawn(process.execPath, [HASTY_MAIN, JSON.stringify(target)], { stdio: ['ignore', 'ignore', 'pipe'] })
  },
}

interface Run {
  readonly times: number
  readonly broker: RestartableBroker
  /** Die every time. */
  readonly publishers: readonly [Publisher, ...Publisher[]]
  /** Whether the plant has a target of its own, which dies with its gateway. */
  readonly hasOwnTarget?: boolean
  /** Die in between. */
  readonly alsoKills: readonly ('journal' | 'gateway' | 'broker')[]
}

/** Kills publishers and others at moments of the seed, and answers what arrived of each in the end. */
async function killAndCheck(run: Run): Promise<ReadonlyMap<string, DeliveryReport>> {
  const { times, broker, publishers, alsoKills } = run
  const prng = new Prng(SEED)
  const directory = temporaryDirectory()
  const target = { url: broker.url, topic: 'gateway/{entity}/{event}', name: 'gateway', protocolVersion: 4 }
  const session = await PlantSession.start({
    dataDirectory: join(directory, 'data'),
    plantFile: writePressPlant(directory, undefined, run.hasOwnTarget === true ? target : undefined),
    env: { MILLRACE_HTTP__PORT: '0', ...WITHOUT_SPARES, MILLRACE_WORKERS__COUNT: '1' },
  })
  onTestFinished(() => session.close())
  const feeder = await SampleFeeder.start(session.dataDirectory, ENTITIES)
  const place = { data: session.dataDirectory, url: broker.url }

  const started = (publisher: Publisher) => new RunningPublisher(publisher.name, publisher.start(place), broker)

  for (let kill = 0; kill < times; kill++) {
    const running = publishers.map(started)
    const count = 1 + prng.below(MESSAGES_MAX)
    const other = (kill + 1) % ALSO_EVERY === 0 ? alsoKills[Math.floor(kill / ALSO_EVERY) % alsoKills.length] : undefined
    if (other === 'broker') await broker.restart()
    else if (other !== undefined) await breakAndRecover(session, other)
    await untilEach(running, count, `kill ${kill} of seed ${SEED}`)
    await Promise.all(running.map((one) => one.kill()))
  }
  await feeder.stop()
  const expected = await sampledRows(session.dataDirectory)
  const [tested] = publishers
  const last = started(tested)
  const names = run.hasOwnTarget === true ? [tested.name, 'gateway'] : [tested.name]
  await quiet(
    () => names.every((name) => checkDelivery(expected, broker.received(name)).missing === 0),
    () => names.reduce((sum, name) => sum + broker.received(name).length, 0),
  )
  await last.kill()
  const all = new Set([...names, ...publishers.map(({ name }) => name)])
  const reports = new Map([...all].map((name) => [name, checkDelivery(expected, broker.received(name))]))
  process.stderr.write(`subscribe-kills: ${JSON.stringify({ kills: times, ...Object.fromEntries(reports) })}\n`)
  return reports
}

/** What a publisher has sent since it was started, and what it said of why not. */
class RunningPublisher {
  readonly #name: string
  readonly #child: ChildProcess
  readonly #broker: RestartableBroker
  readonly #before: number
  readonly #ended: Promise<unknown>
  #said = ''

  constructor(name: string, child: ChildProcess, broker: RestartableBroker) {
    this.#name = name
    this.#child = child
    this.#broker = broker
    this.#before = broker.received(name).length
    this.#ended = new Promise((resolve) => child.once('exit', resolve))
    child.stderr?.setEncoding('utf8').on('data', (text: string) => (this.#said = (this.#said + text).slice(-LAST_WORDS_MAX)))
    onTestFinished(() => void child.kill('SIGKILL'))
  }

  get sent(): number {
    return this.#broker.received(this.#name).length - this.#before
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  kill(): Promise<unknown> {
    this.#child.kill('SIGKILL')
    return this.#ended
  }

  toString(): string {
    return `${this.#name} sent ${this.sent}${this.hasEnded ? ', ended by itself' : ''} and said: ${this.#said || 'nothing'}`
  }
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
async function quiet(condition: () => boolean, count: () => number): Promise<void> {
  let last = count()
  for (let quietMs = 0; quietMs < QUIET_MS; quietMs += LOOK_EVERY_MS) {
    await delay(LOOK_EVERY_MS)
    if (count() !== last) quietMs = 0
    else if (quietMs % SETTLED_MS === 0 && condition()) return
    last = count()
  }
}

/** Until each has sent so many. Fails when one ends by itself, or when none of those that are waited for gets on. */
async function untilEach(publishers: readonly RunningPublisher[], count: number, when: string): Promise<void> {
  let [seen, deadline] = [-1, 0]
  for (;;) {
    const behind = publishers.filter(({ sent }) => sent < count)
    if (behind.length === 0) return
    const sum = behind.reduce((total, { sent }) => total + sent, 0)
    if (sum !== seen) [seen, deadline] = [sum, performance.now() + PROGRESS_WITHIN_MS]
    if (performance.now() > deadline || behind.some(({ hasEnded }) => hasEnded))
      throw new Error(`${when}: of ${count} messages each, ${behind.join('; ')}`)
    await delay(2)
  }
}

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-subscribe-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

const PERFECT = { missing: 0, skipped: 0, outOfOrder: 0, strange: 0 }

describe('publishers that are killed again and again', () => {
  test('lose no event and keep the order of each entity, though journal, gateway and broker die as well; one that settles before the acknowledgement is found out', async () => {
    const times = soakTimes({ smoke: 3, full: 200 })
    // The hasty one gets its acknowledgements so late that it never keeps up: then there is always something on its way.
    const broker = await startRecordingBroker(temporaryDirectory(), { firstLevel: 'hasty', ms: 40 })

    const reports = await killAndCheck({
      times,
      broker,
      publishers: [TOOL, HASTY],
      hasOwnTarget: true,
      alsoKills: ['journal', 'gateway', 'broker'],
    })

    expect(reports.get('tool')).toMatchObject(PERFECT)
    expect(reports.get('gateway')).toMatchObject(PERFECT)
    expect(reports.get('tool')?.rows).toBeGreaterThan(times)
    expect(reports.get('hasty')?.skipped).toBeGreaterThan(0)
  })

  const why = missingMosquitto()
  test.skipIf(why !== undefined)(`lose no event on its way through a real mosquitto${why === undefined ? '' : `: ${why}`}`, async () => {
    const times = soakTimes({ smoke: 2, full: 200 })
    const broker = await startMosquittoWithListener(temporaryDirectory())

    const reports = await killAndCheck({ times, broker, publishers: [TOOL], alsoKills: ['broker', 'journal'] })

    expect(reports.get('tool')).toMatchObject(PERFECT)
  })
})
