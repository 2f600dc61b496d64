import * as frame from './frame.js'
import { type ChannelHeader, giveUp } from './header.js'
import { CHECKSUM_BYTES, HEADER_BYTES } from './layout.js'
import * as positions from './position.js'

// As in producer.ts: no imported names where frames pass, no fields that begin undefined.
const { FRAME_HEADER_BYTES, frameChecksum, NO_FRAME, PADDING_TYPE } = frame
const { distance } = positions
const ALIGNING = -frame.FRAME_ALIGNMENT
const NO_WORDS = new Int32Array(0)
const PAYLOAD_BEGIN = HEADER_BYTES + FRAME_HEADER_BYTES

/**
 * One step from frame to frame, with every length checked before it is believed: whatever stands in the memory, no access leaves it and
 * no step stands still.
 */
export class FrameWalk {
  /** The whole memory; the offset of a payload indexes into it. What is there belongs to the producer again after its release. */
  readonly bytes: Uint8Array
  readonly view: DataView
  /** The same in the byte order of the machine: payloads begin at multiples of 8, `offset >> 3` here. The cheapest way to read numbers. */
  readonly floats: Float64Array
  readonly name: string
  readonly capacityBytes: number = 0
  readonly hasChecksums: boolean = false

  /** Payload bytes of the frame. */
  length = 0
  type = 0
  /** Where it ends: release this position to give the frame back, and all before it. */
  endPosition = 0

  /** Of the header. */
  protected readonly words: Int32Array = NO_WORDS
  readonly #ring: Int32Array = NO_WORDS
  /** What `lookAhead` found: kept, since a look whose result nobody keeps is not made. */
  protected lookedAt = 0
  readonly #mask: number = 0
  readonly #roundingBytes: number = 0
  readonly #frameBytesMax: number = 0
  /** The largest payload that needs no more looks than its length; none does without in a channel with checksums. */
  readonly #plainBytesMax: number = 0

  constructor(buffer: ArrayBufferLike, header: Pick<ChannelHeader, 'name' | 'capacityBytes' | 'hasChecksums'>) {
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.floats = new Float64Array(buffer, 0, buffer.byteLength >> 3)
    this.name = header.name
    this.capacityBytes = header.capacityBytes
    this.words = new Int32Array(buffer, 0, HEADER_BYTES / 4)
    this.#ring = new Int32Array(buffer, HEADER_BYTES, header.capacityBytes / 4)
    this.hasChecksums = header.hasChecksums
    this.#mask = header.capacityBytes - 1
    const checksumBytes = header.hasChecksums ? CHECKSUM_BYTES : 0
    this.#roundingBytes = FRAME_HEADER_BYTES + checksumBytes + frame.FRAME_ALIGNMENT - 1
    this.#frameBytesMax = header.capacityBytes / 4 - FRAME_HEADER_BYTES - checksumBytes
    this.#plainBytesMax = header.hasChecksums ? -1 : this.#frameBytesMax
  }

  /** Where the frame begins. */
  get startPosition(): number {
    return (this.endPosition - ((this.length + this.#roundingBytes) & ALIGNING)) | 0
  }

  /**
   * Describes the frame at `position`, or the one behind the padding there, and answers where its payload begins. Nothing at or after
   * `limit` is looked at. With nothing but padding before it the answer is NO_FRAME and `endPosition` is the end of the padding.
   */
  protected walk(position: number, limit: number): number {
    const index = position & this.#mask
    const length = this.#ring[index >> 2] as number
    const type = this.#ring[(index >> 2) + 1] as number
    const bytes = (length + this.#roundingBytes) & ALIGNING
    // Negative when any of them is: padding, an impossible length, or a frame that goes on behind the ring's end or the limit.
    const doubts = length | type | (this.#plainBytesMax - length) | (this.capacityBytes - index - bytes) | (limit - position - bytes)
    if (doubts < 0) return this.#walkWithCare(position, limit)
    this.length = length
    this.type = type
    this.endPosition = (position + bytes) | 0
    return PAYLOAD_BEGIN + index
  }

  #walkWithCare(position: number, limit: number): number {
    const ring = this.#ring
    let start = position
    let index = start & this.#mask
    let length = ring[index >> 2] as number
    let type = ring[(index >> 2) + 1] as number
    if (type === PADDING_TYPE) {
      // The ring's end; not at its beginning, where a whole lap of padding would never end.
      if (index === 0 || length !== this.capacityBytes - index - FRAME_HEADER_BYTES) throw this.#corruptAt(start, length, type)
      start = (start + length + FRAME_HEADER_BYTES) | 0
      this.endPosition = start
      if (distance(start, limit) < 0) throw this.#corruptAt(position, length, type)
      if (start === limit) return NO_FRAME
      index = 0
      length = ring[0] as number
      type = ring[1] as number
    }
    // Before anything is added to the length: a scribbled one may be close to 2^31.
    if ((length | type | (this.#frameBytesMax - length)) < 0) throw this.#corruptAt(start, length, type)
    const bytes = (length + this.#roundingBytes) & ALIGNING
    const end = (start + bytes) | 0
    if (index + bytes > this.capacityBytes || distance(end, limit) < 0) throw this.#corruptAt(start, length, type)
    if (this.hasChecksums) this.#check(index >> 2, bytes, start)
    this.length = length
    this.type = type
    this.endPosition = end
    return PAYLOAD_BEGIN + index
  }

  /** Touches the header of the frame that will be at `position`. */
  protected lookAhead(position: number): void {
    this.lookedAt = this.#ring[(position & this.#mask) >> 2] as number
  }

  #check(word: number, bytes: number, position: number): void {
    const sumWord = word + (bytes >> 2) - 1
    const expected = frameChecksum(this.#ring, word, sumWord, position)
    const stored = this.#ring[sumWord] as number
    if (stored !== expected)
      throw giveUp(this.words, this.name, 'a frame in it does not match its checksum', { position, stored, expected })
  }

  #corruptAt(position: number, length: number, type: number): Error {
    return giveUp(this.words, this.name, 'a frame in it is impossible', { position, length, type })
  }
}
