import { describe, expect, test } from 'vitest'
import { type Consumer, channelStat, createChannel, INSUFFICIENT_CAPACITY, NO_FRAME, NO_PEER, Producer } from '#bus/index.js'
import { CopiedFrames } from '#bus/copied-frames.js'
import { fenceChannel } from '#bus/header.js'
import { TAP_STATE_WORD } from '#bus/layout.js'
import { Tap } from '#bus/tap.js'
import { channelOf, consumerOf, CountingPeer, put, SCHEMA } from './ring-of.js'

const CAPACITY = 1024
const LEASE_MS = 100

/** A channel with both ends and a tap, under a clock that is moved by hand. */
function tappedRing(options: { capacity?: number; position?: number; peer?: CountingPeer } = {}) {
  const { capacity = CAPACITY, position = 0, peer } = options
  const clock = { nowMs: 1000 }
  const buffer = channelOf({ capacity, position })
  const producer = new Producer(buffer, {
    schemaHash: SCHEMA,
    term: 1,
    pid: 101,
    startTime: 1,
    peer: NO_PEER,
    machineMs: () => clock.nowMs,
  })
  const consumer = consumerOf(buffer)
  const tapAs = (pid: number) =>
    new Tap(buffer, { pid, startTime: 9, leaseMs: LEASE_MS, machineMs: () => clock.nowMs, ...(peer === undefined ? {} : { peer }) })
  const target = new Uint8Array(capacity)
  return { buffer, producer, consumer, tap: tapAs(501), tapAs, target, clock }
}

function send(producer: Producer, ...texts: readonly string[]): void {
  for (const text of texts) expect(put(producer, new TextEncoder().encode(text))).toBeGreaterThan(0)
  producer.publish()
}

function consumeAll(consumer: Consumer): void {
  while (consumer.next() !== NO_FRAME) consumer.release(consumer.endPosition)
}

/** The payloads of what the last look copied. */
function copied(tap: Tap, target: Uint8Array): string[] {
  const frames = new CopiedFrames(tap).over(target, tap.byteCount, tap.startPosition | 0)
  const texts: string[] = []
  while (frames.next() === 'frame') texts.push(new TextDecoder().decode(target.subarray(frames.offset, frames.offset + frames.length)))
  expect(texts).toHaveLength(tap.frameCount)
  return texts
}

/** Claims of 120 bytes, 128 with their header, until there is no room; how many there were. */
function fill(producer: Producer): number {
  let count = 0
  while (put(producer, new Uint8Array(120)) !== INSUFFICIENT_CAPACITY) count++
  producer.publish()
  return count
}

describe('a tap', () => {
  test('copies what is published, once and in order, and nothing that is not', () => {
    const { producer, tap, target } = tappedRing()
    expect(tap.poll(target)).toBe('nothing')

    send(producer, 'one', 'two')
    put(producer, [1, 2, 3])

    expect(tap.poll(target)).toBe('frames')
    expect(copied(tap, target)).toEqual(['one', 'two'])
    expect(tap.poll(target)).toBe('nothing')
    producer.publish()
    expect(tap.poll(target)).toBe('frames')
    expect(tap).toMatchObject({ frameCount: 1, startPosition: 32, position: 48 })
  })

  test('begins at the released position: with what was read and not released', () => {
    const { producer, consumer, tapAs, target } = tappedRing()
    send(producer, 'gone', 'read', 'unread')
    consumer.next()
    consumer.release(consumer.endPosition)
    consumer.next()

    const tap = tapAs(502)

    expect(tap.poll(target)).toBe('frames')
    expect(copied(tap, target)).toEqual(['read', 'unread'])
  })

  test('neither sees nor touches the cursors of the consumer', () => {
    const { producer, consumer, tap, target } = tappedRing()
    send(producer, 'one', 'two')

    tap.poll(target)

    expect(consumer.hasFrames()).toBe(true)
    consumeAll(consumer)
    expect(consumer.releasedPosition).toBe(producer.publishedPosition)
  })

  test('holds back what the consumer has released, until it has copied it', () => {
    const { producer, consumer, tap, target } = tappedRing()
    expect(fill(producer)).toBe(8)
    consumeAll(consumer)

    expect(producer.hasRoom(120)).toBe(false)
    expect(tap.poll(target)).toBe('frames')

    expect(tap.frameCount).toBe(8)
    expect(fill(producer)).toBe(8)
  })

  test('keeps the producer waiting for one lease at most, and then says what it missed', () => {
    const { producer, consumer, tap, target, clock } = tappedRing()
    send(producer, 'seen')
    tap.poll(target)
    fill(producer)
    consumeAll(consumer)
    clock.nowMs += LEASE_MS - 1
    expect(producer.hasRoom(120)).toBe(false)

    clock.nowMs += 1
    const missed = producer.publishedPosition - tap.position
    expect(fill(producer)).toBe(7)
    consumeAll(consumer)

    expect(tap.poll(target)).toBe('gap')
    expect(tap).toMatchObject({ startPosition: 16, gapBytes: producer.publishedPosition - 16 })
    expect(tap.gapBytes).toBeGreaterThan(missed)
    send(producer, 'after')
    expect(tap.poll(target)).toBe('frames')
    expect(copied(tap, target)).toEqual(['after'])
  })

  test('misses nothing when its lease ran out and nobody needed the room', () => {
    const { producer, consumer, tap, target, clock } = tappedRing()
    send(producer, 'one')
    consumeAll(consumer)

    clock.nowMs += 10 * LEASE_MS
    send(producer, 'two')

    expect(tap.poll(target)).toBe('frames')
    expect(copied(tap, target)).toEqual(['one', 'two'])
  })

  test('misses nothing of what was not released when it was fenced', () => {
    const { producer, consumer, tap, target, clock } = tappedRing()
    send(producer, 'released', 'kept')
    consumer.next()
    consumer.release(consumer.endPosition)
    clock.nowMs += LEASE_MS
    fill(producer)

    expect(tap.poll(target)).toBe('gap')
    expect(tap.gapBytes).toBe(16)
    expect(tap.poll(target)).toBe('frames')
    expect(copied(tap, target)[0]).toBe('kept')
  })

  test('renews its lease while there is nothing to copy', () => {
    const { producer, consumer, tap, target, clock } = tappedRing()
    for (let look = 0; look < 5; look++) {
      clock.nowMs += LEASE_MS - 1
      tap.poll(target)
    }
    fill(producer)
    consumeAll(consumer)

    expect(producer.hasRoom(120)).toBe(false)
    expect(tap.poll(target)).toBe('frames')
  })

  test('throws a copy away that was written over meanwhile', () => {
    const { buffer, producer, consumer, tap, target, clock } = tappedRing()
    fill(producer)
    consumeAll(consumer)
    const set = target.set.bind(target)
    // The copy itself is the only place where a tap can be overtaken within a look.
    target.set = (from: ArrayLike<number>, offset?: number) => {
      set(from, offset)
      clock.nowMs += LEASE_MS
      fill(producer)
    }

    expect(tap.poll(target)).toBe('gap')
    expect(new Int32Array(buffer)[TAP_STATE_WORD]).toBe(1)
    expect(tap.gapBytes).toBe(CAPACITY)
  })

  test('begins where the ends are when these go on while it attaches', () => {
    const { buffer, producer, consumer, target } = tappedRing()
    send(producer, 'early')
    let looks = 0
    // The tap looks at the clock after it has stored a position and before it says that it holds.
    const machineMs = () => {
      if (looks++ > 0) return 1000
      for (let lap = 0; lap < 3; lap++) {
        consumeAll(consumer)
        fill(producer)
      }
      consumeAll(consumer)
      send(producer, 'seen')
      return 1000
    }

    const successor = new Tap(buffer, { pid: 502, startTime: 9, leaseMs: LEASE_MS, machineMs })

    fill(producer)
    expect(successor.poll(target)).toBe('frames')
    expect(copied(successor, target)[0]).toBe('seen')
  })

  test('lets go when it is detached', () => {
    const { buffer, producer, consumer, tap } = tappedRing()
    fill(producer)
    consumeAll(consumer)

    tap.detach()

    expect(channelStat(buffer).tap).toMatchObject({ state: 'none', pid: 0 })
    expect(fill(producer)).toBe(8)
  })

  test('takes over from a dead one, which was still holding', () => {
    const { buffer, producer, consumer, tapAs, target } = tappedRing()
    fill(producer)
    consumeAll(consumer)

    const successor = tapAs(502)

    expect(channelStat(buffer).tap).toMatchObject({ state: 'holding', pid: 502 })
    expect(successor.poll(target)).toBe('nothing')
    expect(fill(producer)).toBe(8)
    expect(successor.poll(target)).toBe('frames')
  })

  test('goes on with the successor of the producer', () => {
    const { buffer, producer, tap, target } = tappedRing()
    send(producer, 'before')
    put(producer, [1])
    const successor = new Producer(buffer, { schemaHash: SCHEMA, term: 2, pid: 102, startTime: 2, peer: NO_PEER })
    send(successor, 'after')

    expect(tap.poll(target)).toBe('frames')
    expect(copied(tap, target)).toEqual(['before', 'after'])
  })

  test('wakes a producer that sleeps for the room it held back, and only then', () => {
    const peer = new CountingPeer()
    const { producer, consumer, tap, target } = tappedRing({ peer })
    send(producer, 'one')
    consumeAll(consumer)
    peer.park()
    tap.poll(target)
    expect(peer.rings).toBe(0)

    fill(producer)
    consumeAll(consumer)
    tap.poll(target)

    expect(peer.rings).toBe(1)
  })

  test('copies as much as there is room for, up to the end of a frame', () => {
    const { producer, tap } = tappedRing()
    fill(producer)
    const narrow = new Uint8Array(300)

    expect(tap.poll(narrow)).toBe('frames')
    expect(tap).toMatchObject({ frameCount: 2, byteCount: 256, waitingBytes: CAPACITY - 256 })
    expect(tap.poll(narrow)).toBe('frames')
    expect(tap.startPosition).toBe(256)
  })

  for (const [name, position] of [
    ['2^31', 2 ** 31 - 512],
    ['2^32', 2 ** 32 - 512],
  ] as const) {
    test(`counts on across ${name}`, () => {
      const { producer, consumer, tap, target } = tappedRing({ position })
      const seen: number[] = []
      for (let round = 0; round < 4; round++) {
        fill(producer)
        consumeAll(consumer)
        expect(tap.poll(target)).toBe('frames')
        seen.push(tap.startPosition)
      }

      expect(seen).toEqual([0, 1, 2, 3].map((round) => position + round * CAPACITY))
    })
  }

  test('says that the channel is gone when an end gave it up', () => {
    const { buffer, producer, tap, target } = tappedRing()
    send(producer, 'lost')

    fenceChannel(new Int32Array(buffer))

    expect(tap.poll(target)).toBe('gone')
    tap.detach()
  })

  test('says that the channel is gone when it was made anew in the same memory', () => {
    const { buffer, producer, tap, target } = tappedRing()
    send(producer, 'lost')

    createChannel(buffer, { capacityBytes: CAPACITY, schemaHash: SCHEMA, name: 'test' })

    expect(tap.poll(target)).toBe('gone')
    tap.detach()
    expect(channelStat(buffer).tap.state).toBe('none')
  })

  test('says that a channel is damaged and leaves it to its ends', () => {
    const { buffer, producer, tap, target } = tappedRing()
    send(producer, 'one')
    new Int32Array(buffer)[4096 / 4] = 5000

    expect(() => tap.poll(target)).toThrow(expect.objectContaining({ code: 'ERR_CHANNEL_CORRUPT' }))
    expect(() => channelStat(buffer)).not.toThrow()
  })
})
