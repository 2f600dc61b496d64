import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Consumer, NO_FRAME, NO_PEER, Producer } from '#bus/index.js'
import { CopiedFrames } from '#bus/copied-frames.js'
import { Tap } from '#bus/tap.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'
import { channelOf, consumerOf, SCHEMA } from './ring-of.js'

const CAPACITY = 256
const LEASE_MS = 50

const params = { numRuns: soakTimes({ smoke: 150, full: 20_000 }), ...(isSoak ? { seed: soakSeed(20_26) } : {}) }

type Step =
  | readonly ['send', payloadBytes: number]
  | readonly ['publish']
  | readonly ['consume', frames: number]
  | readonly ['tap', roomBytes: number]
  /** A look in the middle of whose copying the lease runs out and the ends go on. */
  | readonly ['overtake', frames: number]
  | readonly ['wait', ms: number]
  | readonly ['replace', who: 'producer' | 'consumer' | 'tap']

const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.tuple(fc.constant('send' as const), fc.integer({ min: 4, max: CAPACITY / 4 - 8 })) },
    { weight: 6, arbitrary: fc.tuple(fc.constant('publish' as const)) },
    { weight: 6, arbitrary: fc.tuple(fc.constant('consume' as const), fc.integer({ min: 1, max: 6 })) },
    {
      weight: 6,
      arbitrary: fc.tuple(
        fc.constant('tap' as const),
        fc.integer({ min: CAPACITY / 4, max: CAPACITY }).map((n) => n & -8),
      ),
    },
    { weight: 1, arbitrary: fc.tuple(fc.constant('overtake' as const), fc.integer({ min: 0, max: 8 })) },
    { weight: 3, arbitrary: fc.tuple(fc.constant('wait' as const), fc.integer({ min: 1, max: 2 * LEASE_MS })) },
    {
      weight: 1,
      arbitrary: fc.tuple(fc.constant('replace' as const), fc.constantFrom('producer' as const, 'consumer' as const, 'tap' as const)),
    },
  ),
  { minLength: 20, maxLength: 400 },
)

interface Published {
  readonly number: number
  /** Of its first byte, never wrapping. */
  readonly position: number
}

/** What went through, told by the ends alone; and what a tap, and its successors, said of it. */
class Run {
  readonly published: Published[] = []
  readonly captured: Published[] = []
  readonly gaps: (readonly [from: number, to: number])[] = []
  refusedByTap = 0
  readonly #buffer: ArrayBuffer
  /** A tap begins to count at what is left of its position modulo 2^32. */
  #base = 0
  #nowMs = 0
  #term = 1
  #producer: Producer
  #consumer: Consumer
  #tap: Tap
  #tapPid = 500
  /** Of the tap: the last time that it looked. */
  #lookedAtMs = 0
  #committed: { number: number; position: number }[] = []
  #next = 0
  #end: number

  constructor(position: number) {
    this.#buffer = channelOf({ capacity: CAPACITY, position })
    this.#end = position
    this.#producer = this.#newProducer()
    this.#consumer = consumerOf(this.#buffer)
    this.#tap = this.#newTap()
  }

  take(step: Step): void {
    if (step[0] === 'send') this.#send(step[1])
    else if (step[0] === 'publish') this.#publish()
    else if (step[0] === 'consume') this.#consume(step[1])
    else if (step[0] === 'tap') this.#look(new Uint8Array(step[1]))
    else if (step[0] === 'overtake') this.#overtakenLook(step[1])
    else if (step[0] === 'wait') this.#nowMs += step[1]
    else if (step[1] === 'producer') this.#replaceProducer()
    else if (step[1] === 'consumer') this.#consumer = consumerOf(this.#buffer, ++this.#term)
    else this.#tap = this.#replaceTap()
  }

  end(): void {
    this.#publish()
    for (let look = 0; look < 10; look++) this.#look(new Uint8Array(CAPACITY))
  }

  #send(payloadBytes: number): void {
    const offset = this.#producer.tryClaim(payloadBytes, 1)
    if (offset < 0) {
      const bytes = (payloadBytes + 15) & -8
      const untilEnd = CAPACITY - (this.#producer.position & (CAPACITY - 1))
      const needed = bytes + (bytes > untilEnd ? untilEnd : 0)
      const unreleased = (this.#producer.position - this.#consumer.releasedPosition) | 0
      if (unreleased + needed <= CAPACITY) {
        this.refusedByTap++
        expect(this.#nowMs - this.#lookedAtMs).toBeLessThan(LEASE_MS)
      }
      return
    }
    this.#producer.view.setInt32(offset, this.#next, true)
    this.#producer.commit()
    const position = this.#end + ((this.#producer.position - this.#end) | 0)
    this.#committed.push({ number: this.#next++, position: position - ((payloadBytes + 15) & -8) })
    this.#end = position
  }

  #publish(): void {
    this.#producer.publish()
    this.published.push(...this.#committed)
    this.#committed = []
  }

  #consume(count: number): void {
    for (let frame = 0; frame < count && this.#consumer.next() !== NO_FRAME; frame++) this.#consumer.release(this.#consumer.endPosition)
  }

  #overtakenLook(count: number): void {
    const target = new Uint8Array(CAPACITY)
    const set = target.set.bind(target)
    target.set = (from: ArrayLike<number>, offset?: number) => {
      set(from, offset)
      this.#nowMs += LEASE_MS
      for (let frame = 0; frame < count; frame++) {
        this.#send(40)
        this.#publish()
        this.#consume(1)
      }
    }
    this.#look(target)
  }

  #look(target: Uint8Array): void {
    const tap = this.#tap
    const found = tap.poll(target)
    this.#lookedAtMs = this.#nowMs
    if (found === 'gap') this.gaps.push([this.#base + tap.startPosition, this.#base + tap.position])
    if (found !== 'frames') return
    const frames = new CopiedFrames(tap).over(target, tap.byteCount, tap.startPosition | 0)
    while (frames.next() === 'frame') {
      this.captured.push({
        number: new DataView(target.buffer).getInt32(frames.offset, true),
        position: this.#base + tap.startPosition + frames.startOffset,
      })
    }
    expect(frames.wholeBytes).toBe(tap.byteCount)
  }

  #replaceProducer(): void {
    this.#committed = []
    this.#producer = this.#newProducer()
    this.#end -= (this.#end - this.#producer.position) | 0
  }

  /** The former one was killed: it says nothing, and its state stands. What it captured does not count a second time. */
  #replaceTap(): Tap {
    const before = this.#base + this.#tap.position
    const tap = this.#newTap()
    const from = before + ((tap.position - before) | 0)
    this.#base = from - tap.position
    this.captured.splice(this.captured.findIndex(({ position }) => position >= from) >>> 0)
    for (let gap = this.gaps.at(-1); gap !== undefined && gap[1] > from; gap = this.gaps.at(-1)) this.gaps.pop()
    if (from > before) this.gaps.push([before, from])
    return tap
  }

  #newProducer(): Producer {
    const term = ++this.#term
    return new Producer(this.#buffer, { schemaHash: SCHEMA, term, pid: term, startTime: 1, peer: NO_PEER, machineMs: () => this.#nowMs })
  }

  #newTap(): Tap {
    this.#lookedAtMs = this.#nowMs
    return new Tap(this.#buffer, { pid: ++this.#tapPid, startTime: 1, leaseMs: LEASE_MS, machineMs: () => this.#nowMs })
  }
}

describe('a tap beside ends that do whatever they like', () => {
  for (const [name, position] of [
    ['at the start', 0],
    ['before 2^31', 2 ** 31 - 1024],
    ['before 2^32', 2 ** 32 - 1024],
  ] as const) {
    test(`captures every published frame once and in order, or says that it did not, ${name}`, () => {
      let [captured, lost, refusals] = [0, 0, 0]
      fc.assert(
        fc.property(steps, (sequence) => {
          const run = new Run(position)
          for (const step of sequence as readonly Step[]) run.take(step)
          run.end()

          const inGap = ({ position: at }: Published) => run.gaps.some(([from, to]) => at >= from && at < to)
          expect(run.captured).toEqual(run.published.filter((frame) => !inGap(frame)))
          captured += run.captured.length
          lost += run.gaps.length
          refusals += run.refusedByTap
        }),
        params,
      )

      // The steps met what they are there for.
      expect(captured).toBeGreaterThan(100)
      expect(lost).toBeGreaterThan(5)
      expect(refusals).toBeGreaterThan(5)
    })
  }
})
