import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type ConsumerChannel, distance, openChannel, type ProducerChannel } from '#bus/index.js'
import { readNumbered } from './numbered.mjs'
import { payloads, readAll } from './ring-of.js'

const child = fileURLToPath(new URL('children/channel-end.mjs', import.meta.url))
const utf8 = { encode: (text: string) => new TextEncoder().encode(text), decode: (bytes: Uint8Array) => new TextDecoder().decode(bytes) }

let directory: string
let children: ChildProcess[]
let open: (ProducerChannel | ConsumerChannel)[]

beforeEach(() => {
  directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'millrace-test-'))
  children = []
  open = []
})

afterEach(async () => {
  for (const channel of open) channel.close()
  await Promise.all(children.filter((process) => process.exitCode === null && process.signalCode === null).map(kill))
  rmSync(directory, { recursive: true, force: true })
})

function producerEnd(name = 'readings', more: object = {}): ProducerChannel {
  const channel = openChannel({ directory, name, role: 'producer', ...more })
  open.push(channel)
  return channel
}

function consumerEnd(name = 'readings', more: object = {}): ConsumerChannel {
  const channel = openChannel({ directory, name, role: 'consumer', ...more })
  open.push(channel)
  return channel
}

function closeEnd(channel: ProducerChannel | ConsumerChannel): void {
  channel.close()
  open = open.filter((other) => other !== channel)
}

/** Starts the other process and resolves when it has its ends. */
async function start(setup: object): Promise<ChildProcess> {
  const started = spawn(process.execPath, [child, JSON.stringify({ directory, ...setup })], { stdio: ['pipe', 'pipe', 'inherit'] })
  children.push(started)
  await new Promise<void>((resolve, reject) => {
    started.stdout.once('data', () => resolve())
    started.once('exit', (code) => reject(new Error(`the child ended with ${code} before it was ready`)))
  })
  return started
}

function ended(process: ChildProcess): Promise<number | null> {
  if (process.exitCode !== null) return Promise.resolve(process.exitCode)
  return new Promise((resolve) => process.once('exit', resolve))
}

async function kill(process: ChildProcess): Promise<void> {
  const end = ended(process)
  process.kill('SIGKILL')
  await end
}

describe('a channel opened by name', () => {
  for (const first of ['producer', 'consumer'] as const) {
    test(`works when the ${first} comes first, and leaves no draft behind`, async () => {
      const [producer, consumer] = first === 'producer' ? [producerEnd(), consumerEnd()] : [consumerEnd(), producerEnd()].reverse()
      const seen: string[] = []
      ;(consumer as ConsumerChannel).consume((offset, length) => {
        seen.push(utf8.decode((consumer as ConsumerChannel).bytes.subarray(offset, offset + length)))
      })

      await (producer as ProducerChannel).send(utf8.encode('hello'))
      await (producer as ProducerChannel).whenReleased()

      expect(seen).toEqual(['hello'])
      expect(readdirSync(directory).sort()).toEqual(
        ['consumer.bell', 'consumer.lock', 'producer.bell', 'producer.lock', 'ring', 'ring.lock'].map((suffix) => `readings.${suffix}`),
      )
    })
  }

  test('outlives its ends: what was published waits, what was not released comes again', () => {
    closeEnd(sendAll(producerEnd(), ['a', 'b', 'c']))
    const first = consumerEnd()
    first.consumer.next()
    first.consumer.release(first.consumer.endPosition)
    first.consumer.next()
    closeEnd(first)

    const second = consumerEnd()

    expect(payloads(readAll(second.consumer)).map(([letter]) => String.fromCharCode(letter as number))).toEqual(['b', 'c'])
    expect(second.stat()).toMatchObject({ producer: { pid: 0, term: 1 }, consumer: { pid: process.pid, term: 2 } })
  })

  test('waits for room and goes on when the consumer releases', async () => {
    const producer = producerEnd('small', { capacityBytes: 64 })
    const consumer = consumerEnd('small')
    const seen: number[] = []
    const sending = (async () => {
      for (let number = 0; number < 200; number++) await producer.send(Uint8Array.of(number))
    })()

    consumer.consume((offset) => seen.push(consumer.bytes[offset] as number))
    await sending
    await producer.whenReleased()

    expect(seen).toEqual(Array.from({ length: 200 }, (_, number) => number))
    expect(producer.stat().refusals).toBeGreaterThan(0)
  })

  test('keeps frames by the caller until they are released', async () => {
    const producer = sendAll(producerEnd(), ['a', 'b'])
    const consumer = consumerEnd()
    const ends: number[] = []
    consumer.consume(() => ends.push(consumer.consumer.endPosition), { release: 'by-caller' })
    const released = producer.whenReleased()

    await expect.poll(() => ends.length).toBe(2)
    expect(producer.producer.releasedPosition()).toBe(0)
    consumer.consumer.release(ends[1] as number)

    await released
  })

  test('stops at the frame whose handler throws, and does not release it', async () => {
    const producer = sendAll(producerEnd(), ['a', 'b', 'c'])
    const consumer = consumerEnd()
    const errors: unknown[] = []
    let calls = 0
    consumer.consume(
      () => {
        if (++calls === 2) throw new Error('out of cheese')
      },
      { onError: (error) => errors.push(error) },
    )

    await expect.poll(() => errors).toEqual([new Error('out of cheese')])

    expect(producer.producer.releasedPosition()).toBe(16)
    expect(calls).toBe(2)
  })

  test('may be closed by its handler', async () => {
    sendAll(producerEnd(), ['a', 'b', 'c'])
    const consumer = consumerEnd()
    let calls = 0
    consumer.consume(() => {
      calls++
      closeEnd(consumer)
    })

    await expect.poll(() => calls).toBe(1)

    expect(() => consumer.stat()).toThrow(expect.objectContaining({ code: 'ERR_CHANNEL_CLOSED' }))
    expect(readAll(consumerEnd().consumer)).toHaveLength(3)
  })

  test('rejects those who wait for it when it is closed', async () => {
    const producer = sendAll(producerEnd(), ['a'])
    const waiting = producer.whenReleased()

    closeEnd(producer)

    await expect(waiting).rejects.toMatchObject({ code: 'ERR_CHANNEL_CLOSED' })
  })
})

describe('an end that cannot be opened', () => {
  test('is refused by name while this process holds it, and free once it is closed', () => {
    const producer = producerEnd()

    expect(() => producerEnd()).toThrow(expect.objectContaining({ code: 'ERR_CHANNEL_HELD' }))
    closeEnd(producer)
    expect(producerEnd().producer.position).toBe(0)
  })

  test('says what is wrong with a name, a capacity, a schema or a frame', () => {
    const producer = producerEnd('readings', { capacityBytes: 1024, schemaHash: 1 })

    for (const [action, code] of [
      [() => consumerEnd('../escape'), 'ERR_CHANNEL_OPTION'],
      [() => consumerEnd(''), 'ERR_CHANNEL_OPTION'],
      [() => consumerEnd('other', { capacityBytes: 1000 }), 'ERR_CHANNEL_OPTION'],
      [() => consumerEnd('other', { capacityBytes: 2 ** 31 }), 'ERR_CHANNEL_OPTION'],
      [() => consumerEnd('readings', { capacityBytes: 2048, schemaHash: 1 }), 'ERR_CHANNEL_OPTION'],
      [() => consumerEnd('readings', { schemaHash: 2 }), 'ERR_CHANNEL_SCHEMA'],
      [() => producer.trySend(new Uint8Array(249)), 'ERR_FRAME_TOO_LARGE'],
    ] as const) {
      expect(action).toThrow(expect.objectContaining({ code }))
    }
    expect(consumerEnd('readings', { capacityBytes: 1024, schemaHash: 1 }).consumer.capacityBytes).toBe(1024)
  })
})

describe('two processes', () => {
  test('pass a million numbered frames through a small ring, in order and whole', async () => {
    const count = 1_000_000
    const consumer = consumerEnd('flood', { capacityBytes: 2 ** 16 })
    let expected = 0
    let wrong = 0
    consumer.consume((offset, length, type) => {
      if (readNumbered(consumer.view, offset, length) !== expected || type !== expected % 1000) wrong++
      expected++
    })

    const sender = await start({ task: 'send', name: 'flood', count, batch: 16 })

    expect(await ended(sender)).toBe(0)
    expect({ received: expected, wrong }).toEqual({ received: count, wrong: 0 })
    expect(distance(consumer.consumer.releasedPosition, consumer.consumer.readPosition)).toBe(0)
  })

  test('wake each other by bell: parked round trips take far less than looking again would', async () => {
    await start({ task: 'echo', strategy: 'park' })
    const ping = producerEnd('ping', { strategy: 'park' })
    const pong = consumerEnd('pong', { strategy: 'park' })
    const trips = 300
    let answered = 0
    const all = new Promise<void>((resolve) => {
      pong.consume((_offset, _length, type) => {
        answered += type === answered ? 1 : 0
        if (answered === trips) resolve()
        else ping.trySend(Uint8Array.of(1), answered)
      })
    })
    const begun = performance.now()

    ping.trySend(Uint8Array.of(1), 0)
    await all

    expect(performance.now() - begun).toBeLessThan((trips * 100) / 3)
    expect(ping.stat().producerRings).toBeGreaterThan(trips / 20)
    expect(pong.stat().producerRings).toBeGreaterThan(trips / 20)
  })

  test('hand an end over when its holder is killed, and not before', async () => {
    const sender = await start({ task: 'send', name: 'orphan', capacityBytes: 2 ** 12, count: 1_000_000, batch: 1 })
    const consumer = consumerEnd('orphan')
    const seen: number[] = []
    consumer.consume((offset, length) => seen.push(readNumbered(consumer.view, offset, length)))
    await expect.poll(() => seen.length).toBeGreaterThan(1000)

    expect(() => producerEnd('orphan')).toThrow(expect.objectContaining({ code: 'ERR_CHANNEL_HELD' }))
    await kill(sender)
    const successor = producerEnd('orphan')
    await successor.whenReleased()
    const received = seen.length
    await successor.send(Uint8Array.of(1, 2, 3))
    await successor.whenReleased()

    expect(seen.slice(0, received)).toEqual(Array.from({ length: received }, (_, number) => number))
    expect(seen.slice(received)).toEqual([-1])
    expect(successor.stat().producer).toMatchObject({ pid: process.pid, term: 2 })
  })
})

function sendAll(channel: ProducerChannel, texts: readonly string[]): ProducerChannel {
  for (const text of texts) expect(channel.trySend(utf8.encode(text))).toBe(true)
  return channel
}
