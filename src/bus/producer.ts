import { assert } from '#base/assert.js'
import { FRAME_HEADER_BYTES, FRAME_TOO_LARGE, frameBytes, INSUFFICIENT_CAPACITY, PADDING_TYPE } from './frame.js'
import { attach, corrupt, type Holder } from './header.js'
import * as layout from './layout.js'
import { type Peer, ringIfParked } from './peer.js'
import { distance } from './position.js'

const { BYTES_COUNTER, FRAMES_COUNTER, HEADER_BYTES, PRODUCER_RINGS_COUNTER, PUBLISHED_WORD, REFUSALS_COUNTER, RELEASED_WORD } = layout

export interface EndOptions extends Holder {
  readonly schemaHash: number
  /** Whom to wake at the other end. */
  readonly peer: Peer
}

/**
 * The writing end of a channel. One at a time, in one process. It takes over at the published position: what a predecessor had
 * committed without publishing never happened. Nothing blocks and nothing is allocated per frame.
 *
 *   claim ──▶ write into `bytes` or `view` ──▶ commit | abort ──▶ … ──▶ publish
 */
export class Producer {
  /** The whole memory; offsets from `tryClaim` index into it. Only the claimed bytes may be written. */
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly name: string
  /** The largest payload that a claim can have: a quarter of the capacity less the frame's header. */
  readonly frameBytesMax: number

  readonly #words: Int32Array
  readonly #counters: Float64Array
  readonly #peer: Peer
  readonly #capacityBytes: number
  readonly #mask: number
  #position: number
  #published: number
  /** As last loaded; the real one is never behind it. */
  #released: number
  #framesCommitted = 0
  #claimStart = 0
  /** Payload bytes of the open claim, -1 when there is none. */
  #claimBytes = -1

  /** Throws ERR_CHANNEL_FORMAT, ERR_CHANNEL_CORRUPT, ERR_CHANNEL_SCHEMA or ERR_CHANNEL_FENCED; then nothing was taken over. */
  constructor(buffer: ArrayBufferLike, options: EndOptions) {
    const header = attach(buffer, 'producer', options.schemaHash, options)
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.name = header.name
    this.frameBytesMax = header.capacityBytes / 4 - FRAME_HEADER_BYTES
    this.#words = new Int32Array(buffer, 0, layout.channelBytes(header.capacityBytes) / 4)
    this.#counters = new Float64Array(buffer, 0, HEADER_BYTES / 8)
    this.#peer = options.peer
    this.#capacityBytes = header.capacityBytes
    this.#mask = header.capacityBytes - 1
    this.#published = Atomics.load(this.#words, PUBLISHED_WORD)
    this.#position = this.#published
    this.#released = Atomics.load(this.#words, RELEASED_WORD)
  }

  /**
   * Reserves `payloadBytes` and answers where they begin in `bytes`, INSUFFICIENT_CAPACITY while the consumer has not released enough
   * (counted), or FRAME_TOO_LARGE. `type` is 0 or more and means what the caller likes. One claim at a time: commit or abort it first.
   * The frame stays invisible until it is published.
   */
  tryClaim(payloadBytes: number, type: number): number {
    assert(this.#claimBytes < 0, 'a producer has one claim at a time')
    assert(payloadBytes >>> 0 === payloadBytes, 'the length of a claim is a whole number of bytes')
    assert(type >= 0, 'the type of a frame is not negative')
    if (payloadBytes > this.frameBytesMax) return FRAME_TOO_LARGE
    const words = this.#words
    const needed = frameBytes(payloadBytes)
    const left = this.#capacityBytes - (this.#position & this.#mask)
    const skipped = needed > left ? left : 0
    const room = needed + skipped
    if (this.#capacityBytes - distance(this.#released, this.#position) < room) {
      this.releasedPosition()
      if (this.#capacityBytes - distance(this.#released, this.#position) < room) {
        this.#counters[REFUSALS_COUNTER] = (this.#counters[REFUSALS_COUNTER] as number) + 1
        return INSUFFICIENT_CAPACITY
      }
    }
    if (skipped > 0) {
      const word = (HEADER_BYTES + (this.#position & this.#mask)) >> 2
      words[word] = skipped - FRAME_HEADER_BYTES
      words[word + 1] = PADDING_TYPE
    }
    const start = (this.#position + skipped) | 0
    const offset = HEADER_BYTES + (start & this.#mask)
    words[(offset >> 2) + 1] = type
    this.#claimStart = start
    this.#claimBytes = payloadBytes
    return offset + FRAME_HEADER_BYTES
  }

  /** Whether a claim of `payloadBytes` would find room now: for a look before parking, not counted as a refusal. */
  hasRoom(payloadBytes: number): boolean {
    const needed = frameBytes(payloadBytes)
    const left = this.#capacityBytes - (this.#position & this.#mask)
    return this.#capacityBytes - distance(this.releasedPosition(), this.#position) >= needed + (needed > left ? left : 0)
  }

  /** Ends the claim as a frame of its first `payloadBytes`, by default all of them. Not visible yet. */
  commit(payloadBytes = this.#claimBytes): void {
    assert(this.#claimBytes >= 0, 'a commit follows a claim')
    assert(payloadBytes >>> 0 === payloadBytes, 'the length of a frame is a whole number of bytes')
    assert(payloadBytes <= this.#claimBytes, 'a commit is not longer than its claim')
    this.#words[(HEADER_BYTES + (this.#claimStart & this.#mask)) >> 2] = payloadBytes
    this.#position = (this.#claimStart + frameBytes(payloadBytes)) | 0
    this.#claimBytes = -1
    this.#framesCommitted++
  }

  /** Gives the claim up: nothing happened. */
  abort(): void {
    assert(this.#claimBytes >= 0, 'an abort follows a claim')
    this.#claimBytes = -1
  }

  /** Makes all that is committed visible at once, and wakes the consumer if it sleeps. Does nothing when there is nothing new. */
  publish(): void {
    const position = this.#position
    if (position === this.#published) return
    const counters = this.#counters
    counters[FRAMES_COUNTER] = (counters[FRAMES_COUNTER] as number) + this.#framesCommitted
    counters[BYTES_COUNTER] = (counters[BYTES_COUNTER] as number) + distance(this.#published, position)
    this.#framesCommitted = 0
    this.#published = position
    // SYNC published: every byte of the frames was stored before this; the consumer loads this word before it reads one of them.
    Atomics.store(this.#words, PUBLISHED_WORD, position)
    if (ringIfParked(this.#peer)) counters[PRODUCER_RINGS_COUNTER] = (counters[PRODUCER_RINGS_COUNTER] as number) + 1
  }

  /** End of everything committed. */
  get position(): number {
    return this.#position
  }

  get publishedPosition(): number {
    return this.#published
  }

  /**
   * Loads how far the consumer has released: everything before it is durable or answered.
   *
   * SYNC released: the consumer is done with the bytes before it stores this word, so they may be written over after this load. What it
   * published in other channels before the release is visible to whoever loads their tails after this call.
   */
  releasedPosition(): number {
    const released = Atomics.load(this.#words, RELEASED_WORD)
    if (distance(this.#released, released) < 0 || distance(released, this.#published) < 0) {
      throw corrupt(this.name, 'its released position is impossible', {
        position: released,
        published: this.#published,
        releasedBefore: this.#released,
      })
    }
    this.#released = released
    return released
  }
}
