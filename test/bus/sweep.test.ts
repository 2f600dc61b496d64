import { describe, expect, test } from 'vitest'
import { type Consumer, Sweep } from '#bus/index.js'
import { HEADER_BYTES } from '#bus/layout.js'
import { codeOf, put, ringOf, type TestRing } from './ring-of.js'

function ringsOf(count: number): TestRing[] {
  return Array.from({ length: count }, () => ringOf())
}

function fill(ring: TestRing, frames: number): void {
  for (let number = 0; number < frames; number++) put(ring.producer, [number])
  ring.producer.publish()
}

describe('a sweep over channels', () => {
  test('hands over every frame, with the channel it came from, each channel in order', () => {
    const rings = ringsOf(3)
    fill(rings[0] as TestRing, 2)
    fill(rings[2] as TestRing, 3)
    const sweep = new Sweep(rings.map((ring) => ring.consumer))
    const seen: [number, number | undefined][] = []

    const count = sweep.poll((consumer, offset) =>
      seen.push([rings.findIndex((ring) => ring.consumer === consumer), consumer.bytes[offset]]),
    )

    expect(count).toBe(5)
    expect(seen).toEqual([
      [0, 0],
      [0, 1],
      [2, 0],
      [2, 1],
      [2, 2],
    ])
    expect(sweep.poll(() => {})).toBe(0)
  })

  test('takes no more than its limit from a flooded channel before the others have had their turn', () => {
    const rings = ringsOf(2)
    fill(rings[0] as TestRing, 10)
    fill(rings[1] as TestRing, 1)
    const sweep = new Sweep(
      rings.map((ring) => ring.consumer),
      4,
    )
    const seen: Consumer[] = []

    sweep.poll((consumer) => seen.push(consumer))

    expect(seen.map((consumer) => rings.findIndex((ring) => ring.consumer === consumer))).toEqual([0, 0, 0, 0, 1])
  })

  test('goes on behind a damaged channel in the next round', () => {
    const rings = ringsOf(3)
    for (const ring of rings) fill(ring, 1)
    const [, damaged] = rings as [TestRing, TestRing, TestRing]
    new Int32Array(damaged.buffer, HEADER_BYTES)[0] = -1
    const sweep = new Sweep(rings.map((ring) => ring.consumer))
    const seen: number[] = []
    const note = (consumer: Consumer) => seen.push(rings.findIndex((ring) => ring.consumer === consumer))

    expect(codeOf(() => sweep.poll(note))).toBe('ERR_CHANNEL_CORRUPT')
    expect(codeOf(() => sweep.poll(note))).toBe('ERR_CHANNEL_CORRUPT')

    expect(seen).toEqual([0, 2])
  })

  test('says whether there is anything, without taking it', () => {
    const rings = ringsOf(2)
    const sweep = new Sweep(rings.map((ring) => ring.consumer))

    const before = sweep.hasFrames()
    fill(rings[1] as TestRing, 1)

    expect([before, sweep.hasFrames(), sweep.hasFrames()]).toEqual([false, true, true])
  })
})
