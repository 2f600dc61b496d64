import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import mqttPackage from 'mqtt'
import { describe, expect, onTestFinished, test } from 'vitest'
import { missingMosquitto, startMosquitto } from '../faults/brokers.js'
import { until } from '../shm/until.js'
import { Broker } from './broker.js'
import { temporaryDirectory } from './data.js'
import { FakeDoor } from './fake-door.js'
import { CLIENT_ID, PRESS_JSON_MAP, sample, startPressSource, topicOf } from './mqtt-under-test.js'

const OPENSSL = '/usr/bin/openssl'

/** A certificate for 127.0.0.1 that signs itself. */
function selfSigned(): { readonly cert: string; readonly key: string } {
  const directory = temporaryDirectory()
  const [certFile, keyFile] = [join(directory, 'cert.pem'), join(directory, 'key.pem')]
  const words =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=broker -addext subjectAltName=IP:127.0.0.1'
  execFileSync(OPENSSL, [...words.split(' '), '-keyout', keyFile, '-out', certFile], { stdio: 'ignore' })
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8') }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}

const users = (right: string) => ({
  authenticate: (_client: unknown, name: string | undefined, password: Buffer | undefined, done: (error: null, isRight: boolean) => void) =>
    done(null, name === 'press' && password?.toString() === right),
})

describe('a broker that is away when the source starts', () => {
  test('is told once and found when it comes', async () => {
    const port = await freePort()
    const { source, log } = await startPressSource(new FakeDoor(), { url: `mqtt://127.0.0.1:${port}` })
    await until('two attempts have failed', () => source.failure !== undefined)

    await Broker.start({ port })
    await until('the source is connected', () => source.isConnected)

    expect(log.map(({ level, message }) => `${level} ${message.replace(/\d{2,}/g, 'N')}`)).toEqual([
      expect.stringMatching(/^warn the broker does not answer: .*ECONNREFUSED/),
      'info the broker is there',
    ])
  })
})

describe('a broker with passwords', () => {
  test('lets in who knows it', async () => {
    const broker = await Broker.start(users('secret'))

    const { source } = await startPressSource(new FakeDoor(), { url: broker.url, username: 'press', password: 'secret' })

    await until('the source is connected', () => source.isConnected)
    expect(source.failure).toBeUndefined()
  })

  test('is asked again slowly with a wrong one, and the log says so without it', async () => {
    const broker = await Broker.start(users('secret'))

    const { source, log } = await startPressSource(new FakeDoor(), { url: broker.url, username: 'press', password: 'wrong-one' })
    await until('it was refused', () => source.failure !== undefined)

    expect(source.failure).toMatchObject({ isRefusal: true })
    expect(log).toEqual([
      {
        level: 'error',
        message: 'the broker does not let this client in',
        values: { next: 'correct user name and password, or what the broker allows them', retryMs: 30_000 },
      },
    ])
    expect(JSON.stringify(log)).not.toContain('wrong-one')
  })

  test('may have them in its address, which the log leaves out', async () => {
    const broker = await Broker.start(users('secret'))

    const { source, log } = await startPressSource(new FakeDoor(), { url: broker.url.replace('//', '//press:secret@') })
    await until('the source is connected', () => source.isConnected)

    expect(JSON.stringify(log)).not.toContain('secret')
  })
})

describe.skipIf(!existsSync(OPENSSL))('a broker behind TLS', () => {
  test('is trusted with the authority that signed its certificate', async () => {
    const tls = selfSigned()
    const broker = await Broker.start({ tls })
    const door = new FakeDoor()
    const { source } = await startPressSource(door, { url: broker.url, ca: tls.cert })
    await until('the source is connected', () => source.isConnected)
    await until('it is subscribed', () => broker.subscriptionsOf(CLIENT_ID).length > 0)
    const publisher = await broker.publisher({ ca: tls.cert })

    await publisher.publishAsync(topicOf('p1'), sample(1), { qos: 1 })

    await until('the message is stored', () => door.stored.length === 1)
    expect(door.stored[0]?.sequence).toBe(1)
  })

  test('is not trusted without, and the log says what to give', async () => {
    const broker = await Broker.start({ tls: selfSigned() })

    const { source, log } = await startPressSource(new FakeDoor(), { url: broker.url })
    await until('it was found untrusted', () => source.failure !== undefined)

    expect(source.isConnected).toBe(false)
    expect(log[0]).toMatchObject({
      level: 'error',
      message: expect.stringMatching(/^the certificate of the broker is not trusted/) as string,
      values: { next: 'give the authority that signed it as ca' },
    })
  })

  test('is taken unseen where that is asked for, with a warning', async () => {
    const broker = await Broker.start({ tls: selfSigned() })

    const { source, log } = await startPressSource(new FakeDoor(), { url: broker.url, rejectUnauthorized: false })
    await until('the source is connected', () => source.isConnected)

    expect(log[0]).toMatchObject({ level: 'warn', message: 'any certificate is taken, so anyone in between can pose as the broker' })
  })
})

describe('a session at the broker', () => {
  test('follows the filters of the definition, also those that are gone', async () => {
    const broker = await Broker.start()
    const first = await startPressSource(new FakeDoor(), { url: broker.url, topic: ['factory/+/sample', 'old/#'] })
    await until('both are subscribed', () => first.source.isSubscribed)
    const before = broker.subscriptionsOf(CLIENT_ID)
    await first.source.stop()

    const second = await startPressSource(
      new FakeDoor(),
      { url: broker.url, topic: ['factory/+/sample', 'new/#'] },
      { directory: first.directory },
    )
    await until('the new one is subscribed', () => second.source.isSubscribed)
    await until('the old one is gone', () => !broker.subscriptionsOf(CLIENT_ID).includes('old/#'))

    expect(before.toSorted()).toEqual(['factory/+/sample', 'old/#'])
    expect(broker.subscriptionsOf(CLIENT_ID).toSorted()).toEqual(['factory/+/sample', 'new/#'])
  })

  test('that the broker has lost is told and made again', async () => {
    const before = await Broker.start()
    const { port } = before
    const door = new FakeDoor()
    const { source, log } = await startPressSource(door, { url: before.url })
    await until('it is subscribed', () => before.subscriptionsOf(CLIENT_ID).length === 1)
    await until('and remembers it', () => source.isSubscribed)
    await before.close()

    const after = await Broker.start({ port })
    await until('it is subscribed again', () => after.subscriptionsOf(CLIENT_ID).length === 1)
    const publisher = await after.publisher()
    await publisher.publishAsync(topicOf('p1'), sample(1), { qos: 1 })
    await until('the message is stored', () => door.stored.length === 1)

    expect(log.map(({ message }) => message)).toContain(
      'the broker has forgotten the session: messages that it held for this source are lost',
    )
  })

  test('that the broker refuses to subscribe is said with the reason', async () => {
    const broker = await Broker.start({ authorizeSubscribe: (_client, _subscription, callback) => callback(null, null) })

    const { source, log } = await startPressSource(new FakeDoor(), { url: broker.url })
    await until('it was refused', () => source.failure !== undefined)

    expect(log.at(-1)).toMatchObject({ level: 'error', message: 'the broker refuses the topic filter' })
  })
})

describe.skipIf(missingMosquitto() !== undefined)('MQTT 5 with a real mosquitto', () => {
  test('takes the sequence from a user property, and each number once', async () => {
    const url = await startMosquitto(temporaryDirectory())
    const door = new FakeDoor()
    const map = PRESS_JSON_MAP.replace('{ path: seq }', '{ property: seq }')
    const { source } = await startPressSource(door, { url, map })
    await until('the source is subscribed', () => source.isSubscribed)
    const publisher = await mqttPackage.connectAsync(url, { protocolVersion: 5, reconnectPeriod: 0 })
    onTestFinished(() => publisher.endAsync(true))

    for (const seq of ['1', '2', '2', '3']) {
      await publisher.publishAsync(topicOf('p1'), '{"ts":1,"temperature":2}', { qos: 1, properties: { userProperties: { seq } } })
    }
    await until('all have settled', () => source.stats().accepted === 4)

    expect(door.stored.map(({ sequence }) => sequence)).toEqual([1, 2, 3])
  })

  test('sends no more ahead than the receive maximum', async () => {
    const url = await startMosquitto(temporaryDirectory())
    const door = new FakeDoor({ isManual: true })
    const { source } = await startPressSource(door, { url, receiveMaximum: 5 })
    await until('the source is subscribed', () => source.isSubscribed)
    const publisher = await mqttPackage.connectAsync(url, { reconnectPeriod: 0 })
    onTestFinished(() => publisher.endAsync(true))

    for (let seq = 1; seq <= 20; seq++) await publisher.publishAsync(topicOf(`p${seq}`), sample(seq), { qos: 1 })
    await until('five came', () => door.inFlightCount === 5)
    const received: number[] = []
    while (door.stored.length < 20) {
      received.push(source.stats().received - source.stats().accepted)
      door.settle(1)
      await until('the next came', () => door.inFlightCount === Math.min(5, 20 - door.stored.length))
    }

    expect(Math.max(...received)).toBe(5)
    expect(door.stored.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1))
  })

  test('that is given to another client with the same client id says what may be wrong', async () => {
    const url = await startMosquitto(temporaryDirectory())
    const { source, log } = await startPressSource(new FakeDoor(), { url, protocolVersion: 5 })
    await until('the source is subscribed', () => source.isSubscribed)

    const other = await mqttPackage.connectAsync(url, { clientId: CLIENT_ID, protocolVersion: 5, reconnectPeriod: 0 })
    onTestFinished(() => other.endAsync(true))
    await until('it has lost the session', () => source.failure !== undefined)

    expect(`${log.at(-1)?.message} ${String(log.at(-1)?.values?.['next'])}`).toContain('same client id')
  })
})
