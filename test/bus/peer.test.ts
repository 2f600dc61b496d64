import { describe, expect, test } from 'vitest'
import { AWAKE, PARKED, SPINNING } from '#bus/peer.js'
import { CountingPeer, put, readAll, ringOf } from './ring-of.js'

describe('a peer at the other end', () => {
  test.each([
    ['awake', AWAKE, 0],
    ['spinning', SPINNING, 0],
    ['parked', PARKED, 1],
  ])('is rung for frames and for room only when it is parked: %s', (_, state, rings) => {
    const [producerPeer, consumerPeer] = [new CountingPeer(), new CountingPeer()]
    const { producer, consumer } = ringOf({ producerPeer, consumerPeer })
    producerPeer.words[0] = state
    consumerPeer.words[0] = state

    put(producer, [1])
    producer.publish()
    const [frame] = readAll(consumer)
    consumer.release(consumer.endPosition)

    expect(frame?.payload).toEqual([1])
    expect(producer.releasedPosition()).toBe(producer.position)
    expect([producerPeer.rings, consumerPeer.rings]).toEqual([rings, rings])
  })

  test('is rung once, and is awake from then on', () => {
    const producerPeer = new CountingPeer()
    const { producer } = ringOf({ producerPeer })
    producerPeer.words[0] = PARKED

    for (let number = 0; number < 3; number++) {
      put(producer, [number])
      producer.publish()
    }

    expect(producerPeer.rings).toBe(1)
    expect(producerPeer.words[0]).toBe(AWAKE)
  })
})
