import { describe, expect, test } from 'vitest'
import { shardOfId } from '#base/ids.js'
import { ANSWER_DONE, ANSWER_FORGOTTEN, ANSWER_REFUSED } from '#entity/answer-frame.js'
import { ANSWER_ALWAYS, ANSWER_REFUSALS } from '#entity/command-frame.js'
import { Seat } from './door-seat.js'

describe('a command that a door accepts', () => {
  test('comes to the worker with everything that the door knows of it', () => {
    const seat = new Seat({ term: 7 })

    expect(seat.offer({ sequence: 5, at: 123 }, 'always')).toBe('accepted')
    expect(seat.wakes).toBe(1)
    seat.door.doWork()

    expect(seat.read()).toMatchObject([
      { doorTerm: 7, entity: 'press/1', source: 's', sequence: 5, answer: ANSWER_ALWAYS, at: 123, accepted: expect.any(Number) },
    ])
  })

  test('gets a moment of its own, later than that of every one before', () => {
    const seat = new Seat()
    for (let sequence = 1; sequence <= 3; sequence++) seat.offer({ sequence })
    seat.door.doWork()

    const accepted = seat.read().map((frame) => frame.accepted)

    expect(accepted).toEqual([accepted[0], (accepted[0] as number) + 1, (accepted[0] as number) + 2])
  })

  test('is settled when it is released and not before', () => {
    const seat = new Seat()
    seat.offer({ sequence: 1 })
    seat.offer({ sequence: 2 }, 'always')
    seat.door.doWork()
    const [first, second] = seat.read()
    seat.answer(second.request, ANSWER_DONE, { force: 2 }, { version: 9 })
    seat.door.doWork()
    expect(seat.settled).toEqual([])

    seat.release(first.end)
    seat.door.doWork()
    expect(seat.settled).toEqual([{ sequence: 1, settlement: { kind: 'done', version: 0, reply: undefined } }])
    seat.release(second.end)
    expect(seat.door.hasWork()).toBe(true)
    seat.door.doWork()

    expect(seat.settled[1]).toEqual({ sequence: 2, settlement: { kind: 'done', version: 9, reply: { force: 2 } } })
    expect(seat.door.inFlightCount).toBe(0)
    expect(seat.door.hasWork()).toBe(false)
  })

  test('is not settled without its answer when both come after the door looked for answers', () => {
    const seat = new Seat()
    seat.offer({}, 'always')
    seat.door.doWork()
    const [frame] = seat.read()
    seat.meanwhile = () => {
      seat.answer(frame.request, ANSWER_DONE, { force: 1 })
      seat.release(frame.end)
    }

    seat.door.doWork()
    expect(seat.settled).toEqual([])
    seat.door.doWork()

    expect(seat.settled).toEqual([{ sequence: 1, settlement: { kind: 'done', version: 1, reply: { force: 1 } } }])
  })

  test.each([
    ['a refusal', ANSWER_REFUSED, ['NO', { why: 1 }], { kind: 'refused', version: 1, code: 'NO', detail: { why: 1 } }],
    ['a fault', ANSWER_REFUSED, ['DECIDE_FAILED', { message: 'x' }, true], { kind: 'failed', message: 'DECIDE_FAILED: x' }],
    ['a fault without its message', ANSWER_REFUSED, ['TOO_LARGE', undefined, true], { kind: 'failed', message: 'TOO_LARGE' }],
    ['a refusal named like a fault', ANSWER_REFUSED, ['TOO_LARGE'], { kind: 'refused', version: 1, code: 'TOO_LARGE', detail: undefined }],
    ['a forgotten answer', ANSWER_FORGOTTEN, undefined, { kind: 'forgotten' }],
  ])('is told %s, whatever answer was asked for', (_, kind, outcome, expected) => {
    const seat = new Seat()
    seat.offer({})
    seat.door.doWork()
    const [frame] = seat.read()

    seat.answer(frame.request, kind, outcome)
    seat.release(frame.end)
    seat.door.doWork()

    expect(seat.settled).toEqual([{ sequence: 1, settlement: expected }])
  })

  test('is answered by number, also where the numbers wrap', () => {
    const seat = new Seat({ capacityBytes: 65_536 })
    for (let sequence = 1; sequence <= 32; sequence++) seat.offer({ sequence, entity: `press/${sequence}` }, 'always')
    seat.door.doWork()
    const frames = seat.read()
    expect(frames.map(({ request }) => request)).toContain(0)

    for (const { request, sequence } of frames) seat.answer(request, ANSWER_DONE, { sequence })
    seat.release((frames.at(-1) as { end: number }).end)
    seat.door.doWork()

    expect(seat.settled.map(({ settlement }) => settlement)).toEqual(
      frames.map(({ sequence }) => ({ kind: 'done', version: 1, reply: { sequence } })),
    )
  })
})

describe('a command that no entity can take', () => {
  test.each([
    ['an id that is none', { entity: 'press' as 'press/1' }, /no slash/],
    ['an unknown type', { entity: 'lathe/1' as const }, /there is no entity type lathe; there are press/],
    ['an unknown command', { command: 'smash' }, /press has no command smash; it has sample, note/],
    ['a field that is wrong', { data: { force: 'much' } }, /force/],
    ['a moment that is none', { at: 1.5 }, /at: expected whole microseconds/],
    ['a sequence that is none', { sequence: Number.NaN }, /sequence: expected a safe integer/],
    ['a source that is too long', { source: 'ü'.repeat(300) }, /source: longer than 512 bytes/],
    ['a source that would be stored as another', { source: '\ud800' }, /source: .*not valid Unicode/],
    ['a source that claims to be a door', { source: 'door:3' }, /source: door: is what doors call themselves/],
    ['a correlation that is too long', { correlation: 'c'.repeat(513) }, /correlation: longer than 512 bytes/],
    ['more than a frame carries', { command: 'note', data: { text: 't'.repeat(2000) } }, /larger than 1016 bytes/],
  ])('is rejected for %s', (_, command, reason) => {
    const seat = new Seat()

    expect(seat.offer(command)).toEqual({ rejected: expect.stringMatching(reason) })

    expect(seat.door.counters).toMatchObject({ accepted: 0, rejected: 1 })
    expect(seat.offer({ sequence: 1 })).toBe('accepted')
  })
})

describe('commands of one source to one entity', () => {
  test('are sixteen in flight at most, while others pass', () => {
    const seat = new Seat({ capacityBytes: 65_536 })
    for (let sequence = 1; sequence <= 16; sequence++) expect(seat.offer({ sequence })).toBe('accepted')

    expect(seat.offer({ sequence: 17 })).toBe('full')

    expect(seat.offer({ sequence: 17, source: 'other' })).toBe('accepted')
    expect(seat.offer({ sequence: 18, entity: 'press/2' })).toBe('accepted')
    expect(seat.offer({ source: '' })).toBe('accepted')
  })

  test('are sixteen in flight at most without a source too', () => {
    const seat = new Seat({ capacityBytes: 65_536 })
    for (let count = 0; count < 16; count++) expect(seat.offer({ source: '' })).toBe('accepted')

    expect(seat.offer({ source: '' })).toBe('full')

    seat.door.doWork()
    const frames = seat.read()
    expect(new Set(frames.map(({ source }) => source))).toEqual(new Set(['door:1']))
    expect(frames.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 16 }, (_, index) => index + 1))
    expect(frames[0]?.answer).toBe(ANSWER_REFUSALS)
  })

  test('do not overtake a refused one: who comes from a settlement waits behind who was told that it is full', () => {
    const seat = new Seat({ capacityBytes: 65_536 })
    const order: string[] = []
    const command = { source: 's', entity: 'press/1', command: 'sample', data: { force: 1 }, at: undefined } as const
    for (let sequence = 1; sequence <= 16; sequence++) {
      seat.door.offer({ ...command, sequence }, 'refused', () => {
        order.push(`18 ${seat.door.offer({ ...command, sequence: 18 }, 'refused', () => {}) as string}`)
      })
    }
    expect(seat.offer({ sequence: 17 })).toBe('full')
    seat.door.onRoom(() => order.push(`17 ${seat.offer({ sequence: 17 }) as string}`))
    seat.door.doWork()
    const [first] = seat.read()

    seat.release(first.end)
    seat.door.doWork()

    expect(order).toEqual(['18 full', '17 accepted'])
  })
})

describe('a channel without room', () => {
  function filled(options: { of?: Seat; term?: number } = {}): { seat: Seat; sent: number } {
    const seat = new Seat({ capacityBytes: 1024, ...options })
    let sent = 0
    while (seat.offer({ sequence: sent + 1, entity: `press/${sent}` }) === 'accepted') sent++
    seat.door.doWork()
    return { seat, sent }
  }

  test('lets nothing overtake what it had no room for, however small', () => {
    // Two small frames are released: room for another small one.
    const large = { entity: 'press/large', command: 'note', data: { text: 't'.repeat(150) } } as const
    const [plain, blocked] = [filled().seat, filled().seat]
    for (const seat of [plain, blocked]) {
      seat.release(seat.read()[1].end)
      seat.door.doWork()
    }
    expect(blocked.offer({ sequence: 100, ...large })).toBe('full')

    expect(plain.offer({ sequence: 101, entity: 'press/small' })).toBe('accepted')
    expect(blocked.offer({ sequence: 101, entity: 'press/small' })).toBe('full')
  })

  test('calls those who wait in the order in which they asked, once each', () => {
    const { seat } = filled()
    const calls: string[] = []
    for (const name of ['a', 'b', 'c']) seat.door.onRoom(() => calls.push(name))
    const frames = seat.read()
    seat.door.doWork()
    expect(calls).toEqual([])

    seat.release((frames[3] as { end: number }).end)
    seat.door.doWork()
    seat.release((frames[4] as { end: number }).end)
    seat.door.doWork()

    expect(calls).toEqual(['a', 'b', 'c'])
  })

  test('says that there is room also where a predecessor had filled it', () => {
    const { seat } = filled()
    const next = filled({ of: seat, term: 2 })
    expect(next.sent).toBe(0)
    let calls = 0
    next.seat.door.onRoom(() => calls++)
    expect(next.seat.door.hasWork()).toBe(false)

    const frames = seat.read()
    seat.release((frames.at(-1) as { end: number }).end)

    expect(next.seat.door.hasWork()).toBe(true)
    expect(next.seat.door.doWork()).toBe(1)
    expect(calls).toBe(1)
    expect(next.seat.offer({ sequence: 1 })).toBe('accepted')
  })

  test('does not keep commands for other workers waiting', () => {
    const seat = new Seat({ capacityBytes: 1024, workers: 2 })
    const offers = Array.from({ length: 100 }, (_, index) => seat.offer({ sequence: index + 1, entity: `press/${index}` }))
    seat.door.doWork()

    const [toFirst, toSecond] = [seat.read(0).length, seat.read(1).length]

    expect(toFirst).toBeGreaterThan(5)
    expect(toSecond).toBeGreaterThan(5)
    expect(offers.filter((offered) => offered === 'accepted').length).toBe(toFirst + toSecond)
  })
})

describe('a successor of a door', () => {
  test('ignores answers to its predecessor, whatever their number', () => {
    const seat = new Seat()
    seat.offer({ sequence: 1 }, 'always')
    seat.door.doWork()
    const [former] = seat.read()
    const next = new Seat({ of: seat, term: 2 })
    next.offer({ sequence: 1 })
    next.door.doWork()
    const [own] = seat.read()
    expect(own.request).toBe(former.request)

    seat.answer(former.request, ANSWER_REFUSED, ['NO'], { term: 1 })
    seat.release(former.end)
    next.door.doWork()
    expect(next.settled).toEqual([])
    seat.release(own.end)
    next.door.doWork()

    expect(next.settled).toEqual([{ sequence: 1, settlement: { kind: 'done', version: 0, reply: undefined } }])
    expect(seat.settled).toEqual([])
  })

  test('numbers commands without a source under a name of its own', () => {
    const seat = new Seat()
    seat.offer({ source: '' })
    seat.door.doWork()
    const next = new Seat({ of: seat, term: 2 })
    next.offer({ source: '' })
    next.door.doWork()

    expect(seat.read().map(({ source, sequence }) => [source, sequence])).toEqual([
      ['door:1', 1],
      ['door:2', 1],
    ])
  })
})

describe('a door that is closed', () => {
  test('takes nothing more and settles what it has', () => {
    const seat = new Seat()
    seat.offer({ sequence: 1 })
    seat.door.doWork()
    seat.door.close()

    expect(seat.offer({ sequence: 2 })).toBe('full')
    const [frame] = seat.read()
    seat.release(frame.end)
    seat.door.doWork()

    expect(seat.settled.length).toBe(1)
    expect(seat.door.inFlightCount).toBe(0)
  })
})

describe('a door whose shards move', () => {
  const shardOf = (name: string) => shardOfId(`press/${name}`, 8)

  test('takes nothing for one that is held, keeps the order, and says when it goes on', () => {
    const seat = new Seat({ workers: 2 })
    const shard = shardOf('1')
    const from = seat.placement.slotOf(shard)
    seat.offer({ sequence: 1 })
    seat.placement.hold([shard])
    seat.door.publish()
    let rooms = 0
    const held = seat.offer({ sequence: 2 })
    seat.door.onRoom(() => rooms++)
    seat.placement.move([shard], 1 - from)
    seat.placement.free([shard])
    // What was refused is to come first, and nobody has been told yet.
    const overtaking = seat.offer({ sequence: 3 })
    expect(seat.door.hasWork()).toBe(true)
    seat.door.doWork()

    expect([held, overtaking, rooms]).toEqual(['full', 'full', 1])
    expect(seat.offer({ sequence: 2 })).toBe('accepted')
    seat.door.doWork()
    expect(seat.read(from).map(({ sequence }) => sequence)).toEqual([1])
    expect(seat.read(1 - from).map(({ sequence }) => sequence)).toEqual([2])
  })

  test('takes on for all others', () => {
    const seat = new Seat({ workers: 2 })
    seat.placement.hold([shardOf('1')])
    const other = Array.from({ length: 100 }, (_, index) => `${index}`).find((name) => shardOf(name) !== shardOf('1'))

    expect(seat.offer({ entity: `press/${other}` })).toBe('accepted')
  })
})
