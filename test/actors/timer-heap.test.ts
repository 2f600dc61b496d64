import { describe, expect, test } from 'vitest'
import { TimerHeap } from '#actors/timer-heap.js'
import { Prng } from '#base/prng.js'
import { usedBytes } from '../garbage.js'

const ENTITY = 7

function takenFrom(heap: TimerHeap): [due: number, number: number][] {
  const taken: [number, number][] = []
  while (heap.count > 0) {
    heap.take()
    taken.push([heap.takenDue, heap.takenNumber])
  }
  return taken
}

describe('a heap of timers', () => {
  test('gives them back in order of due time, those of one time as they came, like a sorted list', () => {
    const random = new Prng('timers')
    const heap = new TimerHeap()
    const added = Array.from({ length: 5000 }, (_, number): [number, number] => [random.below(500), number])
    for (const [due, number] of added) heap.add(due, ENTITY, number)

    expect(heap.count).toBe(5000)
    expect(heap.earliest).toBe(Math.min(...added.map(([due]) => due)))
    expect(takenFrom(heap)).toEqual([...added].sort(([a, one], [b, other]) => a - b || one - other))
    expect(heap.earliest).toBe(Number.POSITIVE_INFINITY)
  })

  test('stays in order while some are taken and others come', () => {
    const random = new Prng('mixed')
    const heap = new TimerHeap()
    let now = 0
    for (let step = 0; step < 20_000; step++) {
      if (random.below(3) > 0 || heap.count === 0) heap.add(now + random.below(1000), ENTITY, step)
      else {
        heap.take()
        expect(heap.takenDue).toBeGreaterThanOrEqual(now)
        now = heap.takenDue
      }
    }
  })

  test('holds a million in a few tens of bytes each', () => {
    const heap = new TimerHeap()
    const before = usedBytes()

    for (let number = 0; number < 1_000_000; number++) heap.add((number * 7919) % 1_000_003, ENTITY, number)

    expect(usedBytes() - before).toBeLessThan(64 * 1_000_000)
    let last = Number.NEGATIVE_INFINITY
    for (let count = 0; count < 1000; count++) {
      heap.take()
      expect(heap.takenDue).toBeGreaterThanOrEqual(last)
      last = heap.takenDue
    }
  })
})
