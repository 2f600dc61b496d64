import { describe, expect, test } from 'vitest'
import { FakeClock, systemClock } from '#base/clock.js'
import {
  type DutyCycle,
  type DutyCycleOptions,
  InProcessBell,
  type RunningDutyCycle,
  runDutyCycle,
  spinMicrosFor,
  WAIT_COUNTERS,
} from '#bus/index.js'
import { AWAKE, SPINNING } from '#bus/peer.js'
import { put, readAll, ringOf } from './ring-of.js'

/** Turns of an event loop that a test drives by hand. */
class Turns {
  #callbacks: (() => void)[] = []
  readonly schedule = (callback: () => void) => {
    this.#callbacks.push(callback)
  }
  get waiting(): number {
    return this.#callbacks.length
  }
  runOne(): void {
    const callbacks = this.#callbacks
    this.#callbacks = []
    for (const callback of callbacks) callback()
  }
  runAll(turnsMax = 100): void {
    for (let turn = 0; turn < turnsMax && this.#callbacks.length > 0; turn++) this.runOne()
  }
}

/** Work that is a number to count down. */
class Countdown implements DutyCycle {
  left = 0
  done = 0
  looks = 0
  nextDeadline: number | undefined
  onWork: (() => void) | undefined
  doWork(): number {
    this.onWork?.()
    if (this.left === 0) return 0
    this.left--
    this.done++
    return 1
  }
  hasWork(): boolean {
    this.looks++
    return this.left > 0
  }
  nextDeadlineMs(): number | undefined {
    return this.nextDeadline
  }
}

interface Driven {
  readonly duty: Countdown
  readonly turns: Turns
  readonly clock: FakeClock
  readonly bell: InProcessBell
  readonly errors: unknown[]
  readonly running: RunningDutyCycle
}

function drive(options: Partial<DutyCycleOptions> = {}): Driven {
  const duty = new Countdown()
  const turns = new Turns()
  const clock = new FakeClock()
  const bell = new InProcessBell(turns.schedule)
  const errors: unknown[] = []
  const running = runDutyCycle(duty, {
    strategy: 'adaptive',
    spinMicros: 20,
    parked: bell,
    bell,
    clock,
    schedule: turns.schedule,
    onError: (error) => errors.push(error),
    ...options,
  })
  return { duty, turns, clock, bell, errors, running }
}

describe('a duty cycle without work', () => {
  test('parks under adaptive and park, and says so in its word', () => {
    for (const strategy of ['adaptive', 'park'] as const) {
      const { turns, bell, running } = drive({ strategy })

      turns.runAll()

      expect(running.isParked).toBe(true)
      expect(bell.words[0]).toBe(1)
      expect(turns.waiting).toBe(0)
    }
  })

  test('never parks under spin, says so in its word, and gives the event loop its turns', () => {
    const { turns, bell, running } = drive({ strategy: 'spin' })

    turns.runAll(5)

    expect(running.isParked).toBe(false)
    expect(bell.words[0]).toBe(SPINNING)
    expect(turns.waiting).toBe(1)
    expect(running.stats.turns).toBe(5)
  })

  test('takes back what a spinning predecessor said', () => {
    const bell = new InProcessBell(() => {})
    bell.words[0] = SPINNING

    drive({ strategy: 'adaptive', parked: bell })

    expect(bell.words[0]).toBe(AWAKE)
  })

  test('looks again by itself after a while, so that a lost ring costs no more than that', () => {
    const { duty, turns, clock, running } = drive({ lookAgainMs: 100 })
    turns.runAll()
    duty.left = 3

    clock.advance(99)
    expect(duty.done).toBe(0)
    clock.advance(1)
    turns.runAll()

    expect(duty.done).toBe(3)
    expect(running.isParked).toBe(true)
    expect(running.stats).toMatchObject({ wokenByTime: 1, wokenByRing: 0, parks: 2, parkedMs: 100 })
  })

  test('comes back for its deadline when that is sooner', () => {
    const { duty, turns, clock, running } = drive()
    duty.nextDeadline = clock.monotonicMs() + 30
    turns.runAll()
    const turnsBefore = running.stats.turns

    clock.advance(29)
    expect(running.stats.turns).toBe(turnsBefore)
    duty.nextDeadline = undefined
    clock.advance(1)

    expect(running.stats.turns).toBe(turnsBefore + 1)
  })
})

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

describe('a duty cycle with more work than a turn takes', () => {
  test('gives the event loop its turn and goes on after it, also under a clock that stands still', () => {
    const { duty, turns, running } = drive()
    duty.left = 5000

    turns.runOne()

    expect(duty.left).toBeGreaterThan(0)
    expect(running.isParked).toBe(false)
    turns.runAll()
    expect(duty.left).toBe(0)
    expect(running.isParked).toBe(true)
  })

  test('ends its turn when the time of a turn is over', () => {
    const { duty, turns, clock } = drive({ turnMillisMax: 2 })
    duty.left = 5000
    duty.onWork = () => clock.advance(0.1)

    turns.runOne()

    expect(duty.done).toBe(32) // 20 rounds are 2 ms; the clock is looked at every 16
  })

  test('lets timers of the real event loop run', async () => {
    const bell = new InProcessBell()
    const errors: unknown[] = []
    const duty = { doWork: () => 1, hasWork: () => true }
    const running = runDutyCycle(duty, { strategy: 'spin', parked: bell, bell, clock: systemClock, onError: (error) => errors.push(error) })

    for (let timer = 0; timer < 5; timer++) await new Promise<void>((resolve) => setTimeout(resolve, 1))
    running.stop()

    expect(running.stats.turns).toBeGreaterThanOrEqual(5)
    expect(errors).toEqual([])
  })
})

describe('a duty cycle that throws', () => {
  test('stops, clears its word and hands the error on', () => {
    const { duty, turns, bell, errors, running } = drive()
    turns.runAll()
    duty.onWork = () => {
      throw new Error('out of cheese')
    }

    bell.ring()
    turns.runAll()
    duty.onWork = undefined
    duty.left = 1
    bell.ring()
    running.wake()
    turns.runAll()

    expect(errors).toEqual([new Error('out of cheese')])
    expect(duty.done).toBe(0)
    expect(bell.words[0]).toBe(0)
  })
})

describe('two roles in one process', () => {
  test('wake each other for data and for room, and come to rest parked', () => {
    const turns = new Turns()
    const clock = new FakeClock()
    const [left, right] = [new InProcessBell(turns.schedule), new InProcessBell(turns.schedule)]
    const { producer, consumer } = ringOf({ capacity: 64, producerPeer: right, consumerPeer: left })
    const sent = 500
    let next = 0
    const seen: number[] = []
    const sender: DutyCycle = {
      doWork() {
        const before = next
        while (next < sent && put(producer, [next & 255]) >= 0) next++
        producer.publish()
        return next - before
      },
      hasWork: () => next < sent && producer.releasedPosition() === producer.position,
    }
    const receiver: DutyCycle = {
      doWork() {
        const frames = readAll(consumer)
        seen.push(...frames.map((frame) => frame.payload[0] as number))
        consumer.release(consumer.readPosition)
        return frames.length
      },
      hasWork: () => consumer.hasFrames(),
    }
    const common = { strategy: 'park', clock, schedule: turns.schedule, lookAgainMs: 1e9 } as const
    const onError = (error: unknown) => {
      throw error
    }
    const a = runDutyCycle(sender, { ...common, parked: left, bell: left, onError })
    const b = runDutyCycle(receiver, { ...common, parked: right, bell: right, onError })

    turns.runAll(10_000)

    expect(seen).toEqual(Array.from({ length: sent }, (_, number) => number & 255))
    expect([a.isParked, b.isParked, turns.waiting]).toEqual([true, true, 0])
    expect(a.stats.wokenByRing).toBeGreaterThan(0)
    expect(b.stats.wokenByRing).toBeGreaterThan(0)
  })
})

describe('the time to spin', () => {
  test('is nothing when processes outnumber cores', () => {
    expect(spinMicrosFor(1_000_000)).toBe(0)
  })
})
