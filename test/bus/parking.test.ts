import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { WAIT_COUNTERS } from '#bus/index.js'
import { drive } from './driven-duty.js'

/** Counts what it is asked for. */
class CountingClock extends FakeClock {
  timers = 0
  override after(delayMs: number, callback: () => void): () => void {
    this.timers++
    return super.after(delayMs, callback)
  }
}

describe('a duty cycle that parks often', () => {
  test('makes one timer for all parks that rings end, and still looks again in time after the last', () => {
    const clock = new CountingClock()
    const { duty, turns, bell, running } = drive({ clock, lookAgainMs: 100 })
    for (let park = 0; park < 9; park++) {
      turns.runAll()
      clock.advance(10)
      duty.left = 1
      bell.ring()
    }
    turns.runAll() // parked since 90 ms
    expect(clock.timers).toBe(1)
    duty.left = 1

    clock.advance(99)
    expect(duty.done).toBe(9)
    clock.advance(1)

    expect(duty.done).toBe(10)
    expect(running.stats).toMatchObject({ wokenByRing: 9, wokenByTime: 1 })
    expect(clock.timers).toBe(3)
  })

  test('never looks again by itself when it is not to', () => {
    const clock = new CountingClock()
    const { duty, turns, running } = drive({ clock, lookAgainMs: Number.POSITIVE_INFINITY })
    turns.runAll()
    duty.left = 1

    clock.advance(2 ** 31)

    expect(duty.done).toBe(0)
    expect(running.isParked).toBe(true)
    expect(clock.timers).toBe(0)
  })

  test('makes a timer more for a deadline that comes before it, and none for a later one', () => {
    const clock = new CountingClock()
    const { duty, turns, bell, running } = drive({ clock, lookAgainMs: 100 })
    turns.runAll()
    duty.nextDeadline = clock.monotonicMs() + 30
    bell.ring()
    turns.runAll()
    duty.nextDeadline = clock.monotonicMs() + 60
    bell.ring()
    turns.runAll()
    expect(clock.timers).toBe(2)

    clock.advance(59)
    expect(running.stats.wokenByTime).toBe(0)
    duty.nextDeadline = undefined
    duty.left = 1
    clock.advance(1)

    expect(duty.done).toBe(1)
  })

  test('counts its parks, its wake-ups and the time between where others can see them, and goes on from what stands there', () => {
    const counters = { values: Float64Array.of(-1, 5, 6, 7, 8, -1), index: 1 }
    const { duty, turns, clock, bell } = drive({ counters, lookAgainMs: 100 })
    turns.runAll()
    clock.advance(40)
    duty.left = 1
    bell.ring()
    turns.runAll()
    clock.advance(100)

    expect(Array.from(counters.values)).toEqual([-1, 5 + 3, 6 + 1, 7 + 1, 8 + 140, -1])
    expect(WAIT_COUNTERS).toEqual(['parks', 'wokenByRing', 'wokenByTime', 'parkedMs'])
  })
})

describe('a parked duty cycle', () => {
  test('works when its bell rings, and clears its word', () => {
    const { duty, turns, bell, running } = drive()
    turns.runAll()
    duty.left = 2

    bell.words[0] = 0
    bell.ring()
    turns.runAll()

    expect(duty.done).toBe(2)
    expect(running.stats.wokenByRing).toBe(1)
    expect(bell.words[0]).toBe(1)
  })

  test('takes many rings before its turn for one', () => {
    const { turns, bell } = drive()
    turns.runAll()

    bell.ring()
    bell.ring()

    expect(turns.waiting).toBe(1)
  })

  test('works when told that something other than a peer made work', () => {
    const { duty, turns, bell, running } = drive()
    turns.runAll()
    duty.left = 2

    running.wake()
    running.wake()

    expect(bell.words[0]).toBe(0)
    expect(turns.waiting).toBe(1)
    turns.runAll()
    expect(duty.done).toBe(2)
    expect(running.stats.wokenByWake).toBe(1)
  })

  test('stops for good, rung or not', () => {
    const { duty, turns, clock, bell, running } = drive()
    turns.runAll()
    duty.left = 2

    running.stop()
    bell.ring()
    running.wake()
    clock.advance(1000)
    turns.runAll()

    expect(duty.done).toBe(0)
    expect(bell.words[0]).toBe(0)
  })
})

describe('a duty cycle about to park', () => {
  test('looks once more after it has set its word, and does not park when there is something', () => {
    const { duty, turns, bell, running } = drive({ strategy: 'park' })
    let wordAtLook: number | undefined
    const look = duty.hasWork.bind(duty)
    duty.hasWork = () => {
      wordAtLook ??= bell.words[0]
      if (duty.looks === 0) duty.left = 1 // a frame published between the last doWork and the parked word
      return look()
    }

    turns.runOne()

    expect(wordAtLook).toBe(1)
    expect(running.isParked).toBe(false)
    expect(running.stats).toMatchObject({ parksAverted: 1, parks: 0 })
    turns.runAll()
    expect(duty.done).toBe(1)
    expect(running.isParked).toBe(true)
  })

  test('works again when it was woken from inside its work', () => {
    const { duty, turns, running } = drive({ strategy: 'park' })
    let calls = 0
    duty.onWork = () => {
      if (++calls === 1) running.wake()
    }

    turns.runOne()

    expect(calls).toBe(2)
    expect(running.isParked).toBe(true)
  })
})
