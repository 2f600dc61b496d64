import { describe, expect, test } from 'vitest'
import type { Door } from '#ingest/door.js'
import {
  COMMANDS,
  DONE,
  ERROR,
  HELLO,
  KIND_DONE,
  KIND_FAILED,
  KIND_REFUSED,
  KIND_REJECTED,
  SETTLED,
  STREAM_FRAME_BYTES_MAX,
  STREAM_VERSION,
  WELCOME,
} from '#ingest/stream-frames.js'
import { FakeDoor } from './fake-door.js'
import { commandOf, eventually, RawClient } from './stream-ends.js'

describe('a stream door and a client that keeps to the protocol', () => {
  test('greets with its version and credit', async () => {
    const client = new RawClient(new FakeDoor(), { credit: 7 }).hello()

    await eventually('the welcome', () => client.heard.length === 1)
    expect(client.heard).toEqual([[WELCOME, STREAM_VERSION, 7]])
  })

  test('offers commands in order, and settles those that nobody wants an answer for many at a time', async () => {
    const door = new FakeDoor()
    const client = new RawClient(door).hello().commands(
      10,
      range(5).map((n) => commandOf(n)),
    )

    await eventually('all settled', () => done(client).length === 5)

    expect(door.stored.map(({ sequence }) => sequence)).toEqual([0, 1, 2, 3, 4])
    expect(door.stored[1]).toEqual({ source: 'device', sequence: 1, entity: 'press/press-1', command: 'sample', data: { n: 1 }, at: 1001 })
    expect(client.heard.slice(1)).toEqual([[DONE, [10, 11, 12, 13, 14]]])
  })

  test('settles one by one what was answered, refused, failed or can never be taken', async () => {
    const door = new FakeDoor({
      decide: ({ sequence }) =>
        [{ reply: { n: -0 } }, { reply: undefined }, { refuse: 'NO' }, { fail: 'a bug' }][sequence] as { reply: unknown },
      reject: ({ sequence }) => (sequence === 4 ? 'unknown' : undefined),
    })
    const client = new RawClient(door).hello().commands(
      0,
      range(5).map((n) => commandOf(n, { answer: 1 })),
    )

    await eventually('all settled', () => settled(client).length === 5)

    expect(settled(client).sort((a, b) => Number(a[1]) - Number(b[1]))).toEqual([
      [SETTLED, 0, KIND_DONE, 1, { n: -0 }, false],
      [SETTLED, 1, KIND_DONE, 2, null, true],
      [SETTLED, 2, KIND_REFUSED, 3, 'NO', null],
      [SETTLED, 3, KIND_FAILED, 0, 'a bug', null],
      [SETTLED, 4, KIND_REJECTED, 0, 'unknown', null],
    ])
  })

  test('counts ids modulo 2^32', async () => {
    const client = new RawClient(new FakeDoor()).hello().commands(0xffff_ffff, [commandOf(1), commandOf(2)])

    await eventually('both settled', () => done(client).length === 2)
    expect(done(client)).toEqual([0xffff_ffff, 0])
  })

  test('stops at a full door and goes on in order when there is room', async () => {
    const door = new FakeDoor({ capacity: 3, isManual: true })
    const client = new RawClient(door).hello().commands(
      0,
      range(8).map((n) => commandOf(n)),
    )

    await eventually('the door is full', () => door.inFlightCount === 3)
    const offersWhenFull = door.offers
    door.makeRoom()
    expect(door.offers).toBe(offersWhenFull + 1)
    while (door.stored.length < 8) {
      door.settle()
      await new Promise(setImmediate)
    }

    await eventually('all settled', () => done(client).length === 8)
    expect(door.stored.map(({ sequence }) => sequence)).toEqual(range(8))
  })

  test('lets what the door has taken go on when the client is gone', async () => {
    const door = new FakeDoor({ isManual: true })
    const client = new RawClient(door).hello().commands(0, [commandOf(1), commandOf(2)])
    await eventually('both are in flight', () => door.inFlightCount === 2)

    client.leave()
    await eventually('it is gone', () => client.isClosed)
    door.settle()

    expect(door.stored).toHaveLength(2)
  })

  test('forgets what the door had no room for when the client is gone', async () => {
    const door = new FakeDoor({ capacity: 1, isManual: true })
    const client = new RawClient(door).hello().commands(0, [commandOf(1), commandOf(2)])
    await eventually('one is in flight', () => door.inFlightCount === 1)

    client.leave()
    await eventually('it is gone', () => client.isClosed)
    await new Promise(setImmediate)
    door.settle()
    door.settle()

    expect(door.stored.map(({ sequence }) => sequence)).toEqual([1])
  })
})

describe('a stream door and a client that does not keep to the protocol', () => {
  test.each<[string, (client: RawClient) => unknown, RegExp]>([
    ['another version', (client) => client.say([HELLO, 99]), /speaks version 1, not 99/],
    ['commands before the greeting', (client) => client.commands(0, [commandOf(1)]), /not a message that this door knows/],
    ['an unknown message', (client) => client.hello().say([77]), /not a message that this door knows/],
    ['what only a door says', (client) => client.hello().say([DONE, [1]]), /not a message that this door knows/],
    [
      'a length beyond any frame',
      (client) => client.write(lengthOf(STREAM_FRAME_BYTES_MAX + 1)),
      /no frame has this length bytes=16777217/,
    ],
    ['the longest length there is', (client) => client.write(lengthOf(0xffff_ffff)), /no frame has this length bytes=4294967295/],
    ['an empty frame', (client) => client.write(lengthOf(0)), /no frame has this length bytes=0/],
    ['bytes that are no msgpack', (client) => client.write(frameOf(Buffer.from([0xc1, 0xc1, 0xc1]))), /not msgpack|not a message/],
    ['a line of HTTP', (client) => client.write(Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')), /no frame has this length/],
    ['a frame that is no list', (client) => client.write(frameOf(Buffer.from([0x01]))), /not a message/],
    ['a list that ends too early', (client) => client.write(frameOf(Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]))), /not msgpack/],
    ['lists in lists without end', (client) => client.write(frameOf(Buffer.alloc(1_000_000, 0x91))), /not msgpack/],
    ['a group that is no list', (client) => client.hello().say([COMMANDS, 0, 'x']), /not a group of commands/],
    ['a group without an id', (client) => client.hello().say([COMMANDS, null, []]), /not a group of commands/],
    [
      'more than its credit',
      (client) =>
        client.hello().commands(
          0,
          range(5).map((n) => commandOf(n)),
        ),
      /more than 4 commands in flight/,
    ],
  ])('ends at %s, saying why', async (_what, speak, said) => {
    const door = new FakeDoor()
    const client = new RawClient(door, { credit: 4 })

    speak(client)
    client.commands(0, [commandOf(1)])

    await eventually('the connection ends', () => client.isClosed)
    expect(client.heard.at(-1)).toEqual([ERROR, expect.stringMatching(said)])
    expect(door.offers).toBe(0)
  })

  test('ends when commands in flight and new ones together are more than its credit', async () => {
    const door = new FakeDoor({ isManual: true })
    const client = new RawClient(door, { credit: 4 }).hello().commands(
      0,
      range(3).map((n) => commandOf(n)),
    )
    await eventually('three are in flight', () => door.inFlightCount === 3)

    client.commands(3, [commandOf(3), commandOf(4)])

    await eventually('the connection ends', () => client.isClosed)
    expect(door.offers).toBe(3)
  })

  test.each<[string, unknown]>([
    ['nothing', null],
    ['a list that is too short', ['device', 1]],
    ['a source that is a number', [1, 1, 'press/1', 'sample', {}, null, null, 0]],
    ['a sequence that is a text', ['device', '1', 'press/1', 'sample', {}, null, null, 0]],
    ['an entity that is a list', ['device', 1, [], 'sample', {}, null, null, 0]],
    ['data that is a list', ['device', 1, 'press/1', 'sample', [], null, null, 0]],
    ['data that is nothing', ['device', 1, 'press/1', 'sample', null, null, null, 0]],
    ['a time that is a text', ['device', 1, 'press/1', 'sample', {}, 'now', null, 0]],
    ['a correlation that is a number', ['device', 1, 'press/1', 'sample', {}, null, 5, 0]],
  ])('rejects one command of %s and takes the next', async (_what, command) => {
    const door = new FakeDoor()
    const client = new RawClient(door).hello().commands(0, [command, commandOf(1)])

    await eventually('the good one is settled', () => done(client).length === 1)

    expect(settled(client)).toEqual([[SETTLED, 0, KIND_REJECTED, 0, expect.any(String), null]])
    expect(done(client)).toEqual([1])
  })

  test('reads no more from a client that does not read its answers, and holds no more than its credit of them', async () => {
    const reply = 'x'.repeat(10_000)
    const door = new FakeDoor({ decide: () => ({ reply }) })
    const client = new RawClient(door, { credit: 64, isReading: false }).hello()
    let sent = 0

    // Rounds of a client that counts on having been answered, until nothing of it is taken any more.
    for (let idle = 0; idle < 50; idle++) {
      const before = door.stored.length
      if (client.unwrittenBytes < 10_000)
        client.commands(
          sent,
          range(8).map((n) => commandOf(sent + n, { entity: `press/${n}`, answer: 1 })),
        )
      if (client.unwrittenBytes < 10_000) sent += 8
      await new Promise(setImmediate)
      if (door.stored.length > before) idle = 0
    }

    expect(client.isClosed).toBe(false)
    expect(client.unwrittenBytes).toBeGreaterThan(0)
    expect(door.stored.length * reply.length).toBeLessThan(4_000_000)
  })

  test('is not hurt by a door whose answer cannot be packed', async () => {
    const big = new FakeDoor({ decide: () => ({ reply: { nested: { deep: [1, 2, { n: null }] } } }) })
    const client = new RawClient(big).hello().commands(0, [commandOf(1, { answer: 1 })])

    await eventually('it is settled', () => settled(client).length === 1)
    expect(settled(client)[0]).toEqual([SETTLED, 0, KIND_DONE, 1, { nested: { deep: [1, 2, { n: null }] } }, false])
  })

  test('serves others while one misbehaves', async () => {
    const door: Door = new FakeDoor()
    const bad = new RawClient(door).hello()
    const good = new RawClient(door).hello()

    bad.write(lengthOf(STREAM_FRAME_BYTES_MAX + 1))
    good.commands(0, [commandOf(1)])

    await eventually('the good one is served', () => done(good).length === 1)
    await eventually('the bad one is gone', () => bad.isClosed)
    expect(good.isClosed).toBe(false)
  })
})

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

function done(client: RawClient): number[] {
  return client.heard.flatMap((message) => (message[0] === DONE ? (message[1] as number[]) : []))
}

function settled(client: RawClient): (readonly unknown[])[] {
  return client.heard.filter((message) => message[0] === SETTLED)
}

function lengthOf(length: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(length)
  return bytes
}

function frameOf(body: Buffer): Buffer {
  return Buffer.concat([lengthOf(body.length), body])
}
