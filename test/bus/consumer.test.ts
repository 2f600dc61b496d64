import { describe, expect, test } from 'vitest'
import { AssertionError } from '#base/assert.js'
import { FrameCursor, NO_FRAME } from '#bus/index.js'
import { CountingPeer, consumerOf, frameAt, payloads, put, readAll, ringOf, type TestRing } from './ring-of.js'

function ringWith(count: number, options: Parameters<typeof ringOf>[0] = {}): TestRing {
  const ring = ringOf(options)
  for (let number = 0; number < count; number++) put(ring.producer, [number])
  ring.producer.publish()
  return ring
}

describe('a consumer with frames before it', () => {
  test('polls up to its limit and goes on from there', () => {
    const { consumer } = ringWith(5)
    const seen: number[][] = []
    const take = (offset: number, length: number, type: number) => {
      seen.push([consumer.bytes[offset] as number, length, type])
    }

    expect(consumer.poll(take, 3)).toBe(3)
    expect(consumer.poll(take, 3)).toBe(2)
    expect(consumer.poll(take, 3)).toBe(0)

    expect(seen).toEqual([0, 1, 2, 3, 4].map((number) => [number, 1, 1]))
  })

  test('reads ahead of what it releases', () => {
    const { consumer } = ringWith(3)

    consumer.next()
    const first = consumer.endPosition
    consumer.next()
    consumer.release(first)

    expect([consumer.readPosition, consumer.releasedPosition]).toEqual([32, 16])
    expect(consumer.hasFrames()).toBe(true)
  })

  test('does not release backwards nor what it has not read', () => {
    const { consumer } = ringWith(3)
    consumer.next()
    consumer.next()
    consumer.release(32)

    expect(() => consumer.release(16)).toThrow(AssertionError)
    expect(() => consumer.release(48)).toThrow(AssertionError)
    consumer.release(32)
    expect(consumer.releasedPosition).toBe(32)
  })
})

describe('a consumer whose producer sleeps', () => {
  test('rings for a release that moves, once per parking', () => {
    const peer = new CountingPeer()
    const { consumer } = ringWith(3, { consumerPeer: peer })
    peer.park()

    readAll(consumer)
    consumer.release(consumer.releasedPosition)
    expect(peer.rings).toBe(0)
    consumer.release(16)
    consumer.release(32)

    expect(peer.rings).toBe(1)
  })
})

describe('a replaced consumer', () => {
  test('sees every unreleased frame again, in order, with the same positions', () => {
    const { buffer, producer, consumer } = ringWith(6)
    const before = readAll(consumer)
    consumer.release(before[1]?.end as number)

    const successor = consumerOf(buffer, 2)
    put(producer, [6])
    producer.publish()

    expect(successor.readPosition).toBe(32)
    const again = readAll(successor)
    expect(again.slice(0, 4)).toEqual(before.slice(2))
    expect(payloads(again)).toEqual([[2], [3], [4], [5], [6]])
  })

  test('starts where the next frame is padded', () => {
    const { buffer, producer, consumer } = ringOf({ capacity: 1024, position: 960 })
    put(producer, new Uint8Array(32)) // 960 to 1000
    put(producer, new Uint8Array(32)) // padded: 1024 to 1064
    producer.publish()
    consumer.next()
    consumer.release(consumer.endPosition)

    const again = readAll(consumerOf(buffer, 2))

    expect(again.map(({ start, end }) => [start, end])).toEqual([[1024, 1064]])
  })
})

describe('a cursor over unreleased frames', () => {
  test('visits read frames again and leaves the consumer where it was', () => {
    const { consumer } = ringWith(5)
    const frames = [0, 1, 2].map(() => frameAt(consumer, consumer.next()))
    const cursor = new FrameCursor(consumer)

    cursor.seek(frames[1]?.start as number)
    const again = [frameAt(cursor, cursor.next(consumer.readPosition)), frameAt(cursor, cursor.next(consumer.readPosition))]

    expect(again).toEqual(frames.slice(1))
    expect(cursor.next(consumer.readPosition)).toBe(NO_FRAME)
    expect(consumer.readPosition).toBe(48)
    expect(payloads(readAll(consumer))).toEqual([[3], [4]])
  })

  test('stops at its limit', () => {
    const { consumer } = ringWith(3)
    const frames = readAll(consumer)
    const cursor = new FrameCursor(consumer)
    const limit = frames[0]?.end as number

    expect(frameAt(cursor, cursor.next(limit))).toEqual(frames[0])
    expect(cursor.next(limit)).toBe(NO_FRAME)
    expect(frameAt(cursor, cursor.next(consumer.readPosition))).toEqual(frames[1])
  })

  test('steps over padding', () => {
    const { producer, consumer } = ringOf({ capacity: 1024, position: 960 })
    for (let number = 0; number < 3; number++) put(producer, new Uint8Array(32).fill(number))
    producer.publish()
    const frames = readAll(consumer)
    const cursor = new FrameCursor(consumer)

    const again = frames.map(() => frameAt(cursor, cursor.next(consumer.readPosition)))

    expect(again).toEqual(frames)
    expect(again.map(({ start }) => start)).toEqual([960, 1024, 1064])
  })

  test('finds nothing when only padding lies before its limit, and goes on behind it', () => {
    const { producer, consumer } = ringOf({ capacity: 1024, position: 960 })
    put(producer, new Uint8Array(32)) // 960 to 1000, then padding to 1024
    put(producer, new Uint8Array(32))
    producer.publish()
    const [first, second] = readAll(consumer)
    const cursor = new FrameCursor(consumer)
    cursor.seek(first?.end as number)

    expect(cursor.next(second?.start as number)).toBe(NO_FRAME)
    expect(frameAt(cursor, cursor.next(consumer.readPosition))).toEqual(second)
  })

  test('goes neither to released frames nor ahead of the consumer', () => {
    const { consumer } = ringWith(4)
    consumer.next()
    consumer.next()
    consumer.release(16)
    const cursor = new FrameCursor(consumer)

    expect(() => cursor.seek(0)).toThrow(AssertionError)
    expect(() => cursor.seek(48)).toThrow(AssertionError)
    expect(() => cursor.next(64)).toThrow(AssertionError)
    consumer.release(32)
    consumer.next()
    expect(() => cursor.next(48)).toThrow(AssertionError)
  })

  test('is independent of other cursors', () => {
    const { consumer } = ringWith(2)
    readAll(consumer)
    const first = new FrameCursor(consumer)
    const second = new FrameCursor(consumer)

    first.next(consumer.readPosition)

    expect(frameAt(second, second.next(consumer.readPosition)).start).toBe(0)
    expect(frameAt(first, first.next(consumer.readPosition)).start).toBe(16)
  })
})
