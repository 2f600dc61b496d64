import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { AckTimeline } from '#drills/ack-timeline.js'

describe('acknowledgements over time', () => {
  test('are counted in buckets with their percentiles; a bucket without any has none', () => {
    const { acks, at } = timeline()
    for (const micros of [1000, 2000, 3000]) at(50, micros)
    at(310, 8000)

    expect(acks.window(0, 1000)).toEqual({
      fromMs: 0,
      bucketMs: 100,
      acked: [3, 0, 0, 1],
      ackP50Ms: [2, null, null, 8],
      ackP99Ms: [2.98, null, null, 8],
    })
  })

  test('are cut to the buckets of a window, and a bucket that still grows is counted anew', () => {
    const { acks, at } = timeline()
    at(150, 1000)
    at(250, 5000)
    expect(acks.window(200, 300)).toMatchObject({ fromMs: 200, acked: [1], ackP50Ms: [5] })
    at(260, 7000)

    expect(acks.window(-500, 260)).toMatchObject({ fromMs: 0, acked: [0, 1, 2], ackP50Ms: [null, 1, 6] })
    expect(acks.window(5000, 6000)).toMatchObject({ acked: [] })
  })

  test('have a longest silence, which belongs to where it ended', () => {
    const { acks, at } = timeline()
    for (const ms of [10, 20, 900, 930, 1500]) at(ms, 1)

    expect(acks.quietMs(0, 500)).toBe(10)
    expect(acks.quietMs(500, 1000)).toBe(880)
    expect(acks.quietMs(1000, 2000)).toBe(570)
    expect(acks.quietMs(3000, 4000)).toBe(0)
  })
})

function timeline() {
  const clock = new FakeClock()
  const startMs = clock.monotonicMs()
  const acks = new AckTimeline(clock)
  const at = (ms: number, micros: number) => {
    clock.advance(startMs + ms - clock.monotonicMs())
    acks.record(micros)
  }
  return { acks, at }
}
