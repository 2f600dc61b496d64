import { assert } from '#base/assert.js'
import type { MillraceError } from '#base/errors.js'
import * as frame from './frame.js'
import { FrameWalk } from './frame-walk.js'
import { attach, giveUp, giveUpHeader } from './header.js'
import * as layout from './layout.js'
import * as peers from './peer.js'
import * as positions from './position.js'
import type { EndOptions } from './producer.js'

// As in producer.ts: no imported names where frames pass, no fields that begin undefined.
const { CONSUMER_RINGS_COUNTER, HEADER_BYTES, MAGIC, MAGIC_WORD, PUBLISHED_WORD, READ_WORD, RELEASED_CHECK_WORD, RELEASED_WORD } = layout
const { NO_FRAME } = frame
const { distance } = positions
const { ringIfParked, storePosition } = peers
const NO_WORDS = new Int32Array(0)

/** Of so many looks for a frame one is an ordered load. */
const LOOKS_MASK = 15

/**
 * The reading end of a channel. One at a time, in one process. Reading and releasing are two cursors: a frame that was read stays in the
 * ring until it is released, and a successor starts over at the released position, so that it meets every unreleased frame again, in
 * order. Released therefore has to mean: all that the frame caused is durable, or answered.
 *
 * After `next` the fields of FrameWalk describe the frame. Whatever finds the channel damaged gives it up for both ends and throws
 * ERR_CHANNEL_CORRUPT.
 */
export class Consumer extends FrameWalk {
  readonly #counters: Float64Array
  readonly #peer: peers.Peer
  readonly #peerWords: Int32Array = NO_WORDS
  readonly #peerIndex: number = 0
  #released = 0
  /** The published position as last loaded. */
  #tail = 0
  #looks = 0

  /** Throws ERR_CHANNEL_FORMAT, ERR_CHANNEL_CORRUPT, ERR_CHANNEL_SCHEMA or ERR_CHANNEL_FENCED; then nothing was taken over. */
  constructor(buffer: ArrayBufferLike, options: EndOptions) {
    const header = attach(buffer, 'consumer', options.schemaHash, options)
    super(buffer, header)
    this.#counters = new Float64Array(buffer, 0, HEADER_BYTES / 8)
    this.#peer = options.peer
    this.#peerWords = options.peer.words
    this.#peerIndex = options.peer.index
    this.#released = Atomics.load(this.words, RELEASED_WORD)
    this.endPosition = this.#released
    this.#tail = this.#released
    this.words[READ_WORD] = this.#released
    // A predecessor may have died between the two stores of a release.
    this.words[RELEASED_CHECK_WORD] = ~this.#released
  }

  /** Moves past the next frame and answers where its payload begins in `bytes`, or NO_FRAME. Throws ERR_CHANNEL_CORRUPT. */
  next(): number {
    const read = this.endPosition
    if (read === this.#tail) {
      // A plain look first, since spinning is looking: `Atomics.load` is a call. Now and then the ordered one all the same, as nothing obliges
      // a compiler to make a plain look again. The next frame is looked at as well, so that its bytes are on their way together with the news
      // of it; what is read there early means nothing.
      if (this.words[PUBLISHED_WORD] === read && (++this.#looks & LOOKS_MASK) !== 0) {
        this.lookAhead(read)
        return NO_FRAME
      }
      if (!this.#lookForMore()) return NO_FRAME
    }
    return this.walk(read, this.#tail)
  }

  /** Hands at most `limit` frames to the handler and answers how many. A frame whose handler throws counts as read. */
  poll(handler: (offset: number, length: number, type: number) => void, limit: number): number {
    let count = 0
    while (count < limit) {
      const offset = this.next()
      if (offset === NO_FRAME) break
      count++
      handler(offset, this.length, this.type)
    }
    return count
  }

  /** Whether `next` would find something: looks at the shared word, so that it serves before parking too. */
  hasFrames(): boolean {
    return Atomics.load(this.words, PUBLISHED_WORD) !== this.endPosition
  }

  /**
   * How much is published and not read: frames with their headers and padding. As much as the ring holds where the published position is impossible,
   * so that whoever waits for enough looks, and finds the damage.
   */
  get waitingBytes(): number {
    const bytes = distance(this.endPosition, Atomics.load(this.words, PUBLISHED_WORD))
    return bytes < 0 || bytes > this.capacityBytes ? this.capacityBytes : bytes
  }

  /**
   * Gives back everything before `position`, which is the end of a frame that was read, and wakes the producer if it sleeps. Never goes
   * back; does nothing at the position released before.
   */
  release(position: number): void {
    if (position === this.#released) return
    if ((distance(this.#released, position) | distance(position, this.endPosition)) < 0) this.#checkRelease(position)
    if (this.hasChecksums) this.#announceRelease(position)
    this.#released = position
    this.words[READ_WORD] = this.endPosition
    // SYNC released: all reads of the frames come before this store; the producer writes over them only after it loaded the word.
    const isParked = storePosition(this.words, RELEASED_WORD, position, this.#peerWords, this.#peerIndex)
    // SYNC fence: the store above may have covered the mark of a fence.
    if (this.words[MAGIC_WORD] !== MAGIC) throw giveUpHeader(this.words, this.name, 'its magic number is gone', {})
    if (isParked) this.#wakePeer()
  }

  /** End of the last frame that `next` gave. */
  get readPosition(): number {
    return this.endPosition
  }

  get releasedPosition(): number {
    return this.#released
  }

  /** Term of whoever produces now; it changes when that process is replaced, and what the former one owed will not come. */
  get producerTerm(): number {
    return Atomics.load(this.words, layout.END_WORD.producer + layout.TERM)
  }

  /** Gives the channel up, since a frame in it makes no sense to whoever reads it; the error to throw. It is made anew, and what was in it comes again. */
  giveUp(fact: string, values: Readonly<Record<string, unknown>>): MillraceError {
    return giveUp(this.words, this.name, fact, values)
  }

  #checkRelease(position: number): void {
    assert(distance(this.#released, position) > 0, 'a release does not go back')
    assert(distance(position, this.endPosition) >= 0, 'only what was read is released')
  }

  /** In a channel with checksums: so that the producer never believes a released position that somebody else wrote. */
  #announceRelease(position: number): void {
    this.#lookAtOwn()
    // SYNC release check: stored before the position itself, which the producer believes only together with this.
    this.words[RELEASED_CHECK_WORD] = ~position
  }

  #lookAtOwn(): void {
    const { words } = this
    if (words[RELEASED_WORD] === this.#released && words[RELEASED_CHECK_WORD] === ~this.#released) return
    throw giveUpHeader(words, this.name, 'its released position was written over', {
      position: words[RELEASED_WORD],
      released: this.#released,
    })
  }

  #lookForMore(): boolean {
    // SYNC published: this load comes before any read of the frames that it covers.
    const tail = Atomics.load(this.words, PUBLISHED_WORD)
    // Negative when the position went back, or further than the ring is long; and of a multiple of 8 the low bits are 0.
    if (((tail - this.#tail) | (this.capacityBytes - (tail - this.#released))) < 0 || (tail & 7) !== 0) this.#giveUpAt(tail)
    this.words[READ_WORD] = this.endPosition
    if (tail === this.#tail) return this.#lookAtFence()
    this.#tail = tail
    return true
  }

  /** SYNC fence: its mark on the position may have been covered by the producer. */
  #lookAtFence(): false {
    if (this.words[MAGIC_WORD] !== MAGIC) throw giveUpHeader(this.words, this.name, 'its magic number is gone', {})
    if (this.hasChecksums) this.#lookAtOwn()
    return false
  }

  #giveUpAt(tail: number): never {
    throw giveUpHeader(this.words, this.name, 'its published position is impossible', {
      position: tail,
      publishedBefore: this.#tail,
      released: this.#released,
    })
  }

  #wakePeer(): void {
    if (!ringIfParked(this.#peer)) return
    this.#counters[CONSUMER_RINGS_COUNTER] = (this.#counters[CONSUMER_RINGS_COUNTER] as number) + 1
  }
}
