import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { until } from '../shm/until.js'
import { Broker } from './broker.js'
import { FakeDoor } from './fake-door.js'
import { CLIENT_ID, type MqttUnderTest, PRESS_JSON_MAP, sample, startPressSource, topicOf } from './mqtt-under-test.js'

const numbers = (count: number, from = 1) => Array.from({ length: count }, (_, index) => from + index)
const stored = (door: FakeDoor) => door.stored.map(({ entity, sequence }) => `${entity} ${sequence}`)

async function subscribed(broker: Broker): Promise<void> {
  await until('the source is subscribed', () => broker.subscriptionsOf(CLIENT_ID).length > 0)
}

/** A turn of the broker: what it had to read before is read. */
async function answered(broker: Broker): Promise<void> {
  const probe = await broker.publisher()
  await probe.publishAsync('probe', '', { qos: 1 })
  await probe.endAsync()
}

function rejectsOf({ directory }: MqttUnderTest): Record<string, unknown>[] {
  return readFileSync(join(directory, 'presses.rejects.jsonl'), 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

describe('a message at a door that settles when told', () => {
  test('is acknowledged once it is settled and not before', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor({ isManual: true })
    await startPressSource(door, { url: broker.url })
    await subscribed(broker)
    const publisher = await broker.publisher()

    await publisher.publishAsync(topicOf('p1'), sample(1), { qos: 1 })
    await until('the message is offered', () => door.inFlightCount === 1)
    await answered(broker)
    const before = [...broker.acksOf(CLIENT_ID)]
    door.settle()
    await until('the message is acknowledged', () => broker.acksOf(CLIENT_ID).length === 1)

    expect(before).toEqual([])
    expect(broker.acksOf(CLIENT_ID)).toEqual([sample(1)])
  })

  test('becomes the command that the map says', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor()
    await startPressSource(door, { url: broker.url })
    await subscribed(broker)
    const publisher = await broker.publisher()

    await publisher.publishAsync(topicOf('p1'), sample(7, { mode: 'auto' }), { qos: 1 })
    await until('it is stored', () => door.stored.length === 1)

    expect(door.stored[0]).toEqual({
      source: 'mqtt:factory/p1/sample',
      sequence: 7,
      entity: 'press/p1',
      command: 'sample',
      data: { temperature: 3.5, mode: 'auto' },
      at: 1_583_748_873_130_000,
    })
  })

  test('leaves others on their way, and PUBACKs go in the order of arrival whatever settles first', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor({ isManual: true })
    await startPressSource(door, { url: broker.url })
    await subscribed(broker)
    const publisher = await broker.publisher()

    for (const press of ['a', 'b', 'c', 'd']) await publisher.publishAsync(topicOf(press), sample(1, { mode: press }), { qos: 1 })
    await until('all four are on their way', () => door.inFlightCount === 4)
    for (const press of ['c', 'd', 'b']) door.settleOne((commands) => commands.findIndex(({ data }) => data['mode'] === press))
    await answered(broker)
    const before = [...broker.acksOf(CLIENT_ID)]
    door.settle()
    await until('all are acknowledged', () => broker.acksOf(CLIENT_ID).length === 4)

    expect(before).toEqual([])
    expect(broker.acksOf(CLIENT_ID).map((text) => (JSON.parse(text) as { mode: string }).mode)).toEqual(['a', 'b', 'c', 'd'])
  })

  test('of QoS 0 is taken and has no acknowledgement', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor()
    const { source } = await startPressSource(door, { url: broker.url })
    await subscribed(broker)
    const publisher = await broker.publisher()

    await publisher.publishAsync(topicOf('p1'), sample(1), { qos: 0 })
    await publisher.publishAsync(topicOf('p1'), sample(2), { qos: 1 })
    await until('both are stored', () => door.stored.length === 2)
    await until('one is acknowledged', () => broker.acksOf(CLIENT_ID).length === 1)

    expect(broker.acksOf(CLIENT_ID)).toEqual([sample(2)])
    expect(source.stats()).toMatchObject({ received: 2, accepted: 2 })
  })
})

describe('a door without room', () => {
  test('gets everything later, in order per source', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor({ isManual: true, capacity: 20 })
    const { source } = await startPressSource(door, { url: broker.url })
    await subscribed(broker)
    const publisher = await broker.publisher()

    for (const seq of numbers(100)) for (const press of ['a', 'b', 'c']) publisher.publish(topicOf(press), sample(seq), { qos: 1 })
    await until('the door is full', () => source.stats().full > 0 && door.inFlightCount === 20)
    while (door.stored.length < 300) {
      await until('something is on its way', () => door.inFlightCount > 0)
      door.settle(7)
    }
    await until('all are acknowledged', () => broker.acksOf(CLIENT_ID).length === 300)

    for (const press of ['a', 'b', 'c']) {
      const sequences = door.stored.filter(({ entity }) => entity === `press/${press}`).map(({ sequence }) => sequence)
      expect(sequences).toEqual(numbers(100))
    }
  })

  test('for one source holds up no other', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor({ isManual: true })
    await startPressSource(door, { url: broker.url })
    await subscribed(broker)
    const publisher = await broker.publisher()

    for (const seq of numbers(20)) await publisher.publishAsync(topicOf('busy'), sample(seq), { qos: 1 })
    await publisher.publishAsync(topicOf('calm'), sample(1), { qos: 1 })

    await until('16 of the one and the other are on their way', () => door.inFlightCount === 17)
    door.settle()
    await until('the others follow', () => door.inFlightCount === 4)
    door.settle()

    expect(stored(door).slice(-5)).toEqual(['press/calm 1', 'press/busy 17', 'press/busy 18', 'press/busy 19', 'press/busy 20'])
  })

  test('stops the reading at so many open messages, and the rest waits at the broker', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor({ isManual: true, capacity: 5000 })
    const { source } = await startPressSource(door, { url: broker.url })
    await subscribed(broker)
    const publisher = await broker.publisher()

    const total = 5000
    for (const seq of numbers(total)) publisher.publish(topicOf(`p${seq % 500}`), sample(seq), { qos: 1 })
    await until('the window is full', () => door.inFlightCount === 4096)
    await answered(broker)
    const whileFull = source.stats().received
    while (door.stored.length < total) {
      await until('something is on its way', () => door.inFlightCount > 0)
      door.settle(500)
    }

    expect(whileFull).toBe(4096)
    expect(source.stats().accepted).toBe(total)
  })
})

describe('a connection that is cut', () => {
  test('brings what was not acknowledged once more, and the plant takes it once', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor({ isManual: true })
    const { source } = await startPressSource(door, { url: broker.url })
    await subscribed(broker)
    const publisher = await broker.publisher()
    for (const seq of numbers(10)) await publisher.publishAsync(topicOf('p1'), sample(seq), { qos: 1 })
    await until('ten are on their way', () => door.inFlightCount === 10)

    broker.cut()
    await until('the source has lost the broker', () => !source.isConnected)
    door.settle()
    await until('all came again', () => source.stats().received === 20 && door.inFlightCount === 10)
    door.settle()
    await until('all are acknowledged', () => broker.acksOf(CLIENT_ID).length === 10)

    expect(stored(door)).toEqual(numbers(10).map((seq) => `press/p1 ${seq}`))
    expect(broker.acksOf(CLIENT_ID)).toEqual(numbers(10).map((seq) => sample(seq)))
  })

  test('by the death of the source leaves the session to a successor', async () => {
    const broker = await Broker.start()
    const dying = new FakeDoor({ isManual: true })
    const first = await startPressSource(dying, { url: broker.url }, { drainMs: 0 })
    await subscribed(broker)
    const publisher = await broker.publisher()
    for (const seq of numbers(5)) await publisher.publishAsync(topicOf('p1'), sample(seq), { qos: 1 })
    await until('five are on their way', () => dying.inFlightCount === 5)
    dying.crash(3)
    await first.source.stop()

    for (const seq of numbers(5, 6)) await publisher.publishAsync(topicOf('p1'), sample(seq), { qos: 1 })
    const second = await startPressSource(dying, { url: broker.url }, { directory: first.directory })
    await until('the other five came', () => second.source.stats().received === 10)
    while (dying.inFlightCount > 0) dying.settle()
    await until('all are acknowledged', () => broker.acksOf(CLIENT_ID).length === 10)

    expect(stored(dying)).toEqual(numbers(10).map((seq) => `press/p1 ${seq}`))
    expect(second.log.find(({ message }) => message === 'the broker is there')?.values).toMatchObject({ isResumed: true })
  })
})

describe('a message that cannot be taken', () => {
  const garbage: [string, string, string | Buffer, string, RegExp][] = [
    ['no JSON', topicOf('p1'), '{"seq": 1', 'malformed', /^the payload is not JSON/],
    ['invalid UTF-8', topicOf('p1'), Buffer.of(0x7b, 0xff, 0xfe, 0x7d), 'malformed', /^the payload is not valid UTF-8/],
    ['nothing', topicOf('p1'), '', 'malformed', /^the payload is empty/],
    ['10 MB', topicOf('p1'), Buffer.alloc(10_000_000, 0x20), 'malformed', /^the payload has 10000000 bytes, more than 1048576/],
    ['text for a number', topicOf('p1'), sample(1, { temperature: 'hot' }), 'malformed', /^temperature is not a number: 'hot'/],
    ['a missing field', topicOf('p1'), '{"seq":1,"ts":1}', 'malformed', /^temperature is missing/],
    ['no number', topicOf('p1'), '{"ts":1,"temperature":1}', 'malformed', /^seq is missing, it holds the sequence/],
    ['a number that is none', topicOf('p1'), sample(1.5), 'malformed', /^seq holds no whole number/],
    ['no time', topicOf('p1'), '{"seq":1,"temperature":1}', 'malformed', /^ts is missing, it holds the time/],
    ['a list', topicOf('p1'), '[1,2]', 'malformed', /missing/],
    ['a name that no entity can have', topicOf('\u0007'), sample(1), 'malformed', /control character/],
  ]

  test.each(garbage)('since it holds %s is rejected with its reason and acknowledged', async (_name, topic, payload, kind, reason) => {
    const broker = await Broker.start()
    const door = new FakeDoor()
    const running = await startPressSource(door, { url: broker.url })
    await subscribed(broker)
    const publisher = await broker.publisher()

    await publisher.publishAsync(topic, payload, { qos: 1 })
    await publisher.publishAsync(topicOf('p2'), sample(1), { qos: 1 })
    await until('both are acknowledged', () => broker.acksOf(CLIENT_ID).length === 2)

    expect(stored(door)).toEqual(['press/p2 1'])
    expect(running.source.stats()).toMatchObject({ received: 2, accepted: 1, rejected: 1 })
    expect(rejectsOf(running)).toEqual([
      expect.objectContaining({
        source: 'presses',
        topic,
        kind,
        reason: expect.stringMatching(reason),
        bytes: Buffer.from(payload).length,
      }),
    ])
  })

  test('goes to the reject topic with its reason, and the rest goes on', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor()
    const { source } = await startPressSource(door, { url: broker.url, rejectTopic: 'factory-rejects' })
    await subscribed(broker)
    const publisher = await broker.publisher()

    for (const seq of numbers(30)) {
      await publisher.publishAsync(topicOf('p1'), sample(seq), { qos: 1 })
      if (seq % 3 === 0) await publisher.publishAsync(topicOf('p1'), Buffer.of(0xff, seq), { qos: 1 })
    }
    await until('all are acknowledged', () => broker.acksOf(CLIENT_ID).length === 40)

    const rejects = broker.published.filter(({ topic }) => topic === 'factory-rejects')
    expect(stored(door)).toEqual(numbers(30).map((seq) => `press/p1 ${seq}`))
    expect(rejects.map(({ qos }) => qos)).toEqual(Array.from({ length: 10 }, () => 1))
    expect(JSON.parse(rejects[0]?.payload.toString() ?? '')).toMatchObject({
      source: 'presses',
      topic: 'factory/p1/sample',
      kind: 'malformed',
      reason: 'the payload is not valid UTF-8',
      bytes: 2,
      encoding: 'base64',
      payload: Buffer.of(0xff, 3).toString('base64'),
    })
    expect(source.stats()).toMatchObject({ received: 40, accepted: 30, rejected: 10, inFlight: 0 })
  })

  test('goes to the file when the broker does not let it be published', async () => {
    const broker = await Broker.start({
      authorizePublish: (_client, packet, callback) => callback(packet.topic === 'factory-rejects' ? new Error('no') : null),
    })
    const door = new FakeDoor()
    const running = await startPressSource(door, { url: broker.url, rejectTopic: 'factory-rejects' })
    await subscribed(broker)
    const publisher = await broker.publisher()

    await publisher.publishAsync(topicOf('p1'), 'garbage', { qos: 1 })
    await until('it is acknowledged', () => broker.acksOf(CLIENT_ID).length === 1)

    expect(rejectsOf(running)).toEqual([expect.objectContaining({ topic: 'factory/p1/sample', payload: 'garbage', encoding: 'utf-8' })])
    expect(running.log.map(({ message }) => message)).toContain(
      'a rejected message cannot be published, it is written to the reject file instead',
    )
  })

  test.each([
    ['the plant knows no such entity', { reject: () => 'there is no entity type press' }, 'unfit', 'there is no entity type press'],
    ['the entity refuses', { decide: () => ({ refuse: 'OUT_OF_ORDER' }) }, 'refused', 'OUT_OF_ORDER'],
    ['its code throws', { decide: () => ({ fail: 'DECIDE_FAILED: oops' }) }, 'failed', 'DECIDE_FAILED: oops'],
  ])('since %s is rejected and acknowledged', async (_name, options, kind, reason) => {
    const broker = await Broker.start()
    const running = await startPressSource(new FakeDoor(options), { url: broker.url })
    await subscribed(broker)
    const publisher = await broker.publisher()

    await publisher.publishAsync(topicOf('p1'), sample(1), { qos: 1 })
    await until('it is acknowledged', () => broker.acksOf(CLIENT_ID).length === 1)

    expect(running.source.stats()).toMatchObject({ accepted: 0, rejected: 1 })
    expect(rejectsOf(running)).toEqual([expect.objectContaining({ kind, reason, payload: sample(1) })])
  })
})

describe('messages without a number', () => {
  test('are counted, and told about once', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor()
    const { source, log } = await startPressSource(door, { url: broker.url, map: PRESS_JSON_MAP.replace(/^sequence.*\n/m, '') })
    await subscribed(broker)
    const publisher = await broker.publisher()

    for (const seq of numbers(3)) await publisher.publishAsync(topicOf('p1'), sample(seq), { qos: 1 })
    await until('all are stored', () => door.stored.length === 3)

    expect(door.stored.map(({ source: from }) => from)).toEqual(['', '', ''])
    expect(source.stats().unnumbered).toBe(3)
    expect(log.filter(({ message }) => message.startsWith('messages carry no number'))).toHaveLength(1)
  })
})

describe('a retained message', () => {
  test('is taken like others, and not again when the source comes back', async () => {
    const broker = await Broker.start()
    const publisher = await broker.publisher()
    await publisher.publishAsync(topicOf('p1'), sample(4), { qos: 1, retain: true })
    const door = new FakeDoor()

    const first = await startPressSource(door, { url: broker.url })
    await until('it is stored', () => door.stored.length === 1)
    await first.source.stop()
    const second = await startPressSource(door, { url: broker.url }, { directory: first.directory })
    await until('it is back', () => second.source.isConnected)
    await publisher.publishAsync(topicOf('p1'), sample(5), { qos: 1 })
    await until('the next one is stored', () => door.stored.length === 2)

    expect(second.source.stats().received).toBe(1)
  })
})

describe('a source that stops', () => {
  test('acknowledges what settles meanwhile and takes nothing more', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor({ isManual: true })
    const { source } = await startPressSource(door, { url: broker.url })
    await subscribed(broker)
    const publisher = await broker.publisher()
    for (const seq of numbers(3)) await publisher.publishAsync(topicOf('p1'), sample(seq), { qos: 1 })
    await until('three are on their way', () => door.inFlightCount === 3)

    const stopping = source.stop()
    await publisher.publishAsync(topicOf('p1'), sample(4), { qos: 1 })
    await answered(broker)
    door.settle()
    await stopping

    expect(broker.acksOf(CLIENT_ID)).toEqual([sample(1), sample(2), sample(3)])
    expect(source.stats()).toMatchObject({ received: 3, accepted: 3, state: 'stopped' })
    expect(broker.clientIds).not.toContain(CLIENT_ID)
  })

  test('after so many messages leaves the others to the next run', async () => {
    const broker = await Broker.start()
    const door = new FakeDoor()
    const first = await startPressSource(door, { url: broker.url }, { messagesMax: 3 })
    await subscribed(broker)
    const publisher = await broker.publisher()
    for (const seq of numbers(5)) await publisher.publishAsync(topicOf('p1'), sample(seq), { qos: 1 })
    await until('three are stored', () => door.stored.length === 3)
    await answered(broker)
    await first.source.stop()
    const storedFirst = door.stored.length

    await startPressSource(door, { url: broker.url }, { directory: first.directory })
    await until('the others are stored', () => door.stored.length === 5)

    expect(storedFirst).toBe(3)
    expect(stored(door)).toEqual(numbers(5).map((seq) => `press/p1 ${seq}`))
  })
})
