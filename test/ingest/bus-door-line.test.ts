import { describe, expect, test } from 'vitest'
import { shardOfId } from '#base/ids.js'
import { ANSWER_REFUSED } from '#entity/answer-frame.js'
import { ANSWER_REFUSALS } from '#entity/command-frame.js'
import { type ReadFrame, Seat } from './door-seat.js'

describe('a line of a door', () => {
  const lineOf = (seat: Seat) => {
    const line = seat.door.line('press/1', 'device-1', 'note')
    if (typeof line === 'string') throw new Error(line)
    return line
  }

  test('writes the same frames as offers do, in their order', () => {
    const seat = new Seat()
    const line = lineOf(seat)
    const none = () => {}

    line.offer(1, { text: 'a' }, Number.NaN, none, 0)
    seat.door.offer(
      { source: 'device-1', sequence: 2, entity: 'press/1', command: 'note', data: { text: 'bcdef' }, at: 9 },
      'refused',
      none,
    )
    line.offer(3, { text: '' }, 12, none, 0)

    seat.door.doWork()
    const frames = seat.read()
    const own = { doorTerm: 1, entity: 'press/1', source: 'device-1', answer: ANSWER_REFUSALS }
    expect(frames).toEqual([
      expect.objectContaining({ ...own, sequence: 1, at: Number.NaN }),
      expect.objectContaining({ ...own, sequence: 2, at: 9 }),
      expect.objectContaining({ ...own, sequence: 3, at: 12 }),
    ])
    expect(frames.map(({ request }) => (request - frames[0].request) >>> 0)).toEqual([0, 1, 2])
    expect(frames[1].accepted).toBeGreaterThan(frames[0].accepted)
    expect(frames[2]?.accepted).toBeGreaterThan(frames[1].accepted)
  })

  test('leads to the worker that has the shard, once it has moved', () => {
    const seat = new Seat({ workers: 2 })
    const line = lineOf(seat)
    const shard = shardOfId('press/1', seat.placement.shardCount)
    const from = seat.placement.slotOf(shard)
    const offer = (sequence: number) => line.offer(sequence, { text: '' }, Number.NaN, () => {}, 0)
    const before = offer(1)
    seat.placement.hold([shard])
    const held = offer(2)
    seat.placement.move([shard], 1 - from)
    seat.placement.free([shard])
    seat.door.doWork()

    expect([before, held, offer(2)]).toEqual(['accepted', 'full', 'accepted'])
    seat.door.doWork()
    expect([from, 1 - from].map((slot) => seat.read(slot).map(({ sequence }) => sequence))).toEqual([[1], [2]])
  })

  test('is told with its own token what each command came to', () => {
    const seat = new Seat()
    const line = lineOf(seat)
    const heard: [number, string][] = []
    for (let token = 7; token < 10; token++) line.offer(token, { text: 'x' }, Number.NaN, ({ kind }, own) => heard.push([own, kind]), token)
    seat.door.doWork()
    const frames = seat.read()

    seat.answer(frames[1].request, ANSWER_REFUSED, ['NO', null])
    seat.release((frames[2] as ReadFrame).end)
    seat.door.doWork()

    expect(heard).toEqual([
      [7, 'done'],
      [8, 'refused'],
      [9, 'done'],
    ])
  })

  test('has as many commands in flight as offers of the same source and entity leave it', () => {
    const seat = new Seat()
    const line = lineOf(seat)
    const offers = Array.from({ length: 17 }, (_, index) =>
      index % 2 === 0
        ? line.offer(index, { text: '' }, Number.NaN, () => {}, 0)
        : seat.door.offer(
            { source: 'device-1', sequence: index, entity: 'press/1', command: 'note', data: { text: '' }, at: undefined },
            'refused',
            () => {},
          ),
    )

    expect(offers).toEqual([...new Array<string>(16).fill('accepted'), 'full'])
  })

  test('refuses data that is wrong and, once closed, everything', () => {
    const seat = new Seat()
    const line = lineOf(seat)

    expect(line.offer(1, { text: 5 }, Number.NaN, () => {}, 0)).toEqual({ rejected: expect.stringContaining('text') as string })
    expect(line.offer(1.5, { text: '' }, Number.NaN, () => {}, 0)).toEqual({ rejected: expect.stringContaining('sequence') as string })
    line.close()
    expect(line.offer(1, { text: '' }, Number.NaN, () => {}, 0)).toEqual({ rejected: 'the line is closed' })
    seat.door.doWork()
    expect(seat.read()).toEqual([])
  })

  test('is not made for what can never be taken', () => {
    const { door } = new Seat()

    expect(door.line('press/1', 's', 'fly')).toMatch(/no command fly/)
    expect(door.line('lathe/1', 's', 'note')).toMatch(/no entity type lathe/)
    expect(door.line('press/1', '', 'note')).toMatch(/^source: /)
  })
})
