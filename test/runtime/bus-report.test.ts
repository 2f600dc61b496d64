import { describe, expect, test } from 'vitest'
import { channelStat } from '#bus/index.js'
import { busReport } from '#runtime/bus-report.js'
import type { BusLook, ChannelLook, EndLook } from '#runtime/bus-view.js'
import { planChannels, seatsOf } from '#runtime/channel-plan.js'
import { put, ringOf } from '../bus/ring-of.js'

const END: EndLook = {
  process: 'worker/0',
  isAlive: true,
  pulseAgeMs: 12.4,
  isParked: false,
  parks: 10,
  wokenByRing: 6,
  wokenByTime: 4,
  parkedMs: 1000,
}

function looks(before: Partial<EndLook>, after: Partial<EndLook>): readonly [BusLook, BusLook] {
  const { buffer, producer } = ringOf()
  const look = (atMs: number, end: Partial<EndLook>): BusLook => {
    const both = { ...END, ...end }
    return { atMs, channels: [{ name: 'c', stat: channelStat(buffer), trouble: undefined, producer: both, consumer: both }] }
  }
  const first = look(1000, before)
  for (let frame = 0; frame < 10; frame++) put(producer, [1, 2, 3])
  producer.publish()
  return [first, look(1500, after)]
}

describe('two looks at a channel', () => {
  test('tell rates by the time between them', () => {
    const { overMs, channels } = busReport(...looks({}, { parks: 15, parkedMs: 1250 }))

    expect(overMs).toBe(500)
    expect(channels[0]).toMatchObject({
      framesPublished: 10,
      framesPerSecond: 20,
      bytesPerSecond: 320,
      depthBytes: 160,
      unreleasedBytes: 160,
    })
    expect(channels[0]?.producer).toMatchObject({ process: 'worker/0', pulseAgeMs: 12, parks: 15, parksPerSecond: 10, parkedShare: 0.5 })
  })

  test('take a process that was parked at both, without a park that ended, for parked all the time', () => {
    const { channels } = busReport(...looks({ isParked: true }, { isParked: true }))

    expect(channels[0]?.consumer).toMatchObject({ parked: true, parkedShare: 1 })
  })

  test('count from nothing for a channel that was not there before', () => {
    const [, after] = looks({}, {})

    expect(busReport({ atMs: 0, channels: [] }, after).channels[0]).toMatchObject({ framesPublished: 10, framesPerSecond: 0 })
  })

  test('say of one that cannot be read why', () => {
    const broken: ChannelLook = { name: 'c', stat: undefined, trouble: 'the channel is damaged', producer: END, consumer: END }

    expect(busReport({ atMs: 0, channels: [] }, { atMs: 10, channels: [broken] }).channels).toEqual([
      { name: 'c', trouble: 'the channel is damaged' },
    ])
  })
})

describe('the name of a channel', () => {
  test('tells for every planned one who has its ends', () => {
    const names = planChannels({ workers: 2, gateways: 1 }, { capacityBytes: 1024, answerCapacityBytes: 1024 }).map(({ name }) => name)

    const ends = Object.fromEntries(
      names.map((name) => [
        name,
        `${seatsOf(name)?.producer.role} ${seatsOf(name)?.producer.slot} → ${seatsOf(name)?.consumer.role} ${seatsOf(name)?.consumer.slot}`,
      ]),
    )
    expect(ends).toMatchObject({
      'commands-g0-w1': 'gateway 0 → worker 1',
      'answers-w1-g0': 'worker 1 → gateway 0',
      'appends-w1': 'worker 1 → journal 0',
      'rejections-w0': 'journal 0 → worker 0',
      'bulk-w0': 'journal 0 → worker 0',
    })
    expect(Object.values(ends).join()).not.toContain('undefined')
  })

  test('tells nothing for any other', () => {
    expect(['readings', 'commands', 'commands-x-y', 'other-g0-w0', ''].map(seatsOf)).toEqual(new Array(5).fill(undefined))
  })
})
