import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Role } from '#processes/process-role.js'
import { dataPaths } from '#runtime/data-directory.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { PlantSession, WITHOUT_SPARES } from '#runtime/plant-session.js'
import { writePressPlant } from '../ingest/press-plant.js'
import { breakAndRecover } from '../processes/break-and-recover.js'
import { soakTimes } from '../soak.js'
import { missingMosquitto, startAedes, startMosquitto } from './brokers.js'
import { MqttDevices } from './mqtt-devices.js'

const DEVICES = 50
const AEDES_COUNTS = { smoke: 4000, full: 100_000 }
const MOSQUITTO_COUNTS = { smoke: 3000, full: 100_000 }
const ROUND_MAX = 4000
const WORKERS = 2

/** A burst of messages and who is killed when the broker has taken that share of it. */
interface Turn {
  /** Of a round. */
  readonly share: number
  readonly kills: readonly { readonly role: Role; readonly slot: number; readonly at: number }[]
}

/**
 * While the journal is down nothing settles, so that the windows of all devices are full and messages wait in the gateway when it is killed: had it
 * acknowledged them on arrival, they would be gone.
 */
const ROUND: readonly Turn[] = [
  { share: 0.1, kills: [{ role: 'worker', slot: 0, at: 0.5 }] },
  {
    share: 0.4,
    kills: [
      { role: 'journal', slot: 0, at: 0.1 },
      { role: 'gateway', slot: 0, at: 1 },
    ],
  },
  { share: 0.1, kills: [{ role: 'worker', slot: 1, at: 0.5 }] },
  { share: 0.4, kills: [{ role: 'gateway', slot: 0, at: 0.5 }] },
]
/** With nothing new in the log for so long, what is missing will not come. */
const QUIET_MS = 15_000

async function startPlant(url: string, options: object): Promise<PlantSession> {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-mqtt-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const session = await PlantSession.start({
    dataDirectory: join(directory, 'data'),
    plantFile: writePressPlant(directory, { url, topic: 'factory/+/sample', name: 'presses', ...options }),
    env: { MILLRACE_HTTP__PORT: '0', ...WITHOUT_SPARES, MILLRACE_WORKERS__COUNT: String(WORKERS) },
  })
  onTestFinished(() => session.close())
  // What the broker accepts once it has taken the subscription must arrive.
  const subscribed = join(dataPaths(session.dataDirectory).ingest, 'presses', 'presses.session.json')
  const deadline = performance.now() + 60_000
  while (!hasSubscribed(subscribed)) {
    if (performance.now() > deadline) throw new Error('the source did not subscribe')
    await delay(10)
  }
  return session
}

/** The file is there as soon as the broker has been asked. */
function hasSubscribed(file: string): boolean {
  return existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { readonly filters: readonly string[] }).filters.length > 0
}

/** One burst with its kills; over when the broker has all of it and whoever was killed works again. */
async function runTurn(devices: MqttDevices, session: PlantSession, count: number, { kills }: Turn): Promise<string[]> {
  const start = devices.ackedCount
  const broken = kills.map(async ({ role, slot, at }) => {
    while (devices.ackedCount < start + count * at) await delay(1)
    return breakAndRecover(session, role, slot)
  })
  const [, ...killed] = await Promise.all([devices.publish(count), ...broken])
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

interface Run {
  /** Rows of the log, and messages that the broker accepted. */
  readonly rows: number
  readonly accepted: number
  /** What is not once in the log, or not in order. */
  readonly wrong: string[]
  readonly killed: string[]
}

/** `log` holds the numbers of each device in the order of the log; of each, 1 to `accepted` should be there. */
function whatIsWrong(log: readonly (readonly number[])[], accepted: readonly number[]): string[] {
  return accepted.flatMap((count, device) => {
    const numbers = log[device] ?? []
    const seen = new Set(numbers)
    const missing = Array.from({ length: count }, (_, index) => index + 1).filter((number) => !seen.has(number))
    const back = numbers.filter((number, index) => !(number > (numbers[index - 1] ?? 0)))
    return [
      ...missing.map((number) => `press-${device}: ${number} is missing`),
      ...back.map((number) => `press-${device}: ${number} is repeated, late or refused`),
    ]
  })
}

async function runOver(url: string, messages: number, options: object): Promise<Run> {
  const session = await startPlant(url, options)
  const devices = await MqttDevices.connect(url, { devices: DEVICES, connections: 5 })
  onTestFinished(() => devices.close())

  const killed = new Set<string>()
  for (let turn = 0; devices.ackedCount < messages; turn++) {
    const { share, kills } = ROUND[turn % ROUND.length] as Turn
    const count = Math.min(messages - devices.ackedCount, Math.ceil(Math.min(messages, ROUND_MAX) * share))
    for (const process of await runTurn(devices, session, count, { share, kills })) killed.add(process)
  }
  const log = await logged(session.dataDirectory, messages)
  return {
    rows: log.reduce((sum, numbers) => sum + numbers.length, 0),
    accepted: devices.ackedCount,
    wrong: whatIsWrong(log, devices.acked),
    killed: [...killed].toSorted(),
  }
}

const ALL = ['gateway/0', 'journal/0', 'worker/0', 'worker/1']

describe('worker, journal and gateway killed while devices publish', () => {
  test('leave every message that aedes accepted in the log, once and in order', async () => {
    const messages = soakTimes(AEDES_COUNTS)

    const { rows, accepted, wrong, killed } = await runOver(await startAedes(), messages, {})

    expect(killed).toEqual(ALL)
    expect(wrong).toEqual([])
    expect({ rows, accepted }).toEqual({ rows: messages, accepted: messages })
  })

  const why = missingMosquitto()
  test.skipIf(why !== undefined).each([4, 5] as const)(
    `leave every message that a real mosquitto accepted in the log, once and in order, over MQTT version %d${why === undefined ? '' : `: ${why}`}`,
    async (protocolVersion) => {
      const directory = mkdtempSync(join(tmpdir(), 'millrace-mosquitto-'))
      onTestFinished(() => rmSync(directory, { recursive: true, force: true }))

      const messages = soakTimes(MOSQUITTO_COUNTS)

      const { rows, accepted, wrong, killed } = await runOver(await startMosquitto(directory), messages, { protocolVersion })

      expect(killed).toEqual(ALL)
      expect(wrong).toEqual([])
      expect({ rows, accepted }).toEqual({ rows: messages, accepted: messages })
    },
  )
})
