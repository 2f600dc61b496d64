import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import { fileCheckpointStore } from '#ingest/checkpoint-store.js'
import { openCsvSource } from '#ingest/csv-source.js'
import type { IngestCommand, Settlement } from '#ingest/door.js'
import { runIngest } from '#ingest/ingest-run.js'
import { StreamDoorClient, type StreamDoorClientOptions } from '#ingest/stream-client.js'
import { COMMANDS, HELLO, packFrame, STREAM_FRAME_BYTES_MAX, STREAM_VERSION } from '#ingest/stream-frames.js'
import { serveStreamDoor } from '#ingest/stream-server.js'
import { fileOf, pressMap, SOON, temporaryDirectory } from './data.js'
import { FakeDoor } from './fake-door.js'

/** A plant's socket that can go away and come back, with one door behind it. */
class Gateway {
  readonly path = join(temporaryDirectory(), 'door.sock')
  readonly sockets = new Set<Socket>()
  readonly door: FakeDoor
  #server: Server | undefined

  constructor(door: FakeDoor) {
    this.door = door
    onTestFinished(() => this.stop())
  }

  async start(credit?: number): Promise<this> {
    const server = createServer((socket) => {
      this.sockets.add(socket)
      socket.on('close', () => this.sockets.delete(socket)).on('error', () => {})
      serveStreamDoor(socket, { door: this.door, ...(credit === undefined ? {} : { credit }) })
    })
    this.#server = server
    await new Promise<void>((resolve) => server.listen(this.path, resolve))
    return this
  }

  /** As SIGKILL does it: no goodbye. */
  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy()
    await new Promise<void>((resolve) => (this.#server === undefined ? resolve() : this.#server.close(() => resolve())))
    this.#server = undefined
  }

  connect = (): Promise<Socket> =>
    new Promise((resolve, reject) => {
      const socket = connect(this.path, () => resolve(socket))
      socket.on('error', reject)
    })

  async client(options: Partial<StreamDoorClientOptions> = {}): Promise<StreamDoorClient> {
    const client = await StreamDoorClient.open({ connect: this.connect, retryMs: 1, ...options })
    onTestFinished(() => client.close())
    return client
  }
}

const command = (sequence: number, more: Partial<IngestCommand> = {}): IngestCommand => ({
  source: 'device',
  sequence,
  entity: `press/p${sequence % 4}`,
  command: 'sample',
  data: { t: sequence },
  at: undefined,
  ...more,
})
const stored = (door: FakeDoor) => door.stored.map(({ data }) => data.t)

describe('a door behind a socket', () => {
  test('settles each command once it is durable, with its answer', async () => {
    const door = new FakeDoor({
      decide: ({ data }) =>
        data.t === 2 ? { refuse: 'NO' } : data.t === 3 ? { fail: 'boom' } : { reply: { sum: [1, null, 'é'], none: undefined } },
      reject: ({ data }) => (data.t === 4 ? 't: too much' : undefined),
    })
    const client = await (await new Gateway(door).start()).client()
    const settlements: Settlement[] = []

    for (let sequence = 1; sequence <= 4; sequence++) {
      expect(client.offer(command(sequence, { at: 17, correlation: 'c' }), 'always', (settlement) => settlements.push(settlement))).toBe(
        'accepted',
      )
    }
    client.offer(command(5), 'refused', (settlement) => settlements.push(settlement))

    await expect.poll(() => settlements, SOON).toHaveLength(5)
    expect(settlements).toEqual(
      expect.arrayContaining([
        { kind: 'done', version: 1, reply: expect.objectContaining({ sum: [1, null, 'é'] }) },
        { kind: 'refused', version: 2, code: 'NO', detail: undefined },
        { kind: 'failed', message: 'boom' },
        { kind: 'failed', message: 'rejected: t: too much' },
        { kind: 'done', version: 0, reply: undefined },
      ]),
    )
    expect(door.stored[0]).toEqual(command(1, { at: 17, correlation: 'c' }))
    expect(client.inFlightCount).toBe(0)
  })

  test('carries doubles bit for bit', async () => {
    const door = new FakeDoor()
    const client = await (await new Gateway(door).start()).client()
    const data = { a: Number.NaN, b: -0, c: Infinity, d: 0.1 + 0.2, e: 5e-324, f: 2 ** 53 - 1, g: -1.5, h: 1e308 }

    client.offer(command(1, { data }), 'refused', () => {})

    await expect.poll(() => door.stored, SOON).toHaveLength(1)
    expect(door.stored[0]?.data).toEqual(data)
    expect(Object.is(door.stored[0]?.data.b, -0)).toBe(true)
  })

  test('is full when its credit is used up, and has room again as commands settle', async () => {
    const door = new FakeDoor({ isManual: true })
    const client = await (await new Gateway(door).start(3)).client()
    for (let sequence = 1; sequence <= 3; sequence++) client.offer(command(sequence), 'refused', () => {})
    await expect.poll(() => door.inFlightCount, SOON).toBe(3)
    let isRoom = false

    expect(client.offer(command(4), 'refused', () => {})).toBe('full')
    client.onRoom(() => (isRoom = true))
    door.settle(1)

    await expect.poll(() => isRoom, SOON).toBe(true)
    expect(client.offer(command(4), 'refused', () => {})).toBe('accepted')
  })

  test('keeps the order where the plant is full', async () => {
    const door = new FakeDoor({ capacity: 2 })
    const client = await (await new Gateway(door).start()).client()

    let next = 0
    const offerAll = () => {
      while (next < 300 && client.offer(command(next), 'refused', () => {}) === 'accepted') next++
      if (next < 300) client.onRoom(offerAll)
    }
    offerAll()

    await expect.poll(() => stored(door), SOON).toEqual(Array.from({ length: 300 }, (_, n) => n))
  })
})

describe('a door whose process is killed', () => {
  test('gets what was not settled again, in order, and takes it once', async () => {
    const door = new FakeDoor({ isManual: true, capacity: 40 })
    const gateway = await new Gateway(door).start()
    const client = await gateway.client()
    const settled: number[] = []
    let next = 0
    const offerSome = (count: number) => {
      for (let n = 0; n < count; n++) {
        const sequence = next
        if (client.offer(command(sequence), 'refused', () => settled.push(sequence)) === 'accepted') next++
      }
    }

    for (let kill = 0; kill < 10; kill++) {
      offerSome(20)
      await expect.poll(() => door.inFlightCount, SOON).toBeGreaterThan(0)
      door.settle(kill % 7)
      await gateway.stop()
      door.crash(kill % 5)
      offerSome(10)
      await gateway.start()
    }
    const settling = setInterval(() => door.settle(), 1)
    await expect.poll(() => client.inFlightCount, SOON).toBe(0)
    clearInterval(settling)

    const all = Array.from({ length: next }, (_, n) => n)
    expect(settled.sort((a, b) => a - b)).toEqual(all)
    expect(stored(door).sort((a, b) => Number(a) - Number(b))).toEqual(all)
    for (const press of [0, 1, 2, 3]) {
      const own = door.stored.filter(({ entity }) => entity === `press/p${press}`).map(({ sequence }) => sequence)
      expect(own).toEqual([...own].sort((a, b) => a - b))
    }
    expect(client.reconnectCount).toBe(10)
  })

  test('takes even commands without a number once', async () => {
    const door = new FakeDoor({ isManual: true })
    const gateway = await new Gateway(door).start()
    const client = await gateway.client()
    client.offer(command(0, { source: '' }), 'refused', () => {})
    await expect.poll(() => door.inFlightCount, SOON).toBe(1)

    await gateway.stop()
    door.crash(1)
    await gateway.start()
    await expect.poll(() => door.inFlightCount, SOON).toBe(1)
    door.settle()

    await expect.poll(() => client.inFlightCount, SOON).toBe(0)
    expect(stored(door)).toEqual([0])
  })

  test('for longer than allowed ends an ingest with ERR_DOOR; the next run finishes it without a loss', async () => {
    const directory = temporaryDirectory()
    const rows = Array.from({ length: 60 }, (_, n) => `2020-03-09T10:00:00Z,p${n % 4},${n},auto\n`).join('')
    const path = fileOf(`time,press,T,mode\n${rows}`)
    const door = new FakeDoor({ isManual: true, capacity: 20 })
    const gateway = await new Gateway(door).start()
    const ingest = async () => {
      const client = await gateway.client({ lostWithinMs: 30 })
      const source = await openCsvSource(path, pressMap())
      return runIngest({
        source,
        door: client,
        clock: systemClock,
        speed: 'max',
        checkpoints: fileCheckpointStore(directory),
        rejectFile: join(directory, 'rejects'),
      })
    }
    const first = ingest()
    const ended = first.catch((error: unknown) => error)
    await expect.poll(() => door.inFlightCount, SOON).toBe(20)
    door.settle(5)
    await gateway.stop()
    door.crash(3)
    expect(await ended).toMatchObject({ code: 'ERR_DOOR' })
    await gateway.start()
    const settling = setInterval(() => door.settle(), 1)
    onTestFinished(() => clearInterval(settling))

    expect(await ingest()).toMatchObject({ rows: 60, accepted: 60, rejected: 0, isComplete: true })
    expect(door.stored.map(({ data }) => Number(data.temperature)).sort((a, b) => a - b)).toEqual(Array.from({ length: 60 }, (_, n) => n))
  })
})

describe('whatever comes over the socket', () => {
  const length = (bytes: number) => {
    const head = Buffer.alloc(4)
    head.writeUInt32LE(bytes)
    return head
  }
  const hello = packFrame([HELLO, STREAM_VERSION])
  const commands = (...given: unknown[]) => Buffer.concat([hello, packFrame([COMMANDS, 1, given])])
  test.each([
    ['a huge length', length(0xffffffff), /no frame has this length|longer than any/],
    ['a length one above the limit', length(STREAM_FRAME_BYTES_MAX + 1), /no frame has this length|longer than any/],
    ['bytes that are no msgpack', Buffer.concat([length(3), Buffer.from([0xc1, 0xc1, 0xc1])]), /not msgpack/],
    ['msgpack that is cut', Buffer.concat([length(2), Buffer.from([0xdd, 0x00])]), /not msgpack/],
    ['no message', packFrame({ length: 5 } as never), /not a message/],
    ['an unknown message', packFrame([99]), /not a message that this door knows/],
    ['commands before the greeting', packFrame([COMMANDS, 1, []]), /not a message that this door knows/],
    ['another version', packFrame([HELLO, 99]), /speaks version/],
    ['commands that are no list', Buffer.concat([hello, packFrame([COMMANDS, 1, 'all'])]), /not a group of commands/],
    ['more commands than the credit', commands(...Array.from({ length: 9000 }, () => 0)), /more than 8192/],
  ])('%s ends the connection with a message, and the door goes on', async (_name, bytes, message) => {
    const door = new FakeDoor()
    const gateway = await new Gateway(door).start()
    const socket = await gateway.connect()
    let said = ''
    socket.on('data', (piece: Buffer) => (said += piece.toString('latin1')))
    const closed = new Promise((resolve) => socket.on('close', resolve))

    socket.write(bytes)
    socket.write(Buffer.alloc(100_000, 0x41))
    await closed

    expect(said).toMatch(message)
    expect(door.offers).toBe(0)
    const client = await gateway.client()
    client.offer(command(1), 'refused', () => {})
    await expect.poll(() => stored(door), SOON).toEqual([1])
  })

  test.each([
    ['nothing', 0],
    ['too short a list', [1, 2]],
    ['a source that is no text', [1, 2, 'press/p', 'sample', {}, null, null, 0]],
    ['an entity that is no text', ['s', 2, null, 'sample', {}, null, null, 0]],
    ['data that is a list', ['s', 2, 'press/p', 'sample', [], null, null, 0]],
    ['a time that is text', ['s', 2, 'press/p', 'sample', {}, 'noon', null, 0]],
    ['a correlation that is a number', ['s', 2, 'press/p', 'sample', {}, null, 5, 0]],
  ])('a command that is %s is rejected alone', async (_name, given) => {
    const door = new FakeDoor()
    const gateway = await new Gateway(door).start()
    const socket = await gateway.connect()
    socket.resume()

    socket.write(commands(given, ['s', 3, 'press/p', 'sample', { t: 3 }, null, null, 0]))

    await expect.poll(() => stored(door), SOON).toEqual([3])
  })

  test('one byte at a time is a frame all the same', async () => {
    const door = new FakeDoor()
    const socket = await (await new Gateway(door).start()).connect()
    socket.setNoDelay(true).resume()

    for (const byte of commands(['s', 3, 'press/p', 'sample', { t: 3 }, null, null, 0])) socket.write(Buffer.from([byte]))

    await expect.poll(() => stored(door), SOON).toEqual([3])
  })

  test('commands from one who never reads the answers are taken no more after a while', async () => {
    const door = new FakeDoor({ reject: () => 'x'.repeat(1000) })
    const gateway = await new Gateway(door).start()
    const socket = await gateway.connect()
    socket.on('error', () => {})
    socket.write(hello)
    let id = 0
    const one = ['s', 1, 'press/p', 'sample', { t: 1 }, null, null, 0]

    let before = -1
    while (door.offers !== before) {
      before = door.offers
      for (let n = 0; n < 20; n++) {
        socket.write(packFrame([COMMANDS, id, Array.from({ length: 500 }, () => one)]))
        id += 500
      }
      await new Promise((resolve) => setTimeout(resolve, 20))
    }

    const [served] = gateway.sockets
    expect(served?.writableLength).toBeLessThan(20_000_000)
    expect(door.offers).toBeLessThan(id)
  })
})
