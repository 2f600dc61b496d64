import { describe, expect, test } from 'vitest'
import { frameAt } from '#bus/index.js'
import { put, ringOf } from './ring-of.js'

describe.each([false, true])('a frame that is looked at from outside, with checksums: %s', (hasChecksums) => {
  function ringAtItsEnd() {
    const ring = ringOf({ capacity: 256, position: 2 ** 31 - 64, hasChecksums })
    for (let number = 1; number <= 5; number++) put(ring.producer, [number, number, number], number)
    ring.producer.publish()
    const starts: number[] = []
    for (let offset = ring.consumer.next(); offset >= 0; offset = ring.consumer.next()) starts.push(ring.consumer.startPosition)
    return { ...ring, starts }
  }

  test('is found by where it begins, also over the end of the ring and of 31 bits', () => {
    const { buffer, starts } = ringAtItsEnd()

    const seen = starts.map((start) => frameAt(buffer, start))

    expect(seen.map((one) => [one?.type, ...(one?.bytes ?? [])])).toEqual([1, 2, 3, 4, 5].map((number) => [number, number, number, number]))
  })

  test('is not there once it is released, before it is published, or anywhere else', () => {
    const { buffer, consumer, producer, starts } = ringAtItsEnd()
    consumer.release(starts[2] as number)
    put(producer, [6], 6)

    const places = [starts[0], starts[1], consumer.endPosition, (starts[3] as number) + 4, (starts[3] as number) + 1000]

    expect(places.map((place) => frameAt(buffer, place as number))).toEqual([undefined, undefined, undefined, undefined, undefined])
    expect(frameAt(buffer, starts[2] as number)?.type).toBe(3)
  })
})

test('a damaged frame is not there, and the channel stays as it is', () => {
  const { buffer, producer, consumer } = ringOf({ hasChecksums: true })
  const offset = put(producer, [1, 2, 3], 1)
  producer.publish()
  new Uint8Array(buffer)[offset] = 9

  expect(frameAt(buffer, 0)).toBeUndefined()
  new Uint8Array(buffer)[offset] = 1
  expect(consumer.next()).toBe(offset)
})
