import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { pathToFileURL } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { PlantModel } from '#entity/index.js'
import type { Role } from '#processes/process-role.js'
import { Machine } from '#plant/machine.js'
import { dataPaths } from '#runtime/data-directory.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { packageRoot } from '#runtime/package-root.js'
import { PlantSession } from '#runtime/plant-session.js'
import { SessionUnderTest } from '#runtime/session-under-test.js'
import { soakTimes } from '../soak.js'
import { missingMosquitto, startAedes, startMosquitto } from './brokers.js'
import { MqttDevices } from './mqtt-devices.js'

const DEVICES = 50
const WORKERS = 2
const KILLS: readonly (readonly [Role, number])[] = [
  ['worker', 0],
  ['journal', 0],
  ['gateway', 0],
  ['worker', 1],
  ['gateway', 0],
  ['journal', 0],
]
/** With nothing new in the log for so long, what is missing will not come. */
const QUIET_MS = 15_000

interface Counts {
  readonly messages: number
  readonly perSecond: number
}

const aedesCounts: Counts = { messages: soakTimes({ smoke: 4000, full: 100_000 }), perSecond: 700 }
const mosquittoCounts: Counts = { messages: soakTimes({ smoke: 2000, full: 100_000 }), perSecond: soakTimes({ smoke: 400, full: 2000 }) }

/** A plant of presses that listens to a broker, written where a user would write it. */
function plantFileIn(directory: string, url: string, options: object): string {
  const entry = pathToFileURL(join(packageRoot(), 'dist', 'src', 'index.js')).href
  writeFileSync(
    join(directory, 'press.map.yaml'),
    `format: json
time: { path: ts, format: unix-ms }
entity: { type: press, name: { topic: 1 } }
command: sample
sequence: { path: seq }
fields:
  number: { path: seq, kind: i64 }
  temperature: { path: temperature }
`,
  )
  const file = join(directory, 'plant.mjs')
  writeFileSync(
    file,
    `import { defineEntity, definePlant, f64, i64, mqtt } from '${entry}'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { number: i64(), temperature: f64('°C') } },
  commands: { sample: { number: i64(), temperature: f64('°C') } },
  initial: () => ({ count: 0 }),
  decide: { sample: (_state, command, { emit }) => void emit.Sampled(command) },
  apply: { Sampled: (state) => void state.count++ },
})

const source = mqtt(${JSON.stringify({ url, topic: 'factory/+/sample', map: './press.map.yaml', name: 'presses', ...options })})

export default definePlant({ entities: [Press], sources: [source] })
`,
  )
  return file
}

async function startPlant(url: string, options: object): Promise<PlantSession> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-mqtt-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const session = await PlantSession.start({
    dataDirectory: join(directory, 'data'),
    plantFile: plantFileIn(directory, url, options),
    env: { MILLRACE_HTTP__PORT: '0', MILLRACE_WORKERS__COUNT: String(WORKERS) },
  })
  onTestFinished(() => session.close())
  // Written once the broker has taken the subscription: what it accepts from then on must arrive.
  const subscribed = join(dataPaths(session.dataDirectory).ingest, 'presses', 'presses.session.json')
  const deadline = performance.now() + 10_000
  while (!existsSync(subscribed)) {
    if (performance.now() > deadline) throw new Error('the source did not subscribe')
    await delay(10)
  }
  return session
}

/** Kills in turns until `isOver`, but at least each once; what was killed. */
async function killMeanwhile(session: PlantSession, isOver: () => boolean): Promise<string[]> {
  const plant = new SessionUnderTest(session, new PlantModel([Machine]), WORKERS)
  const killed: string[] = []
  for (let turn = 0; turn < KILLS.length || !isOver(); turn++) {
    const [role, slot] = KILLS[turn % KILLS.length] as (typeof KILLS)[number]
    await delay(100)
    killed.push((await plant.breakAndRecover(role, slot)).process)
  }
  return killed
}

/** Numbers of the log's rows per device, in the log's order, once so many rows are there or nothing more comes. */
async function logged(dataDirectory: string, count: number): Promise<number[][]> {
  const access = await JournalAccess.open(dataDirectory)
  try {
    let rows = -1
    for (let quietMs = 0; rows < count && quietMs < QUIET_MS; quietMs += 50) {
      const { endPosition } = await access.summary()
      if (endPosition > rows) quietMs = 0
      rows = endPosition
      if (rows < count) await delay(50)
    }
    const numbers: number[][] = Array.from({ length: DEVICES }, () => [])
    for await (const row of access.query({ receipts: true })) {
      const device = Number(/^press\/press-(\d+)$/.exec(row.entity)?.[1])
      numbers[device]?.push(row.event === 'Sampled' ? (row.data['number'] as number) : Number.NaN)
    }
    return numbers
  } finally {
    await access.close()
  }
}

async function runOver(url: string, { messages, perSecond }: Counts, options: object): Promise<void> {
  const session = await startPlant(url, options)
  const devices = await MqttDevices.connect(url, { devices: DEVICES, connections: 5 })
  onTestFinished(() => devices.close())

  let isOver = false
  const publishing = devices.publish(messages, perSecond).finally(() => (isOver = true))
  const [killed] = await Promise.all([killMeanwhile(session, () => isOver), publishing])
  const log = await logged(session.dataDirectory, messages)

  expect(devices.ackedCount).toBe(messages)
  expect(new Set(killed)).toEqual(new Set(['worker/0', 'worker/1', 'journal/0', 'gateway/0']))
  expect(log).toEqual(devices.acked.map((count) => Array.from({ length: count }, (_, index) => index + 1)))
}

describe('worker, journal and gateway killed while devices publish', () => {
  test('leave every message that aedes accepted in the log, once and in order', async () => {
    await runOver(await startAedes(), aedesCounts, {})
  }, 120_000)

  const why = missingMosquitto()
  describe.skipIf(why !== undefined)(why ?? 'with a real mosquitto', () => {
    test.each([4, 5] as const)(
      'leave every message that it accepted in the log, once and in order, over MQTT version %d',
      async (protocolVersion) => {
        const directory = mkdtempSync(join(tmpdir(), 'millrace-mosquitto-'))
        onTestFinished(() => rmSync(directory, { recursive: true, force: true }))

        await runOver(await startMosquitto(directory), mosquittoCounts, { protocolVersion })
      },
      120_000,
    )
  })
})
