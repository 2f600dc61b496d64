import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import mqttPackage, { type IPublishPacket } from 'mqtt'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import { JournalFeed } from '#reading/log-feed.js'
import { Subscription } from '#reading/subscription.js'
import { subscriptionsOf } from '#reading/subscription-registry.js'
import { mqttTarget, type MqttTargetOptions } from '#targets/mqtt.js'
import { type MqttTarget, startMqttTarget } from '#targets/mqtt-target.js'
import { freePort, missingMosquitto, startMosquitto } from '../faults/brokers.js'
import { Broker } from '../ingest/broker.js'
import type { LoggedLine } from '../ingest/mqtt-under-test.js'
import { GrowingLog } from '../reading/log-of.js'

const TOPIC = 'plant/{entity}/{event}'

interface Started {
  readonly target: MqttTarget
  readonly lines: LoggedLine[]
}

async function start(log: GrowingLog, options: Partial<MqttTargetOptions> & { readonly url: string }): Promise<Started> {
  const lines: LoggedLine[] = []
  const target = await startMqttTarget(
    { topic: TOPIC, name: 'mes', protocolVersion: 4, ...options },
    {
      subscribe: (more) => new Subscription(new JournalFeed(log.journal, systemClock), more),
      clock: systemClock,
      log: (level, message, values) => lines.push({ level, message, values }),
      plant: 'test',
    },
  )
  onTestFinished(() => target.stop())
  return { target, lines }
}

async function logOf(rows: number): Promise<GrowingLog> {
  const log = await GrowingLog.inMemory()
  await log.grow(rows)
  return log
}

interface Told {
  readonly position: number
  readonly entity: string
  readonly version: number
}

const toldBy = (broker: Broker): Told[] => broker.published.map(({ payload }) => JSON.parse(payload.toString()) as Told)

/** Positions of first arrivals, entity by entity, in the order in which they came. */
function firstArrivals(told: readonly Told[]): Map<string, number[]> {
  const arrivals = new Map<string, number[]>()
  for (const { entity, version } of told) {
    const versions = arrivals.get(entity) ?? []
    arrivals.set(entity, versions)
    if (!versions.includes(version)) versions.push(version)
  }
  return arrivals
}

async function until(claim: string, condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not in time: ${claim}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

describe('a target at a broker', () => {
  test('publishes what is selected, with all that a receiver needs to know a row again', async () => {
    const broker = await Broker.start()
    const log = await logOf(30)

    const { target } = await start(log, { url: broker.url, event: 'AlarmRaised' })
    await until('all positions are delivered', () => target.stats().position === 30)

    expect(target.stats()).toEqual({
      delivered: 3,
      resent: 0,
      rejected: 0,
      inFlight: 0,
      position: 30,
      lag: 0,
      reconnects: 0,
      state: 'running',
    })
    expect(broker.published.map(({ topic }) => topic)).toEqual(Array(3).fill('plant/press/9/AlarmRaised'))
    expect(JSON.parse(broker.published[0]?.payload.toString() ?? '')).toEqual({
      position: expect.any(Number) as number,
      entity: 'press/9',
      version: 1,
      event: 'AlarmRaised',
      at: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) as string,
      data: { code: 'HOT', value: 9 },
    })
    expect(broker.published[0]?.qos).toBe(1)
  })

  test('goes on where it stopped, and follows the log', async () => {
    const broker = await Broker.start()
    const log = await logOf(25)
    const first = await start(log, { url: broker.url })
    await until('the first rows are delivered', () => first.target.stats().delivered === 25)
    await first.target.stop()
    await log.grow(10)

    const second = await start(log, { url: broker.url })
    await until('the next rows are delivered', () => second.target.stats().delivered === 10)
    await log.grow(10)
    await until('rows to come are delivered', () => second.target.stats().delivered === 20)

    expect(new Set(toldBy(broker).map(({ position }) => position)).size).toBe(45)
    expect(broker.published).toHaveLength(45)
    expect(first.target.stats().state).toBe('stopped')
  })

  test('publishes what the definition makes of a row, kept by the broker if wanted', async () => {
    const broker = await Broker.start()
    const log = await logOf(1)

    const { target } = await start(log, { url: broker.url, retain: true, payload: ({ data }) => `T=${String(data['temperature'])}` })
    await until('it is delivered', () => target.stats().delivered === 1)

    expect(broker.published.map(({ payload, retain }) => [payload.toString(), retain])).toEqual([['T=0', true]])
  })

  test('sends again what was not acknowledged when the connection ended, each entity in order', async () => {
    let count = 0
    const broker = await Broker.start({
      // Messages arrive, and their acknowledgements are lost with the connection, three times.
      authorizePublish: (client, _packet, done) => {
        count++
        if (count <= 45 && count % 15 === 0) client?.close()
        done(null)
      },
    })
    const log = await logOf(40)

    const { target } = await start(log, { url: broker.url, inFlightPerEntityMax: 3 })
    await until('all are delivered', () => target.stats().position === 40)

    const { reconnects, resent } = target.stats()
    expect(reconnects).toBeGreaterThan(1)
    expect(resent).toBeGreaterThan(0)
    for (const versions of firstArrivals(toldBy(broker)).values()) expect(versions).toEqual([1, 2, 3, 4])
  })

  test('waits for a broker that is not there, and holds no more than its window', async () => {
    const port = await freePort()
    const log = await logOf(500)

    const { target, lines } = await start(log, { url: `mqtt://127.0.0.1:${port}`, inFlightMax: 20 })
    await until('it says why it waits', () => target.stats().state === 'waiting')
    expect(target.stats()).toMatchObject({ delivered: 0, inFlight: 0, position: 0, lag: 500 })
    expect(lines.map(({ level }) => level)).toEqual(['warn'])
    const broker = await Broker.start({ port })

    await until('all are delivered', () => target.stats().delivered === 500)
    expect(new Set(toldBy(broker).map(({ position }) => position)).size).toBe(500)
  })

  test('moves its checkpoint only over what is acknowledged', async () => {
    const held: (() => void)[] = []
    const broker = await Broker.start({ authorizePublish: (_client, _packet, done) => void held.push(() => done(null)) })
    const log = await logOf(10)
    const first = await start(log, { url: broker.url })
    await until('all are on their way', () => held.length === 10)

    // All but the fourth.
    const [missing] = held.splice(3, 1)
    for (const acknowledge of held) acknowledge()
    await until('nine are delivered', () => first.target.stats().delivered === 9)

    expect(first.target.stats()).toMatchObject({ position: 3, inFlight: 1, lag: 7 })
    const fourth = toldBy(broker)
    expect(fourth.some(({ position }) => position === 3)).toBe(false)
    missing?.()
  })

  test('that is fenced says so', async () => {
    const broker = await Broker.start()
    const log = await logOf(5)
    const { target, lines } = await start(log, { url: broker.url })
    await until('all are delivered', () => target.stats().delivered === 5)

    await subscriptionsOf(log.journal).fence('mes', 'it held 2 GB of segments')
    await until('it has failed', () => target.stats().state === 'failed')

    expect(target.stats().reason).toMatch(/it held 2 GB of segments/)
    expect(lines.at(-1)).toMatchObject({ level: 'error', message: 'the target cannot go on' })
  })

  test('whose payload cannot be made says of which row', async () => {
    const broker = await Broker.start()
    const log = await logOf(5)
    const payload = ({ position }: { position: number }) => {
      if (position === 3) throw new Error('it has no temperature')
      return 'fine'
    }

    const { target } = await start(log, { url: broker.url, payload })
    await until('it has failed', () => target.stats().state === 'failed')

    expect(target.stats().reason).toMatch(/it has no temperature.*position=3/)
  })

  test('that is reset goes on from there by itself', async () => {
    const broker = await Broker.start()
    const log = await logOf(20)
    const { target } = await start(log, { url: broker.url })
    await until('all are delivered', () => target.stats().delivered === 20)

    await subscriptionsOf(log.journal).reset('mes', 15)

    await until('five come again', () => target.stats().delivered === 25)
    expect(target.stats()).toMatchObject({ position: 20, state: 'running' })
  })
})

describe('a target at a mosquitto of MQTT 5', () => {
  const why = missingMosquitto()
  const at = why === undefined ? '' : `: ${why}`

  test.skipIf(why !== undefined)(`sends entity and version as properties, too${at}`, async () => {
    const url = await startMosquitto(temporaryDirectory())
    const packets: IPublishPacket[] = []
    const listener = await mqttPackage.connectAsync(url, { protocolVersion: 5 })
    onTestFinished(() => void listener.end(true))
    listener.on('message', (_topic, _payload, packet) => packets.push(packet))
    await listener.subscribeAsync('plant/#', { qos: 1 })
    const log = await logOf(100)

    const { target } = await start(log, { url, protocolVersion: 5 })
    await until('all are heard', () => packets.length === 100)

    expect(target.stats().rejected).toBe(0)
    expect(packets[0]?.properties).toMatchObject({
      contentType: 'application/json',
      userProperties: { entity: expect.stringContaining('press/') as string, version: '1', event: expect.any(String) as string },
    })
  })

  const refusing = async () => {
    const directory = temporaryDirectory()
    const acl = join(directory, 'acl')
    writeFileSync(acl, 'topic readwrite plant/+/+/Sampled\n')
    chmodSync(acl, 0o600)
    // Without a limit on queues this mosquitto ends the connection with each refusal.
    return startMosquitto(directory, ['allow_anonymous true', `acl_file ${acl}`, 'max_queued_messages 100000'])
  }

  test.skipIf(why !== undefined)(`waits for one that the broker refuses, and says once how to mend it${at}`, async () => {
    const url = await refusing()
    const log = await logOf(30)

    const { target, lines } = await start(log, { url, protocolVersion: 5 })
    await until('all others are delivered', () => target.stats().delivered === 27)

    expect(target.stats()).toMatchObject({ position: expect.any(Number) as number, rejected: 0, state: 'waiting' })
    expect(target.stats().position).toBeLessThan(30)
    expect(lines.filter(({ level }) => level === 'error')).toEqual([
      {
        level: 'error',
        message: 'the broker does not let this client publish to the topic',
        values: expect.objectContaining({ topic: 'plant/press/9/AlarmRaised', version: 1, reasonCode: 135 }) as object,
      },
    ])
  })

  test.skipIf(why !== undefined)(`skips one that the broker refuses when told to${at}`, async () => {
    const url = await refusing()
    const log = await logOf(30)

    const { target } = await start(log, { url, protocolVersion: 5, onRefused: 'skip' })
    await until('all are dealt with', () => target.stats().position === 30)

    expect(target.stats()).toMatchObject({ delivered: 27, rejected: 3, state: 'running' })
  })
})

describe('the definition of a target', () => {
  test('has a name of its own for each broker and topic', () => {
    const name = (url: string, topic = TOPIC) => mqttTarget({ url, topic }).name

    expect(name('mqtt://a')).toMatch(/^mqtt-a-plant-entity-event-[0-9a-f]{8}$/)
    expect(new Set([name('mqtt://a'), name('mqtt://b'), name('mqtt://a', 'x')]).size).toBe(3)
  })

  test.each([
    ['no broker', { url: 'http://a' }, /^not the address of a broker/],
    ['a wrong topic', { topic: 'a/#' }, /^not a topic to publish to/],
    ['a wrong name', { name: 'a/b' }, /^not a name for a target/],
    ['no window', { inFlightMax: 0 }, /^inFlightMax is out of its range/],
    ['no window of an entity', { inFlightPerEntityMax: 70_000 }, /^inFlightPerEntityMax is out of its range/],
  ])('with %s is refused', (_name, options, why_) => {
    expect(() => mqttTarget({ url: 'mqtt://a', topic: TOPIC, ...options })).toThrow(why_)
  })
})

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'millrace-target-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}
