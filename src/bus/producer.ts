import { assert } from '#base/assert.js'
import * as frame from './frame.js'
import { attach, giveUpHeader, type Holder } from './header.js'
import * as layout from './layout.js'
import { machineMs } from './machine-ms.js'
import * as peers from './peer.js'
import * as positions from './position.js'

// V8 folds what a module itself declares constant into the code; imported names it looks up and checks at every use, and so it does with fields
// that were ever undefined: hence the copies here and the initialisers below. Together a third of the time of a frame (bus-throughput).
const { FRAMES_HIGH_WORD, FRAMES_LOW_WORD, HEADER_BYTES, LAPS_WORD, MAGIC, MAGIC_WORD, PUBLISHED_WORD, RELEASED_WORD, TAP_STATE_WORD } =
  layout
const { FRAME_HEADER_BYTES, FRAME_TOO_LARGE, frameChecksum, INSUFFICIENT_CAPACITY, PADDING_TYPE } = frame
const { distance } = positions
const { ringIfParked, storePosition } = peers
const ALIGNING = -frame.FRAME_ALIGNMENT
const NO_WORDS = new Int32Array(0)
const PAYLOAD_BEGIN = HEADER_BYTES + FRAME_HEADER_BYTES

export interface EndOptions extends Holder {
  readonly schemaHash: number
  /** Whom to wake at the other end. */
  readonly peer: peers.Peer
  /** The clock that the leases of taps are counted on: monotonic, in milliseconds, the same for every process. */
  readonly machineMs?: () => number
}

/**
 * The writing end of a channel. One at a time, in one process. It takes over at the published position: what a predecessor had
 * committed without publishing never happened. Nothing blocks and nothing is allocated per frame.
 *
 *   claim ──▶ write into `bytes` or `view` ──▶ commit | abort ──▶ … ──▶ publish
 *
 * Whatever finds the channel damaged gives it up for both ends and throws ERR_CHANNEL_CORRUPT.
 */
export class Producer {
  /** The whole memory; offsets from `tryClaim` index into it. Only the claimed bytes may be written. */
  readonly bytes: Uint8Array
  readonly view: DataView
  /** The same in the byte order of the machine: payloads begin at multiples of 8, `offset >> 3` here. The cheapest way to write numbers. */
  readonly floats: Float64Array
  readonly name: string
  /** The largest payload that a claim can have: a quarter of the capacity less the frame's header, and its checksum if it has one. */
  readonly frameBytesMax: number = 0

  /** Of the header, and of the ring. */
  readonly #words: Int32Array = NO_WORDS
  readonly #ring: Int32Array = NO_WORDS
  readonly #counters: Float64Array
  readonly #peer: peers.Peer
  readonly #peerWords: Int32Array = NO_WORDS
  readonly #peerIndex: number = 0
  readonly #machineMs: () => number
  readonly #capacityBytes: number = 0
  readonly #mask: number = 0
  /** Whether a commit has a checksum to write. */
  readonly #isCareful: boolean = false
  /** What a payload takes more than its own bytes, before rounding down to whole multiples of the alignment. */
  readonly #roundingBytes: number = 0
  #position = 0
  #published = 0
  /** As last loaded; the real one is never behind it. */
  #released = 0
  /** Up to where the ring may be written, as far as known: a capacity after what is released and tapped. */
  #limit = 0
  /** Ever committed, modulo 2^32. */
  #frames = 0
  /** Up to where it may be written in one piece: to the limit, but not over the ring's end. */
  #runEnd = 0
  /** Of the open claim; the position when there is none. */
  #claimEnd = 0
  /** Payload bytes of the last claim, and its type. */
  #claimBytes = 0
  #claimType = 0
  #paddedFrom = 0

  /** Throws ERR_CHANNEL_FORMAT, ERR_CHANNEL_CORRUPT, ERR_CHANNEL_SCHEMA or ERR_CHANNEL_FENCED; then nothing was taken over. */
  constructor(buffer: ArrayBufferLike, options: EndOptions) {
    const header = attach(buffer, 'producer', options.schemaHash, options)
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.floats = new Float64Array(buffer, 0, buffer.byteLength >> 3)
    this.name = header.name
    const checksumBytes = header.hasChecksums ? layout.CHECKSUM_BYTES : 0
    this.frameBytesMax = header.capacityBytes / 4 - FRAME_HEADER_BYTES - checksumBytes
    this.#isCareful = header.hasChecksums
    this.#roundingBytes = FRAME_HEADER_BYTES + checksumBytes + frame.FRAME_ALIGNMENT - 1
    this.#words = new Int32Array(buffer, 0, HEADER_BYTES / 4)
    this.#ring = new Int32Array(buffer, HEADER_BYTES, header.capacityBytes / 4)
    this.#counters = new Float64Array(buffer, 0, HEADER_BYTES / 8)
    this.#peer = options.peer
    this.#peerWords = options.peer.words
    this.#peerIndex = options.peer.index
    this.#machineMs = options.machineMs ?? machineMs
    this.#capacityBytes = header.capacityBytes
    this.#mask = header.capacityBytes - 1
    this.#published = Atomics.load(this.#words, PUBLISHED_WORD)
    this.#position = this.#published
    this.#released = Atomics.load(this.#words, RELEASED_WORD)
    this.#limit = this.#released
    this.#runEnd = this.#position
    this.#claimEnd = this.#position
    this.#paddedFrom = this.#position
    this.#frames = this.#words[FRAMES_LOW_WORD] as number
  }

  /**
   * Reserves `payloadBytes` and answers where they begin in `bytes`, INSUFFICIENT_CAPACITY while the consumer has not released enough
   * (counted), or FRAME_TOO_LARGE. `type` is 0 or more and means what the caller likes. One claim at a time: commit or abort it first.
   * The frame stays invisible until it is published.
   */
  tryClaim(payloadBytes: number, type: number): number {
    const position = this.#position
    const index = position & this.#mask
    const end = (position + ((payloadBytes + this.#roundingBytes) & ALIGNING)) | 0
    // Negative when any of them is: a claim is open, an argument is wrong, or the frame would go beyond what may be written in one piece.
    const doubts = (position - this.#claimEnd) | payloadBytes | type | (this.frameBytesMax - payloadBytes) | (this.#runEnd - end)
    if (doubts < 0 || (payloadBytes | 0) !== payloadBytes) return this.#claimWithCare(payloadBytes, type)
    const ring = this.#ring
    ring[index >> 2] = payloadBytes
    ring[(index >> 2) + 1] = type
    this.#claimBytes = payloadBytes
    this.#claimType = type
    this.#claimEnd = end
    return PAYLOAD_BEGIN + index
  }

  /** Whether a claim of `payloadBytes` would find room now: for a look before parking, not counted as a refusal. */
  hasRoom(payloadBytes: number): boolean {
    const bytes = (payloadBytes + this.#roundingBytes) & ALIGNING
    const left = this.#capacityBytes - (this.#position & this.#mask)
    const end = (this.#position + bytes + (bytes > left ? left : 0)) | 0
    this.#lookForRoom()
    return distance(end, this.#limit) >= 0
  }

  /** Ends the claim as a frame of its first `payloadBytes`, by default all of them. Not visible yet. */
  commit(payloadBytes?: number): void {
    if (payloadBytes !== undefined || this.#isCareful || this.#claimEnd === this.#position) this.#commitWithCare(payloadBytes)
    this.#position = this.#claimEnd
    this.#frames = (this.#frames + 1) | 0
  }

  /** Gives the claim up: nothing happened. */
  abort(): void {
    assert(this.#claimEnd !== this.#position, 'an abort follows a claim')
    this.#position = this.#committedEnd()
    this.#claimEnd = this.#position
    this.#setRunEnd()
  }

  /**
   * Makes all that is committed visible at once, and wakes the consumer if it sleeps. Does nothing when there is nothing new. When it throws
   * ERR_CHANNEL_CORRUPT, the consumer may or may not have seen what this call published.
   */
  publish(): void {
    const position = this.position
    const before = this.#published
    if (position === before) return
    const words = this.#words
    // Counted before the frames are visible: no reader counts fewer than it sees. In words, as doubles cost twice as much.
    if (((words[FRAMES_LOW_WORD] as number) & ~this.#frames) < 0) increment(words, FRAMES_HIGH_WORD)
    words[FRAMES_LOW_WORD] = this.#frames
    if ((before & ~position) < 0) increment(words, LAPS_WORD)
    this.#published = position
    // SYNC published: every byte of the frames was stored before this; the consumer loads this word before it reads one of them.
    const isParked = storePosition(words, PUBLISHED_WORD, position, this.#peerWords, this.#peerIndex)
    // SYNC fence: the store above may have covered the mark of a fence.
    if (words[MAGIC_WORD] !== MAGIC) throw this.#giveUp('its magic number is gone', {})
    if (isParked) this.#wakePeer()
  }

  /** End of everything committed. */
  get position(): number {
    return this.#claimEnd === this.#position ? this.#position : this.#committedEnd()
  }

  get publishedPosition(): number {
    return this.#published
  }

  /** The released position as last loaded. */
  get releasedBefore(): number {
    return this.#released
  }

  /**
   * Loads how far the consumer has released: everything before it is durable or answered.
   *
   * SYNC released: the consumer is done with the bytes before it stores this word, so they may be written over after this load. What it
   * published in other channels before the release is visible to whoever loads their tails after this call.
   */
  releasedPosition(): number {
    const released = Atomics.load(this.#words, RELEASED_WORD)
    if (distance(this.#released, released) < 0 || distance(released, this.#published) < 0 || (released & 7) !== 0) {
      throw this.#giveUp('its released position is impossible', {
        position: released,
        published: this.#published,
        releasedBefore: this.#released,
      })
    }
    if (this.#isCareful && !this.#isConfirmed(released)) return this.#released
    this.#released = released
    return released
  }

  /**
   * SYNC release check: a position without its check is that of a release under way, after which the consumer rings as always; or it is damage that
   * the consumer finds at its next look.
   */
  #isConfirmed(released: number): boolean {
    const published = Atomics.load(this.#words, PUBLISHED_WORD)
    if (published !== this.#published) {
      throw this.#giveUp('its published position was written over', { position: published, published: this.#published })
    }
    return Atomics.load(this.#words, layout.RELEASED_CHECK_WORD) === ~released
  }

  /** The claim that needs more than its place: padding before it, a look for room, or a no. */
  #claimWithCare(payloadBytes: number, type: number): number {
    assert(this.#claimEnd === this.#position, 'a producer has one claim at a time')
    assert(type >= 0, 'the type of a frame is not negative')
    assert(payloadBytes >= 0 && Number.isInteger(payloadBytes), 'the length of a claim is a whole number of bytes')
    if (payloadBytes > this.frameBytesMax) return FRAME_TOO_LARGE
    const bytes = (payloadBytes + this.#roundingBytes) & ALIGNING
    const left = this.#capacityBytes - (this.#position & this.#mask)
    const skipped = bytes > left ? left : 0
    if (distance((this.#position + skipped + bytes) | 0, this.#limit) < 0) {
      this.#lookForRoom()
      if (distance((this.#position + skipped + bytes) | 0, this.#limit) < 0) return this.#refuse()
    }
    if (skipped > 0) this.#pad(skipped)
    this.#setRunEnd()
    const index = this.#position & this.#mask
    this.#ring[index >> 2] = payloadBytes
    this.#ring[(index >> 2) + 1] = type
    this.#claimBytes = payloadBytes
    this.#claimType = type
    this.#claimEnd = (this.#position + bytes) | 0
    return PAYLOAD_BEGIN + index
  }

  /** A commit of less than was claimed, or of a frame with a checksum. */
  #commitWithCare(payloadBytes = this.#claimBytes): void {
    assert(this.#claimEnd !== this.#position, 'a commit follows a claim')
    assert(payloadBytes >= 0 && Number.isInteger(payloadBytes), 'the length of a frame is a whole number of bytes')
    assert(payloadBytes <= this.#claimBytes, 'a commit is not longer than its claim')
    const word = (this.#position & this.#mask) >> 2
    const bytes = (payloadBytes + this.#roundingBytes) & ALIGNING
    this.#ring[word] = payloadBytes
    if (this.#isCareful) {
      // Once more: sealed as found, a type that was written over since the claim would pass for the producer's own.
      this.#ring[word + 1] = this.#claimType
      this.#seal(word, bytes, this.#position)
    }
    this.#claimEnd = (this.#position + bytes) | 0
  }

  /** Fills the ring up to its end, and goes on at its beginning. */
  #pad(bytes: number): void {
    const word = (this.#position & this.#mask) >> 2
    this.#ring[word] = bytes - FRAME_HEADER_BYTES
    this.#ring[word + 1] = PADDING_TYPE
    this.#paddedFrom = this.#position
    this.#position = (this.#position + bytes) | 0
  }

  /** The position without the padding of the open claim, if it has any. */
  #committedEnd(): number {
    const index = this.#paddedFrom & this.#mask
    const paddedTo = (this.#paddedFrom + this.#capacityBytes - index) | 0
    return paddedTo === this.#position && this.#ring[(index >> 2) + 1] === PADDING_TYPE ? this.#paddedFrom : this.#position
  }

  #setRunEnd(): void {
    const lapEnd = (this.#position + this.#capacityBytes - (this.#position & this.#mask)) | 0
    this.#runEnd = distance(lapEnd, this.#limit) < 0 ? this.#limit : lapEnd
  }

  #seal(word: number, bytes: number, position: number): void {
    const sumWord = word + (bytes >> 2) - 1
    this.#ring[sumWord] = frameChecksum(this.#ring, word, sumWord, position)
  }

  #lookForRoom(): void {
    const released = this.releasedPosition()
    // SYNC tap: this load comes after the one of the released position; a tap sets its state before it looks where to begin.
    const isTapped = Atomics.load(this.#words, TAP_STATE_WORD) === layout.TAP_HOLDING
    this.#limit = ((isTapped ? this.#tappedPosition(released) : released) + this.#capacityBytes) | 0
  }

  /** What is released and tapped. A tap whose lease ran out is fenced: it finds that out by itself, and notes the gap. */
  #tappedPosition(released: number): number {
    const words = this.#words
    const leaseEnd = this.#counters[layout.TAP_LEASE_END] as number
    const tapped = Atomics.load(words, layout.TAP_POSITION_WORD)
    const behind = distance(tapped, released)
    if (behind <= 0) return released
    const isBelievable = (tapped & 7) === 0 && distance(tapped, this.#published) <= this.#capacityBytes
    const leftMs = leaseEnd - this.#machineMs()
    if (isBelievable && leftMs > 0 && leftMs <= layout.TAP_LEASE_MS_MAX) return tapped
    Atomics.compareExchange(words, TAP_STATE_WORD, layout.TAP_HOLDING, layout.TAP_FENCED)
    return released
  }

  #refuse(): number {
    this.#counters[layout.REFUSALS_COUNTER] = (this.#counters[layout.REFUSALS_COUNTER] as number) + 1
    return INSUFFICIENT_CAPACITY
  }

  #wakePeer(): void {
    if (!ringIfParked(this.#peer)) return
    const counters = this.#counters
    counters[layout.PRODUCER_RINGS_COUNTER] = (counters[layout.PRODUCER_RINGS_COUNTER] as number) + 1
  }

  #giveUp(fact: string, values: Readonly<Record<string, unknown>>): Error {
    return giveUpHeader(this.#words, this.name, fact, values)
  }
}

function increment(words: Int32Array, word: number): void {
  words[word] = ((words[word] as number) + 1) | 0
}
