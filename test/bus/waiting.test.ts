import { describe, expect, test } from 'vitest'
import { FakeClock, systemClock } from '#base/clock.js'
import { type DutyCycle, InProcessBell, runDutyCycle, spinMicrosFor } from '#bus/index.js'
import { AWAKE, SPINNING } from '#bus/peer.js'
import { drive, Turns } from './driven-duty.js'
import { put, readAll, ringOf } from './ring-of.js'

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
