import { assert } from '#base/assert.js'
import { CopiedFrames } from './copied-frames.js'
import { corrupt, readHeader } from './header.js'
import * as layout from './layout.js'
import { machineMs } from './machine-ms.js'
import { NO_PEER, type Peer, ringIfParked } from './peer.js'
import { distance } from './position.js'

const { HEADER_BYTES, TAP_HOLDING, TAP_NONE, TAP_STATE_WORD } = layout

export interface TapOptions {
  /** Of the process that taps. */
  readonly pid: number
  readonly startTime: number
  /** How long the producer may be kept waiting by a tap that does not get on, at most TAP_LEASE_MS_MAX. */
  readonly leaseMs: number
  /** The producer's process, woken when the tap makes room. Without it a parked one looks again by itself. */
  readonly peer?: Peer
  /** The clock that leases are counted on: monotonic, in milliseconds, the same for every process. */
  readonly machineMs?: () => number
}

/**
 * What a look found. `frames`: some were copied. `gap`: the lease had run out, and what lay between was written over. `gone`: the channel was
 * given up by an end, or made anew in the same memory; make another tap once it can be believed again.
 */
export type TapFound = 'nothing' | 'frames' | 'gap' | 'gone'

const TWO_TO_32 = 2 ** 32

/**
 * A second reader of a channel, beside the consumer and without its knowledge: it copies every frame that is published, and holds the release
 * back until it has done so. One per channel at a time, in any process; it shares nothing with the consumer, takes nothing from it, and a
 * channel that it finds damaged it leaves to the ends.
 *
 *        released ──▶ ┌ tap ┐ ──▶ published          the producer may write up to min(released, tap) + capacity,
 *                     └ ─ ─ ┘                        as long as the tap's state is HOLDING
 *
 *   NONE ──attach──▶ HOLDING ──the producer needs room, the lease ran out──▶ FENCED ──the tap looks again──▶ HOLDING
 *
 * The lease is renewed by every look that got on or had nothing left to copy. So a tap that is killed, stopped or too slow keeps the producer
 * waiting for one lease at most, once; it then finds itself fenced and says how many bytes it missed.
 *
 * SYNC tap: three races, each decided by an order that both sides keep. The tap's own words are stored and loaded sequentially consistent, the
 * positions loaded so; how the ends store them does not matter here, as a position only grows and nobody sees it go back.
 *   - Where to begin. The tap stores HOLDING, then loads the released position R and begins there. The producer loads the released position,
 *     then the state. If its load of the state came before the store, its load of the released position came before the tap's and gave R or
 *     less: nothing at or behind R is written over, nor will be before it looks again. If it came after, it sees the tap.
 *   - Whether a copy is whole. The producer fences by storing FENCED and only then writes over what the tap held. The tap copies, then looks
 *     at the state, by a compare-and-exchange, since a plain load might be satisfied before the copy is. HOLDING means that nothing of the
 *     copy was written over; anything else, and the copy is thrown away.
 *   - Who wakes whom. The tap stores its position, then looks whether the producer sleeps; the producer says that it sleeps, then looks for room.
 */
export class Tap {
  readonly name: string
  readonly capacityBytes: number
  readonly schemaHash: number
  readonly hasChecksums: boolean
  /** The least room that a look needs: the largest frame, or the padding before it. */
  readonly pollBytesMin: number

  /** Of what the last look copied: how many bytes, how many frames in them, and where they begin. */
  byteCount = 0
  frameCount = 0
  /** Grows for ever, unlike the positions in the channel, which are the same modulo 2^32. */
  startPosition = 0
  /** How many bytes the last gap misses. */
  gapBytes = 0

  readonly #words: Int32Array
  readonly #ring: Uint8Array
  readonly #counters: Float64Array
  readonly #frames: CopiedFrames
  readonly #options: TapOptions
  readonly #peer: Peer
  readonly #machineMs: () => number
  readonly #mask: number
  /** In the channel, of the next byte to copy; and the same as a number that never wraps. */
  #own = 0
  #position = 0
  /** The channel's own count of bytes at the last look: tells a gap of 2^32 bytes from none. */
  #bytesPublished = 0

  /** Attaches. Throws ERR_CHANNEL_FORMAT or ERR_CHANNEL_CORRUPT when the memory is no channel to be believed. Another tap is taken over. */
  constructor(buffer: ArrayBufferLike, options: TapOptions) {
    const { name, capacityBytes, schemaHash, hasChecksums } = readHeader(buffer)
    this.name = name
    this.capacityBytes = capacityBytes
    this.schemaHash = schemaHash
    this.hasChecksums = hasChecksums
    this.pollBytesMin = capacityBytes / 4
    this.#words = new Int32Array(buffer, 0, HEADER_BYTES / 4)
    this.#counters = new Float64Array(buffer, 0, HEADER_BYTES / 8)
    this.#ring = new Uint8Array(buffer, HEADER_BYTES, capacityBytes)
    this.#frames = new CopiedFrames({ capacityBytes, hasChecksums })
    this.#options = options
    this.#peer = options.peer ?? NO_PEER
    this.#machineMs = options.machineMs ?? machineMs
    this.#mask = capacityBytes - 1
    this.#own = this.#hold()
    this.#position = this.#own >>> 0
    this.#bytesPublished = this.#countPublished()
  }

  /** Of the next byte to copy, as `startPosition` counts. */
  get position(): number {
    return this.#position
  }

  /** How much is published and not copied yet. */
  get waitingBytes(): number {
    return distance(this.#own, Atomics.load(this.#words, layout.PUBLISHED_WORD))
  }

  /**
   * Copies whole frames, as many as are there and fit, into `target`, which begins at a multiple of 4 and has `pollBytesMin` bytes or more.
   * Never blocks. Throws ERR_CHANNEL_CORRUPT when what is published cannot be frames; the channel stays as it is.
   */
  poll(target: Uint8Array): TapFound {
    assert(target.length >= this.pollBytesMin, 'a look has room for the largest frame')
    if (!this.#isHolding()) return this.#holdAgain()
    // SYNC published: this load comes before any read of the frames that it covers.
    const published = Atomics.load(this.#words, layout.PUBLISHED_WORD)
    const waiting = distance(this.#own, published)
    if (waiting === 0) {
      this.#renew()
      return 'nothing'
    }
    if (waiting < 0 || waiting > this.capacityBytes || (published & 7) !== 0) {
      if (this.#isGone()) return 'gone'
      if (!this.#isHolding()) return this.#holdAgain()
      throw corrupt(this.name, 'its published position is impossible', { position: published, tapped: this.#own })
    }
    const byteCount = Math.min(waiting, target.length & -8)
    this.#copy(target, byteCount)
    if (!this.#isHolding()) return this.#holdAgain()

    const frames = this.#frames.over(target, byteCount, this.#own)
    let frameCount = 0
    let found = frames.next()
    for (; found === 'frame'; found = frames.next()) frameCount++
    // The end of what is published is the end of a frame.
    const isWhole = byteCount < waiting ? frames.wholeBytes > 0 : frames.wholeBytes === byteCount
    if (found === 'damaged' || !isWhole) {
      if (this.#isGone()) return 'gone'
      throw corrupt(this.name, 'a frame in it is impossible', { position: (this.#own + frames.wholeBytes) | 0 })
    }
    this.byteCount = frames.wholeBytes
    this.frameCount = frameCount
    this.startPosition = this.#position
    this.#advance(frames.wholeBytes)
    return 'frames'
  }

  /** Lets the producer go on alone. The tap is not used again. */
  detach(): void {
    if (this.#isGone()) return
    this.#words[layout.TAP_PID_WORD] = 0
    Atomics.store(this.#words, TAP_STATE_WORD, TAP_NONE)
    ringIfParked(this.#peer)
  }

  /** Sets the state and answers where the tap begins. */
  #hold(): number {
    const words = this.#words
    Atomics.store(words, TAP_STATE_WORD, TAP_NONE)
    Atomics.store(words, layout.TAP_POSITION_WORD, Atomics.load(words, layout.RELEASED_WORD))
    this.#counters[layout.TAP_START_TIME] = this.#options.startTime
    words[layout.TAP_PID_WORD] = this.#options.pid
    this.#renew()
    Atomics.store(words, TAP_STATE_WORD, TAP_HOLDING)
    // SYNC tap: loaded after the store above.
    const released = Atomics.load(words, layout.RELEASED_WORD)
    Atomics.store(words, layout.TAP_POSITION_WORD, released)
    return released
  }

  /** After the producer fenced it. What is not released yet is still there, so a gap may also be none. */
  #holdAgain(): TapFound {
    if (this.#isGone()) return 'gone'
    const released = this.#hold()
    const bytesPublished = this.#countPublished()
    const passed = Math.max(0, bytesPublished - this.#bytesPublished)
    this.#bytesPublished = bytesPublished
    if (passed < TWO_TO_32 / 2 && distance(this.#own, released) <= 0) {
      Atomics.store(this.#words, layout.TAP_POSITION_WORD, this.#own)
      return 'nothing'
    }
    const gapBytes = (released - this.#own) >>> 0
    // The released position is behind the published one by a capacity at most, so the laps that the count adds are whole to within that.
    this.gapBytes = gapBytes + TWO_TO_32 * Math.max(0, Math.round((passed - gapBytes) / TWO_TO_32))
    this.startPosition = this.#position
    this.#own = released
    this.#position += this.gapBytes
    return 'gap'
  }

  #copy(target: Uint8Array, byteCount: number): void {
    const index = this.#own & this.#mask
    const first = Math.min(byteCount, this.capacityBytes - index)
    target.set(this.#ring.subarray(index, index + first))
    if (first < byteCount) target.set(this.#ring.subarray(0, byteCount - first), first)
  }

  #advance(byteCount: number): void {
    const words = this.#words
    const before = this.#own
    this.#own = (before + byteCount) | 0
    this.#position += byteCount
    this.#bytesPublished = this.#countPublished()
    this.#renew()
    // SYNC tap: the copy comes before this store; the producer writes over the bytes only after it loaded the word.
    Atomics.store(words, layout.TAP_POSITION_WORD, this.#own)
    // Only a tap that was behind the consumer held anything back, and no frame needs more than half of the ring, padding included. Looked at after
    // the store: whoever parked before saw the old position, and has published.
    const heldBack = distance(before, Atomics.load(words, layout.RELEASED_WORD)) > 0
    if (heldBack && distance(before, Atomics.load(words, layout.PUBLISHED_WORD)) > this.capacityBytes / 2) ringIfParked(this.#peer)
  }

  #renew(): void {
    this.#counters[layout.TAP_LEASE_END] = this.#machineMs() + Math.min(this.#options.leaseMs, layout.TAP_LEASE_MS_MAX)
  }

  #isHolding(): boolean {
    return Atomics.compareExchange(this.#words, TAP_STATE_WORD, TAP_HOLDING, TAP_HOLDING) === TAP_HOLDING && !this.#isGone()
  }

  /** The name of the holder goes when the channel is made anew. */
  #isGone(): boolean {
    return Atomics.load(this.#words, layout.MAGIC_WORD) !== layout.MAGIC || this.#words[layout.TAP_PID_WORD] !== this.#options.pid
  }

  /** Coarse: the two words are not stored at one time. */
  #countPublished(): number {
    const laps = Atomics.load(this.#words, layout.LAPS_WORD) >>> 0
    return laps * TWO_TO_32 + (Atomics.load(this.#words, layout.PUBLISHED_WORD) >>> 0)
  }
}
