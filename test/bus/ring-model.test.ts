import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  channelBytes,
  channelStat,
  type Consumer,
  createChannel,
  distance,
  FRAME_TOO_LARGE,
  FrameCursor,
  INSUFFICIENT_CAPACITY,
  NO_FRAME,
  NO_PEER,
  Producer,
} from '#bus/index.js'
import { CHECKSUM_BYTES, HEADER_BYTES } from '#bus/layout.js'
import { type ModelFrame, RingModel } from '../models/ring.js'
import { isSoak, soakSeed, soakTimes } from '../soak.js'
import { consumerOf, producerOf, SCHEMA } from './ring-of.js'

const RUNS = soakTimes({ smoke: 60, full: 20_000 })

/** The ring as built beside its slow twin. */
interface Pair {
  readonly buffer: ArrayBuffer
  producer: Producer
  consumer: Consumer
  readonly produce: typeof producerOf
  claimOffset: number
  term: number
  /** Fills payloads with bytes that differ from frame to frame. */
  fill: number
}

type Step = fc.Command<RingModel, Pair>

/** By shares of the capacity, so that one list of steps suits every ring; `more` makes lengths that are not multiples of 8. */
class Claim implements Step {
  readonly share: number
  readonly more: number
  constructor(share: number, more: number) {
    this.share = share
    this.more = more
  }
  check = (model: Readonly<RingModel>) => model.claim === undefined
  run(model: RingModel, pair: Pair): void {
    const type = pair.fill % 3 === 0 ? 2 ** 31 - 1 - pair.fill : pair.fill
    const payloadBytes = payloadOf(model, this.share, this.more)
    const hasRoom = model.hasRoom(payloadBytes)
    const said = model.tryClaim(payloadBytes, type)
    // Half of the claims look first: to look must change nothing.
    if (said !== 'frame too large' && pair.fill % 2 === 0) expect(pair.producer.hasRoom(payloadBytes)).toBe(hasRoom)
    pair.claimOffset = pair.producer.tryClaim(payloadBytes, type)
    if (said === 'insufficient capacity') expect(pair.claimOffset).toBe(INSUFFICIENT_CAPACITY)
    else if (said === 'frame too large') expect(pair.claimOffset).toBe(FRAME_TOO_LARGE)
    else expect(pair.claimOffset).toBe(HEADER_BYTES + (said % model.capacityBytes) + 8)
  }
  toString = () => `claim(${this.share} of the largest, ${this.more} more)`
}

class Commit implements Step {
  readonly share: number
  constructor(share: number) {
    this.share = share
  }
  check = (model: Readonly<RingModel>) => model.claim !== undefined
  run(model: RingModel, pair: Pair): void {
    const claimed = model.claim?.payloadBytes as number
    pair.producer.bytes.fill(0xee, pair.claimOffset, pair.claimOffset + claimed)
    const payload = Uint8Array.from({ length: Math.round(claimed * this.share) }, (_, at) => (pair.fill + at) & 255)
    pair.fill++
    pair.producer.bytes.set(payload, pair.claimOffset)
    model.commit(payload)
    if (payload.length === claimed) pair.producer.commit()
    else pair.producer.commit(payload.length)
    expect(pair.producer.position).toBe(model.position | 0)
  }
  toString = () => `commit(${this.share})`
}

class Abort implements Step {
  check = (model: Readonly<RingModel>) => model.claim !== undefined
  run(model: RingModel, pair: Pair): void {
    model.abort()
    pair.producer.abort()
    expect(pair.producer.position).toBe(model.position | 0)
  }
  toString = () => 'abort'
}

class Publish implements Step {
  check = () => true
  run(model: RingModel, pair: Pair): void {
    model.publish()
    pair.producer.publish()
    expect(pair.producer.publishedPosition).toBe(model.published | 0)
  }
  toString = () => 'publish'
}

class Next implements Step {
  check = () => true
  run(model: RingModel, pair: Pair): void {
    const expected = model.next()
    expect(pair.consumer.hasFrames()).toBe(expected !== undefined)
    expectFrame(pair.consumer, pair.consumer.next(), expected)
    expect(pair.consumer.readPosition).toBe(model.read | 0)
  }
  toString = () => 'next'
}

class Poll implements Step {
  readonly limit: number
  constructor(limit: number) {
    this.limit = limit
  }
  check = () => true
  run(model: RingModel, pair: Pair): void {
    const expected: ModelFrame[] = []
    while (expected.length < this.limit) {
      const frame = model.next()
      if (frame === undefined) break
      expected.push(frame)
    }
    const { consumer } = pair
    let count = 0
    const polled = consumer.poll((offset, length, type) => {
      expect([length, type]).toEqual([consumer.length, consumer.type])
      expectFrame(consumer, offset, expected[count++])
    }, this.limit)
    expect(polled).toBe(expected.length)
    expect(consumer.readPosition).toBe(model.read | 0)
  }
  toString = () => `poll(${this.limit})`
}

class Reread implements Step {
  readonly share: number
  constructor(share: number) {
    this.share = share
  }
  check = (model: Readonly<RingModel>) => model.unreleased().length > 0
  run(model: RingModel, pair: Pair): void {
    const frames = model.unreleased()
    const from = Math.floor(this.share * frames.length)
    const cursor = new FrameCursor(pair.consumer)
    cursor.seek((frames[from] as ModelFrame).start | 0)
    for (const frame of frames.slice(from)) expectFrame(cursor, cursor.next(pair.consumer.readPosition), frame)
    expect(cursor.next(pair.consumer.readPosition)).toBe(NO_FRAME)
    expect(pair.consumer.readPosition).toBe(model.read | 0)
  }
  toString = () => `reread(${this.share})`
}

class Release implements Step {
  readonly share: number
  constructor(share: number) {
    this.share = share
  }
  check = (model: Readonly<RingModel>) => model.unreleased().length > 0
  run(model: RingModel, pair: Pair): void {
    const frames = model.unreleased()
    const { end } = frames[Math.min(Math.floor(this.share * frames.length), frames.length - 1)] as ModelFrame
    model.release(end)
    pair.consumer.release(end | 0)
    pair.consumer.release(end | 0)
    expect(pair.consumer.releasedPosition).toBe(end | 0)
    // Not always: the producer has to look for itself when it needs room.
    if (this.share < 0.5) expect(pair.producer.releasedPosition()).toBe(end | 0)
  }
  toString = () => `release(${this.share})`
}

class ReplaceProducer implements Step {
  check = () => true
  run(model: RingModel, pair: Pair): void {
    model.replaceProducer()
    pair.producer = pair.produce(pair.buffer, ++pair.term)
    expect(pair.producer.position).toBe(model.published | 0)
  }
  toString = () => 'replaceProducer'
}

class ReplaceConsumer implements Step {
  check = () => true
  run(model: RingModel, pair: Pair): void {
    model.replaceConsumer()
    pair.consumer = consumerOf(pair.buffer, ++pair.term)
    expect(pair.consumer.readPosition).toBe(model.released | 0)
  }
  toString = () => 'replaceConsumer'
}

class LookFromOutside implements Step {
  check = () => true
  run(model: RingModel, pair: Pair): void {
    const stat = channelStat(pair.buffer)
    expect(stat).toMatchObject({
      publishedPosition: model.published | 0,
      releasedPosition: model.released | 0,
      unreleasedBytes: model.published - model.released,
      refusals: model.refusals,
      framesPublished: model.framesPublished,
      bytesPublished: model.published,
    })
    // Told now and then only, so it may be behind.
    expect(distance(stat.readPosition, model.read | 0)).toBeGreaterThanOrEqual(0)
    expect(distance(stat.releasedPosition, stat.readPosition)).toBeGreaterThanOrEqual(0)
  }
  toString = () => 'stat'
}

/** Frames of one size until there is no room. */
class Fill implements Step {
  readonly share: number
  constructor(share: number) {
    this.share = share
  }
  check = (model: Readonly<RingModel>) => model.claim === undefined
  run(model: RingModel, pair: Pair): void {
    for (;;) {
      new Claim(this.share, 0).run(model, pair)
      if (model.claim === undefined) break
      new Commit(1).run(model, pair)
    }
    new Publish().run(model, pair)
  }
  toString = () => `fill(${this.share})`
}

class Drain implements Step {
  check = () => true
  run(model: RingModel, pair: Pair): void {
    new Poll(Number.POSITIVE_INFINITY).run(model, pair)
    if (model.unreleased().length > 0) new Release(1).run(model, pair)
  }
  toString = () => 'drain'
}

function expectFrame(walk: Consumer | FrameCursor, offset: number, expected: ModelFrame | undefined): void {
  if (expected === undefined) {
    expect(offset).toBe(NO_FRAME)
    return
  }
  expect([walk.type, walk.length, walk.startPosition, walk.endPosition]).toEqual([
    expected.type,
    expected.payload.length,
    expected.start | 0,
    expected.end | 0,
  ])
  expect(Buffer.compare(walk.bytes.subarray(offset, offset + walk.length), expected.payload)).toBe(0)
}

/** The largest payload that the ring takes is share 1; of the claims some ask for more than that. */
function payloadOf(model: Readonly<RingModel>, share: number, more: number): number {
  return Math.floor(share * (model.capacityBytes / 4 - 8 - model.checksumBytes)) + more
}

function steps(): fc.Arbitrary<Iterable<Step>> {
  // Not fc.double, whose numbers are nearly all close to 0.
  const share = fc.nat(1023).map((parts) => parts / 1024)
  const claimed = fc.oneof(
    { weight: 6, arbitrary: share },
    { weight: 2, arbitrary: fc.constant(1) },
    { weight: 1, arbitrary: fc.constant(0) },
  )
  const more = fc.oneof(
    { weight: 8, arbitrary: fc.constant(0) },
    { weight: 1, arbitrary: fc.nat(9) },
    { weight: 1, arbitrary: fc.nat(2 ** 30) },
  )
  const claim = fc.tuple(claimed, more).map(([part, extra]) => new Claim(part, extra))
  // As often as a step stands here; most of them lead on, so that a run goes round the ring.
  return fc.commands(
    [
      ...[claim, claim, claim, claim],
      ...[fc.constant(new Commit(1)), fc.constant(new Commit(1)), share.map((part) => new Commit(part))],
      fc.constant(new Abort()),
      ...[fc.constant(new Publish()), fc.constant(new Publish())],
      ...[claimed.map((part) => new Fill(part)), fc.constant(new Drain())],
      ...[fc.constant(new Next()), fc.constant(new Next()), fc.nat(4).map((limit) => new Poll(limit))],
      share.map((part) => new Reread(part)),
      ...[fc.constant(new Release(1)), share.map((part) => new Release(part))],
      fc.constant(new ReplaceProducer()),
      fc.constant(new ReplaceConsumer()),
      fc.constant(new LookFromOutside()),
    ],
    { maxCommands: 100, size: 'max' },
  )
}

/** Runs the same random steps on the ring and on its twin, which are told to `onRun` before; `produce` may be a faulty producer. */
function agreement(capacity: number, near: number, onRun = (_twin: RingModel) => {}, produce = producerOf): fc.IProperty<unknown[]> {
  // Below the position to be crossed by up to a lap, so that frames and padding meet it everywhere.
  const before = near === 0 ? fc.constant(0) : fc.integer({ min: 1, max: capacity / 8 })
  return fc.property(before, fc.boolean(), steps(), (eights, hasChecksums, commands) => {
    fc.modelRun(() => {
      const position = near - 8 * eights
      const buffer = new ArrayBuffer(channelBytes(capacity))
      createChannel(buffer, { capacityBytes: capacity, schemaHash: SCHEMA, name: 'model', hasChecksums, producerPosition: position | 0 })
      const pair = { buffer, produce, producer: produce(buffer), consumer: consumerOf(buffer), claimOffset: 0, term: 1, fill: 0 }
      const model = new RingModel(capacity, position, hasChecksums ? CHECKSUM_BYTES : 0)
      onRun(model)
      return { model, real: pair }
    }, commands)
  }) as fc.IProperty<unknown[]>
}

const params = { numRuns: RUNS, ...(isSoak ? { seed: soakSeed(20_26) } : {}) }

describe('a ring and its slow twin', () => {
  for (const [where, near] of [
    ['at 0', 0],
    ['across 2^31', 2 ** 31],
    ['across 2^32', 2 ** 32],
  ] as const) {
    test.each([64, 128, 256, 1024, 8192])(`agree on every step ${where} with %i bytes`, (capacity) => {
      const twins: RingModel[] = []

      fc.assert(
        agreement(capacity, near, (twin) => twins.push(twin)),
        params,
      )

      // The steps went where rings break: around, into a full ring, and over the position.
      expect(twins.filter((twin) => twin.refusals > 0).length).toBeGreaterThan(RUNS / 20)
      expect(twins.filter((twin) => twin.published > near + capacity).length).toBeGreaterThan(RUNS / 20)
    })
  }
})

describe('a ring that is wrong somewhere, and its slow twin', () => {
  /** Takes the ring for one of twice its capacity. */
  class WrongMask extends Producer {
    override tryClaim(payloadBytes: number, type: number): number {
      const offset = super.tryClaim(payloadBytes, type)
      return offset >= 0 && (this.position & 512) !== 0 ? offset + 256 : offset
    }
  }

  /** Forgets that a frame is shorter than its claim. */
  class NoShorterFrames extends Producer {
    override commit(): void {
      super.commit()
    }
  }

  /** Shows a frame as soon as it is committed. */
  class EarlyPublisher extends Producer {
    override commit(payloadBytes?: number): void {
      if (payloadBytes === undefined) super.commit()
      else super.commit(payloadBytes)
      super.publish()
    }
  }

  /** Says that there is room when there is not. */
  class Optimist extends Producer {
    override hasRoom(): boolean {
      return true
    }
  }

  test.each([WrongMask, NoShorterFrames, EarlyPublisher, Optimist].map((fault) => [fault.name, fault] as const))(
    'disagree: %s',
    (_name, Faulty) => {
      const produce = (buffer: ArrayBufferLike, term = 1) =>
        new Faulty(buffer, { schemaHash: SCHEMA, term, pid: 100 + term, startTime: 1000 + term, peer: NO_PEER })

      const { failed } = fc.check(agreement(256, 0, undefined, produce), { numRuns: 100, endOnFailure: true })

      expect(failed).toBe(true)
    },
  )
})
