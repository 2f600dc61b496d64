import { describe, expect, test } from 'vitest'
import { AssertionError } from '#base/assert.js'
import { FRAME_TOO_LARGE, INSUFFICIENT_CAPACITY } from '#bus/index.js'
import { HEADER_BYTES } from '#bus/layout.js'
import { CountingPeer, consumerOf, payloads, producerOf, put, readAll, ringOf } from './ring-of.js'

describe('a producer with room', () => {
  test('claims bytes behind the frame header and shows nothing before it publishes', () => {
    const { producer, consumer } = ringOf()

    const offset = producer.tryClaim(5, 3)
    producer.bytes.set([1, 2, 3, 4, 5], offset)
    producer.commit()

    expect(offset).toBe(HEADER_BYTES + 8)
    expect(consumer.hasFrames()).toBe(false)
    expect(readAll(consumer)).toEqual([])

    producer.publish()

    expect(consumer.hasFrames()).toBe(true)
    expect(readAll(consumer)).toEqual([{ type: 3, payload: [1, 2, 3, 4, 5], start: 0, end: 16 }])
  })

  test('makes many frames visible with one publish, in order', () => {
    const { producer, consumer } = ringOf()
    for (let number = 0; number < 10; number++) put(producer, [number], number)

    producer.publish()

    expect(readAll(consumer).map((frame) => frame.type)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  test('commits fewer bytes than it claimed', () => {
    const { producer, consumer } = ringOf()
    const offset = producer.tryClaim(100, 1)
    producer.bytes.set([9, 8, 7], offset)

    producer.commit(3)
    put(producer, [6])
    producer.publish()

    expect(readAll(consumer)).toEqual([
      { type: 1, payload: [9, 8, 7], start: 0, end: 16 },
      { type: 1, payload: [6], start: 16, end: 32 },
    ])
  })

  test('takes an aborted claim back as if it had never been', () => {
    const { producer, consumer } = ringOf({ position: 1000 })
    producer.tryClaim(32, 1)

    producer.abort()
    producer.publish()

    expect(producer.position).toBe(1000)
    expect(producer.publishedPosition).toBe(1000)
    put(producer, [1])
    producer.publish()
    expect(readAll(consumer)).toEqual([{ type: 1, payload: [1], start: 1000, end: 1016 }])
  })

  test('carries frames without payload', () => {
    const { producer, consumer } = ringOf()

    put(producer, [], 4)
    producer.publish()

    expect(readAll(consumer)).toEqual([{ type: 4, payload: [], start: 0, end: 8 }])
  })
})

describe('a ring near its end', () => {
  test('pads the rest and starts the frame over at index 0', () => {
    const { producer, consumer } = ringOf({ capacity: 1024, position: 1000 }) // 24 bytes left; the frame below needs 40

    const offset = producer.tryClaim(32, 1)
    producer.commit()
    producer.publish()

    expect(offset).toBe(HEADER_BYTES + 8)
    expect([producer.view.getInt32(HEADER_BYTES + 1000, true), producer.view.getInt32(HEADER_BYTES + 1004, true)]).toEqual([16, -1])
    expect(readAll(consumer).map(({ start, end }) => [start, end])).toEqual([[1024, 1064]])
  })

  test('takes a frame that fits exactly and needs no padding', () => {
    const { producer, consumer } = ringOf({ capacity: 1024, position: 984 })

    put(producer, new Uint8Array(32))
    put(producer, [1])
    producer.publish()

    expect(readAll(consumer).map(({ start, end }) => [start, end])).toEqual([
      [984, 1024],
      [1024, 1040],
    ])
  })

  test('needs room for the padding and the frame, and writes neither before it has both', () => {
    const { producer, consumer } = ringOf({ capacity: 64, position: 48 }) // 16 bytes left
    put(producer, [1]) // 48 to 64
    put(producer, [2]) // 64 to 80
    put(producer, [3]) // 80 to 96
    put(producer, [4]) // 96 to 112: the ring is full
    producer.publish()

    expect(put(producer, [5])).toBe(INSUFFICIENT_CAPACITY)
    expect(payloads(readAll(consumer))).toEqual([[1], [2], [3], [4]])
  })

  test('keeps going round for many laps', () => {
    const { producer, consumer } = ringOf({ capacity: 128 })

    for (let number = 0; number < 1000; number++) {
      const payload = Array.from({ length: number % 25 }, () => number & 255)
      expect(put(producer, payload, number)).toBeGreaterThan(0)
      producer.publish()
      const [frame] = readAll(consumer)
      expect([frame?.type, frame?.payload]).toEqual([number, payload])
      consumer.release(consumer.readPosition)
    }
  })
})

describe('a producer without room', () => {
  test('answers INSUFFICIENT_CAPACITY until the consumer releases; reading alone gives nothing back', () => {
    const { producer, consumer } = ringOf({ capacity: 64 })
    for (let number = 0; number < 4; number++) put(producer, [number])
    producer.publish()

    expect(producer.tryClaim(1, 1)).toBe(INSUFFICIENT_CAPACITY)
    consumer.next()
    const firstEnd = consumer.endPosition
    expect(readAll(consumer)).toHaveLength(3)
    expect(producer.tryClaim(1, 1)).toBe(INSUFFICIENT_CAPACITY)
    consumer.release(firstEnd)

    expect(producer.releasedPosition()).toBe(16)
    expect(put(producer, [4])).toBe(HEADER_BYTES + 8)
    expect(producer.tryClaim(1, 1)).toBe(INSUFFICIENT_CAPACITY)
  })

  test('refuses a frame above a quarter of the capacity by its own answer, empty or full', () => {
    const { producer } = ringOf({ capacity: 1024 })

    expect(producer.frameBytesMax).toBe(248)
    expect(producer.tryClaim(249, 1)).toBe(FRAME_TOO_LARGE)
    expect(producer.tryClaim(2 ** 31, 1)).toBe(FRAME_TOO_LARGE)
    expect(producer.tryClaim(248, 1)).toBe(HEADER_BYTES + 8)
  })
})

describe('a producer that is misused', () => {
  test('fails on a second claim, a commit or abort without one, a commit longer than its claim, and wrong numbers', () => {
    const { producer } = ringOf()
    expect(() => producer.commit()).toThrow(AssertionError)
    expect(() => producer.abort()).toThrow(AssertionError)
    expect(() => producer.tryClaim(-1, 1)).toThrow(AssertionError)
    expect(() => producer.tryClaim(1.5, 1)).toThrow(AssertionError)
    expect(() => producer.tryClaim(Number.NaN, 1)).toThrow(AssertionError)
    expect(() => producer.tryClaim(8, -1)).toThrow(AssertionError)

    producer.tryClaim(8, 1)

    expect(() => producer.tryClaim(8, 1)).toThrow(AssertionError)
    expect(() => producer.commit(9)).toThrow(AssertionError)
    expect(() => producer.commit(-1)).toThrow(AssertionError)
  })
})

describe('a replaced producer', () => {
  test('starts at the published position; what was committed only never happened', () => {
    const { buffer, producer, consumer } = ringOf()
    put(producer, [1])
    producer.publish()
    put(producer, [2])
    producer.tryClaim(50, 1)

    const successor = producerOf(buffer, 2)
    expect(successor.position).toBe(16)
    put(successor, [3])
    successor.publish()

    expect(payloads(readAll(consumer))).toEqual([[1], [3]])
  })

  test('knows what was released before it came', () => {
    const { buffer, producer, consumer } = ringOf({ capacity: 64 })
    for (let number = 0; number < 4; number++) put(producer, [number])
    producer.publish()
    readAll(consumer)
    consumer.release(32)

    const successor = producerOf(buffer, 2)

    expect(put(successor, [4])).toBeGreaterThan(0)
    expect(put(successor, [5])).toBeGreaterThan(0)
    expect(put(successor, [6])).toBe(INSUFFICIENT_CAPACITY)
  })
})

describe('a producer whose peer sleeps', () => {
  test('rings once per parking, for the publish and not for the commit', () => {
    const peer = new CountingPeer()
    const { producer } = ringOf({ producerPeer: peer })
    peer.park()

    put(producer, [1])
    expect(peer.rings).toBe(0)
    producer.publish()
    put(producer, [2])
    producer.publish()

    expect(peer.rings).toBe(1)
    expect(peer.words[0]).toBe(0)
    peer.park()
    producer.publish()
    expect(peer.rings).toBe(1)
    put(producer, [3])
    producer.publish()
    expect(peer.rings).toBe(2)
  })
})

describe('positions that leave the range of an int32', () => {
  for (const [what, position] of [
    ['2^31', 2 ** 31 - 64],
    ['2^32', -64],
  ] as const) {
    test(`pass ${what} without a frame lost, also when the producer is replaced there`, () => {
      const { buffer, producer, consumer } = ringOf({ capacity: 64, position: position | 0 })
      let current = producer
      const seen: number[] = []

      for (let number = 0; number < 40; number++) {
        expect(put(current, [number])).toBeGreaterThan(0)
        current.publish()
        if (number % 3 === 0) current = producerOf(buffer, 2 + number)
        seen.push(...readAll(consumer).map((frame) => frame.payload[0] as number))
        if (number % 2 === 1) consumer.release(consumer.readPosition)
      }

      expect(seen).toEqual(Array.from({ length: 40 }, (_, number) => number))
      expect(current.position).toBe((position + 40 * 16) | 0)
      expect(consumerOf(buffer, 2).readPosition).toBe((position + 40 * 16) | 0)
    })
  }
})

describe('a producer of a channel with checksums', () => {
  test('commits the length and the type that it claimed, whatever was written over them since', () => {
    const { buffer, producer, consumer } = ringOf({ hasChecksums: true })
    const header = new Int32Array(buffer, HEADER_BYTES, 2)
    const offset = producer.tryClaim(3, 5)
    producer.bytes.set([1, 2, 3], offset)
    header[0] = 16
    header[1] = 77

    producer.commit()
    producer.publish()

    expect(readAll(consumer)).toEqual([{ type: 5, payload: [1, 2, 3], start: 0, end: 16 }])
  })

  test('has every single damaged word of a frame noticed', () => {
    for (let word = 0; word < 12; word++) {
      const { buffer, producer, consumer } = ringOf({ hasChecksums: true })
      put(producer, new Uint8Array(36).fill(0xa5))
      producer.publish()
      const words = new Int32Array(buffer, HEADER_BYTES)
      words[word] = (words[word] as number) ^ (1 << (31 - word))

      expect(() => readAll(consumer)).toThrow(/ERR_CHANNEL_CORRUPT|the channel is damaged/)
    }
  })
})
