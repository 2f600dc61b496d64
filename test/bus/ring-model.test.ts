import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  channelStat,
  type Consumer,
  FRAME_TOO_LARGE,
  FrameCursor,
  frameBytes,
  INSUFFICIENT_CAPACITY,
  NO_FRAME,
  type Producer,
} from '#bus/index.js'
import { HEADER_BYTES } from '#bus/layout.js'
import { type ModelFrame, RingModel } from '../models/ring.js'
import { channelOf, consumerOf, producerOf } from './ring-of.js'

/** The ring as built beside its slow twin. */
interface Pair {
  readonly buffer: ArrayBuffer
  producer: Producer
  consumer: Consumer
  claimOffset: number
  term: number
  /** Fills payloads with bytes that differ from frame to frame. */
  fill: number
}

type Step = fc.Command<RingModel, Pair>

class Claim implements Step {
  readonly payloadBytes: number
  constructor(payloadBytes: number) {
    this.payloadBytes = payloadBytes
  }
  check = (model: Readonly<RingModel>) => model.claim === undefined
  run(model: RingModel, pair: Pair): void {
    const type = pair.fill
    const said = model.tryClaim(this.payloadBytes, type)
    pair.claimOffset = pair.producer.tryClaim(this.payloadBytes, type)
    if (said === 'insufficient capacity') expect(pair.claimOffset).toBe(INSUFFICIENT_CAPACITY)
    else if (said === 'frame too large') expect(pair.claimOffset).toBe(FRAME_TOO_LARGE)
    else expect(pair.claimOffset).toBe(HEADER_BYTES + (said % model.capacityBytes) + 8)
  }
  toString = () => `claim(${this.payloadBytes})`
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
    const { end } = frames[Math.floor(this.share * frames.length)] as ModelFrame
    model.release(end)
    pair.consumer.release(end | 0)
    expect(pair.producer.releasedPosition()).toBe(end | 0)
  }
  toString = () => `release(${this.share})`
}

class ReplaceProducer implements Step {
  check = () => true
  run(model: RingModel, pair: Pair): void {
    model.replaceProducer()
    pair.producer = producerOf(pair.buffer, ++pair.term)
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
    expect(stat.unreleasedBytes).toBe(model.published - model.released)
    expect(stat.depthBytes).toBe(model.published - model.read)
    expect(stat.refusals).toBe(model.refusals)
    expect(stat.framesPublished).toBe(model.framesPublished)
  }
  toString = () => 'stat'
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
  expect(walk.bytes.slice(offset, offset + walk.length)).toEqual(expected.payload)
}

function steps(capacity: number): fc.Arbitrary<Iterable<Step>> {
  const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true })
  return fc.commands(
    [
      fc.nat(capacity / 4 - 6).map((bytes) => new Claim(bytes)),
      fc.nat(capacity / 4 - 6).map((bytes) => new Claim(bytes)),
      fc.oneof(fc.constant(1), share).map((part) => new Commit(part)),
      fc.constant(new Commit(1)),
      fc.constant(new Abort()),
      fc.constant(new Publish()),
      fc.constant(new Next()),
      fc.constant(new Next()),
      share.map((part) => new Reread(part)),
      share.map((part) => new Release(part)),
      fc.constant(new ReplaceProducer()),
      fc.constant(new ReplaceConsumer()),
      fc.constant(new LookFromOutside()),
    ],
    { maxCommands: 150, size: 'max' },
  )
}

describe('a ring and its slow twin', () => {
  for (const [where, position] of [
    ['at 0', 0],
    ['across 2^31', 2 ** 31 - 128],
    ['across 2^32', 2 ** 32 - 128],
  ] as const) {
    for (const capacity of [64, 256]) {
      test(`agree on every step ${where} with ${capacity} bytes`, () => {
        expect(frameBytes(capacity / 4 - 8)).toBe(capacity / 4)

        fc.assert(
          fc.property(steps(capacity), (commands) => {
            fc.modelRun(() => {
              const buffer = channelOf({ capacity, position: position | 0 })
              const pair = { buffer, producer: producerOf(buffer), consumer: consumerOf(buffer), claimOffset: 0, term: 1, fill: 0 }
              return { model: new RingModel(capacity, position), real: pair }
            }, commands)
          }),
          { numRuns: 150 },
        )
      })
    }
  }
})
