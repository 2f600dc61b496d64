import { describe, expect, test } from 'vitest'
import { Prng } from '#base/prng.js'
import { channelBytes, channelStat, createChannel, FrameCursor, NO_FRAME, NO_PEER, Producer } from '#bus/index.js'
import { HEADER_BYTES, PUBLISHED_WORD, RELEASED_WORD } from '#bus/layout.js'
import { codeOf, channelOf, consumerOf, producerOf, put, ringOf, SCHEMA } from './ring-of.js'

describe('a channel that an end attaches to', () => {
  test('is refused when the schemas differ, and names the channel', () => {
    const buffer = channelOf({ name: 'door.worker-1' })
    const attach = () => new Producer(buffer, { schemaHash: SCHEMA + 1, term: 1, pid: 1, startTime: 1, peer: NO_PEER })

    expect(codeOf(attach)).toBe('ERR_CHANNEL_SCHEMA')
    expect(attach).toThrow(/channel=door\.worker-1 schemaHash=7 own=8/)
    expect(channelStat(buffer).producer.pid).toBe(0)
  })

  test('is refused when the memory is no channel, too small, or of another format', () => {
    const other = channelOf()
    new Int32Array(other)[1] = 99

    expect(codeOf(() => producerOf(new ArrayBuffer(8192)))).toBe('ERR_CHANNEL_FORMAT')
    expect(codeOf(() => consumerOf(new ArrayBuffer(64)))).toBe('ERR_CHANNEL_FORMAT')
    expect(codeOf(() => consumerOf(other))).toBe('ERR_CHANNEL_FORMAT')
  })

  test('is refused when it is longer than its memory', () => {
    const short = channelOf({ capacity: 1024 }).slice(0, HEADER_BYTES + 512)

    expect(codeOf(() => consumerOf(short))).toBe('ERR_CHANNEL_CORRUPT')
  })

  test('is refused to an older term', () => {
    const buffer = channelOf()
    consumerOf(buffer, 3)

    expect(codeOf(() => consumerOf(buffer, 2))).toBe('ERR_CHANNEL_FENCED')
    expect(channelStat(buffer).consumer).toMatchObject({ term: 3, attachCount: 1 })
  })

  test('works over shared memory of the language as well', () => {
    const buffer = new SharedArrayBuffer(channelBytes(64))
    createChannel(buffer, { capacityBytes: 64, schemaHash: SCHEMA, name: 'shared' })
    const producer = producerOf(buffer)

    put(producer, [1, 2])
    producer.publish()

    const consumer = consumerOf(buffer)
    expect(consumer.bytes[consumer.next()]).toBe(1)
  })
})

const NEVER_WAITED = { isParked: false, parks: 0, wokenByRing: 0, wokenByTime: 0, parkedMs: 0 }

describe('a channel seen from outside', () => {
  test('tells its positions, counters and holders', () => {
    const { buffer, producer, consumer } = ringOf({ capacity: 64 })
    for (let number = 0; number < 6; number++) put(producer, [number]) // the last two are refused
    producer.publish()
    consumer.next()
    consumer.next()
    consumer.release(16)
    producerOf(buffer, 4)

    expect(channelStat(buffer)).toEqual({
      name: 'test',
      capacityBytes: 64,
      schemaHash: SCHEMA,
      publishedPosition: 64,
      readPosition: 32,
      releasedPosition: 16,
      depthBytes: 32,
      unreleasedBytes: 48,
      framesPublished: 4,
      bytesPublished: 64,
      refusals: 2,
      producerRings: 0,
      consumerRings: 0,
      hasChecksums: false,
      producer: { pid: 104, startTime: 1004, term: 4, attachCount: 2, waiting: NEVER_WAITED },
      consumer: { pid: 201, startTime: 2001, term: 1, attachCount: 1, waiting: NEVER_WAITED },
      tap: { state: 'none', pid: 0, position: 0, leaseEndMs: 0 },
    })
  })
})

describe('a channel that something wrote into', () => {
  test('names channel and position of an impossible frame, and does not move past it', () => {
    for (const length of [-1, 1017, 249, 200, 2 ** 31 - 1, -(2 ** 31)]) {
      const { buffer, producer, consumer } = ringOf()
      put(producer, [1])
      put(producer, [2])
      producer.publish()
      new Int32Array(buffer, HEADER_BYTES)[4] = length

      expect(consumer.next()).toBe(HEADER_BYTES + 8)
      expect(() => consumer.next()).toThrow(/channel=test position=16 length=/)
      expect(codeOf(() => consumer.next())).toBe('ERR_CHANNEL_CORRUPT')
    }
  })

  test('is given up for both ends and for their successors, with what found the damage', () => {
    const { buffer, producer, consumer } = ringOf()
    put(producer, [1])
    producer.publish()
    new Int32Array(buffer, HEADER_BYTES)[0] = -1

    expect(codeOf(() => consumer.next())).toBe('ERR_CHANNEL_CORRUPT')

    put(producer, [2])
    expect(() => producer.publish()).toThrow(/an end gave it up/)
    expect(() => producer.releasedPosition()).toThrow(/an end gave it up/)
    expect(() => consumer.next()).toThrow(/frame in it is impossible/)
    expect(() => producerOf(buffer, 2)).toThrow(/an end gave it up/)
    expect(() => consumerOf(buffer, 2)).toThrow(/an end gave it up/)
  })

  test('refuses padding that is not at the end, or that never ends', () => {
    for (const length of [8, 1016, 0, -8]) {
      const { buffer, producer } = ringOf()
      put(producer, [1])
      producer.publish()
      const ring = new Int32Array(buffer, HEADER_BYTES)
      ring.set([length, -1])
      expect(codeOf(() => consumerOf(buffer, 2).next())).toBe('ERR_CHANNEL_CORRUPT')
    }
  })

  test('refuses a published position that no producer could have reached', () => {
    for (const position of [-8, 1032, 2 ** 31 - 8, 4]) {
      const { buffer, consumer } = ringOf({ capacity: 1024 })
      new Int32Array(buffer)[PUBLISHED_WORD] = position

      expect(codeOf(() => consumer.next())).toBe('ERR_CHANNEL_CORRUPT')
      expect(codeOf(() => consumerOf(buffer, 2))).toBe('ERR_CHANNEL_CORRUPT')
      expect(codeOf(() => producerOf(buffer, 2))).toBe('ERR_CHANNEL_CORRUPT')
    }
  })

  test('refuses a released position that no consumer could have stored', () => {
    for (const released of [24, -8, 2 ** 31 - 8]) {
      const { buffer, producer } = ringOf({ capacity: 64 })
      put(producer, [1])
      producer.publish()
      new Int32Array(buffer)[RELEASED_WORD] = released

      expect(codeOf(() => producer.releasedPosition())).toBe('ERR_CHANNEL_CORRUPT')
    }
  })

  test('gives a typed error or frames, never a crash or an endless loop, whatever bytes are scribbled over it', () => {
    const prng = new Prng('scribble')
    const codes = new Map<string, number>()

    for (let round = 0; round < 3000; round++) {
      const { buffer, producer, consumer } = ringOf({ capacity: 256, position: prng.below(64) * 8 })
      const bytes = new Uint8Array(buffer)
      for (let number = 0; number < prng.below(8); number++) put(producer, new Uint8Array(prng.below(40)))
      producer.publish()
      const scribbles = 1 + prng.below(64)
      const isHeader = prng.below(2) === 0
      for (let scribble = 0; scribble < scribbles; scribble++) {
        bytes[isHeader ? prng.below(1200) : HEADER_BYTES + prng.below(256)] = prng.below(256)
      }

      const code = codeOf(() => {
        for (let number = 0; number < 100; number++) {
          const offset = consumer.next()
          if (offset === NO_FRAME) break
          expect(offset).toBeGreaterThanOrEqual(HEADER_BYTES + 8)
          expect(offset + consumer.length).toBeLessThanOrEqual(bytes.length)
          expect(number).toBeLessThan(32)
        }
        const cursor = new FrameCursor(consumer)
        while (cursor.next(consumer.readPosition) !== NO_FRAME) expect(cursor.length).toBeGreaterThanOrEqual(0)
        put(producer, new Uint8Array(prng.below(56)))
        producer.publish()
        producerOf(buffer, 2)
        consumerOf(buffer, 2).next()
        channelStat(buffer)
      })
      codes.set(code, (codes.get(code) ?? 0) + 1)
    }

    expect([...codes.keys()].sort()).toEqual(['ERR_CHANNEL_CORRUPT', 'ERR_CHANNEL_FENCED', 'ERR_CHANNEL_FORMAT', 'nothing thrown'])
  })
})
