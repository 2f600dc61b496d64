import { MillraceError } from '#base/errors.js'
import { channelBytes, Consumer, createChannel, NO_FRAME, NO_PEER, type Peer, Producer } from '#bus/index.js'

export const SCHEMA = 7

/** A channel in this process's memory with both ends attached. */
export interface TestRing {
  readonly buffer: ArrayBuffer
  readonly producer: Producer
  readonly consumer: Consumer
}

export function channelOf(options: { capacity?: number; position?: number; name?: string; hasChecksums?: boolean } = {}): ArrayBuffer {
  const { capacity = 1024, position = 0, name = 'test', hasChecksums = false } = options
  const buffer = new ArrayBuffer(channelBytes(capacity))
  createChannel(buffer, { capacityBytes: capacity, schemaHash: SCHEMA, name, producerPosition: position, hasChecksums })
  return buffer
}

export function ringOf(
  options: { capacity?: number; position?: number; hasChecksums?: boolean; producerPeer?: Peer; consumerPeer?: Peer } = {},
): TestRing {
  const buffer = channelOf(options)
  return { buffer, producer: producerOf(buffer, 1, options.producerPeer), consumer: consumerOf(buffer, 1, options.consumerPeer) }
}

export function producerOf(buffer: ArrayBufferLike, term = 1, peer = NO_PEER): Producer {
  return new Producer(buffer, { schemaHash: SCHEMA, term, pid: 100 + term, startTime: 1000 + term, peer })
}

export function consumerOf(buffer: ArrayBufferLike, term = 1, peer = NO_PEER): Consumer {
  return new Consumer(buffer, { schemaHash: SCHEMA, term, pid: 200 + term, startTime: 2000 + term, peer })
}

/** Claims, fills with the bytes and commits; answers what the claim answered. */
export function put(producer: Producer, payload: readonly number[] | Uint8Array, type = 1): number {
  const offset = producer.tryClaim(payload.length, type)
  if (offset >= 0) {
    producer.bytes.set(payload, offset)
    producer.commit()
  }
  return offset
}

export interface ReadFrame {
  readonly type: number
  readonly payload: readonly number[]
  readonly start: number
  readonly end: number
}

/** Everything that a consumer still finds. */
export function readAll(consumer: Consumer): ReadFrame[] {
  const frames: ReadFrame[] = []
  for (let offset = consumer.next(); offset !== NO_FRAME; offset = consumer.next()) frames.push(frameAt(consumer, offset))
  return frames
}

export function frameAt(
  walk: { bytes: Uint8Array; length: number; type: number; startPosition: number; endPosition: number },
  offset: number,
): ReadFrame {
  return {
    type: walk.type,
    payload: [...walk.bytes.subarray(offset, offset + walk.length)],
    start: walk.startPosition,
    end: walk.endPosition,
  }
}

export function payloads(frames: readonly ReadFrame[]): (readonly number[])[] {
  return frames.map((frame) => frame.payload)
}

/** A peer whose rings are counted. It sleeps when told to. */
export class CountingPeer implements Peer {
  readonly words = new Int32Array(1)
  readonly index = 0
  rings = 0

  park(): void {
    this.words[0] = 1
  }

  ring(): void {
    this.rings++
  }
}

/** Code of the error that the action throws. */
export function codeOf(action: () => unknown): string {
  try {
    action()
  } catch (error) {
    if (error instanceof MillraceError) return error.code
    throw error
  }
  return 'nothing thrown'
}
