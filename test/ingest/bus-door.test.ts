import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { pack } from '#base/pack.js'
import { channelBytes, Consumer, createChannel, NO_PEER, Producer } from '#bus/index.js'
import { ANSWER_DONE, ANSWER_FORGOTTEN, ANSWER_FRAME, ANSWER_HEADER_BYTES, ANSWER_REFUSED, writeAnswer } from '#entity/answer-frame.js'
import { ANSWER_ALWAYS, ANSWER_REFUSALS, CommandReader } from '#entity/command-frame.js'
import { defineEntity, f64, PlantModel, text } from '#entity/index.js'
import { BusDoor } from '#ingest/bus-door.js'
import type { AnswerWanted, IngestCommand, Settlement } from '#ingest/door.js'

const Press = defineEntity({
  name: 'press',
  events: { Sampled: { force: f64() } },
  commands: { sample: { force: f64() }, note: { text: text() } },
  initial: () => ({ force: 0 }),
  decide: { sample: () => undefined, note: () => undefined },
  apply: { Sampled() {} },
})

const PLANT = new PlantModel([Press])

interface ReadFrame {
  readonly request: number
  readonly doorTerm: number
  readonly entity: string
  readonly source: string
  readonly sequence: number
  readonly answer: number
  readonly accepted: number
  readonly at: number
  /** Release this position to give it back. */
  readonly end: number
}

/** The worker's side of a door, played by the test. */
class Seat {
  readonly door: BusDoor
  readonly settled: { readonly sequence: number; readonly settlement: Settlement }[] = []
  wakes = 0
  /** Runs once, right after the door has found no more answers: what a worker may do between two steps of the door. */
  meanwhile: (() => void) | undefined
  readonly #memories: { readonly commands: SharedArrayBuffer; readonly answers: SharedArrayBuffer }[]
  readonly #commands: Consumer[]
  readonly #answers: Producer[]
  readonly #term: number

  constructor(options: { capacityBytes?: number; workers?: number; term?: number; of?: Seat } = {}) {
    const { capacityBytes = 4096, workers = 1, term = 1, of } = options
    this.#term = term
    const holder = { pid: 1, startTime: 0, term, schemaHash: 0, peer: NO_PEER }
    if (of === undefined) {
      this.#memories = Array.from({ length: workers }, () => memories(capacityBytes))
      this.#commands = this.#memories.map(({ commands }) => new Consumer(commands, holder))
      this.#answers = this.#memories.map(({ answers }) => new Producer(answers, holder))
    } else {
      this.#memories = of.#memories
      this.#commands = of.#commands
      this.#answers = of.#answers
    }
    this.door = new BusDoor({
      plant: PLANT,
      channels: this.#memories.map(({ commands, answers }) => ({
        commands: new Producer(commands, holder),
        answers: this.#interleaved(new Consumer(answers, holder)),
      })),
      shardCount: 8,
      term,
      clock: new FakeClock(),
      wake: () => this.wakes++,
    })
  }

  offer(command: Partial<IngestCommand>, answer: AnswerWanted = 'refused') {
    const { sequence = 1 } = command
    const whole = { source: 's', sequence, entity: 'press/1', command: 'sample', data: { force: 1 }, at: undefined, ...command } as const
    return this.door.offer(whole, answer, (settlement) => this.settled.push({ sequence, settlement }))
  }

  /** Everything published and not read yet; typed as if that were two frames at least. */
  read(worker = 0): [ReadFrame, ReadFrame, ...ReadFrame[]] {
    const consumer = this.#commands[worker] as Consumer
    const frames: ReadFrame[] = []
    for (let offset = consumer.next(); offset >= 0; offset = consumer.next()) {
      const reader = new CommandReader(consumer.bytes, consumer.view).at(offset)
      frames.push({
        request: reader.request,
        doorTerm: reader.doorTerm,
        entity: textOf(reader.bytes, reader.entityOffset, reader.entityBytes),
        source: textOf(reader.bytes, reader.sourceOffset, reader.sourceBytes),
        sequence: reader.sequence,
        answer: reader.answer,
        accepted: reader.acceptedMicros,
        at: reader.atMicros,
        end: consumer.endPosition,
      })
    }
    return frames as [ReadFrame, ReadFrame, ...ReadFrame[]]
  }

  answer(request: number, kind: number, outcome: unknown, options: { version?: number; term?: number; worker?: number } = {}): void {
    const { version = 1, term = this.#term, worker = 0 } = options
    const producer = this.#answers[worker] as Producer
    const bytes = outcome === undefined ? new Uint8Array(0) : pack(outcome)
    const offset = producer.tryClaim(ANSWER_HEADER_BYTES + bytes.length, ANSWER_FRAME)
    writeAnswer(request, term, version, kind, bytes, producer.bytes, producer.view, offset)
    producer.commit()
    producer.publish()
  }

  #interleaved(answers: Consumer): Consumer {
    const next = answers.next.bind(answers)
    answers.next = () => {
      const offset = next()
      if (offset >= 0) return offset
      const { meanwhile } = this
      this.meanwhile = undefined
      meanwhile?.()
      return offset
    }
    return answers
  }

  release(position: number, worker = 0): void {
    ;(this.#commands[worker] as Consumer).release(position)
  }
}

function memories(capacityBytes: number) {
  const [commands, answers] = [0, 1].map(() => {
    const memory = new SharedArrayBuffer(channelBytes(capacityBytes))
    createChannel(memory, { capacityBytes, schemaHash: 0, name: 'test' })
    return memory
  }) as [SharedArrayBuffer, SharedArrayBuffer]
  return { commands, answers }
}

function textOf(bytes: Uint8Array, offset: number, length: number): string {
  return new TextDecoder().decode(bytes.slice(offset, offset + length))
}

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
