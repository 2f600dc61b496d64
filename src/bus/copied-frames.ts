import { FRAME_HEADER_BYTES, frameBytes, frameChecksum, PADDING_TYPE } from './frame.js'
import { CHECKSUM_BYTES } from './layout.js'

/** What has to be known of a channel to read frames that were copied out of its ring. */
export interface CopiedFrom {
  readonly capacityBytes: number
  readonly hasChecksums: boolean
}

/** Whether `next` found a frame; the bytes end, perhaps within a frame; or what is there cannot be a frame. */
export type CopiedFound = 'frame' | 'end' | 'damaged'

/**
 * Frames in bytes that were copied out of a ring, padding and all, and lie one behind the other. Nothing is believed before it is checked, and
 * nothing is allocated per frame. After `next` answered `frame` the fields describe it.
 */
export class CopiedFrames {
  /** Where the payload begins in the bytes, and how long it is. */
  offset = 0
  length = 0
  type = 0
  /** Where the frame begins in the bytes. */
  startOffset = 0
  /** How many of the bytes are whole frames and padding so far. */
  wholeBytes = 0

  readonly #capacityBytes: number
  readonly #mask: number
  readonly #checksumBytes: number
  readonly #frameBytesMax: number
  #words: Int32Array = new Int32Array(0)
  #byteCount = 0
  #position = 0

  constructor(channel: CopiedFrom) {
    this.#capacityBytes = channel.capacityBytes
    this.#mask = channel.capacityBytes - 1
    this.#checksumBytes = channel.hasChecksums ? CHECKSUM_BYTES : 0
    this.#frameBytesMax = channel.capacityBytes / 4 - FRAME_HEADER_BYTES - this.#checksumBytes
  }

  /** Starts over at the first of `byteCount` bytes, which lay at `position` (modulo 2^32) of the channel and now lie at a multiple of 4. */
  over(bytes: Uint8Array, byteCount: number, position: number): this {
    this.#words = new Int32Array(bytes.buffer, bytes.byteOffset, byteCount >> 2)
    this.#byteCount = byteCount
    this.#position = position
    this.wholeBytes = 0
    return this
  }

  next(): CopiedFound {
    for (;;) {
      const start = this.wholeBytes
      const left = this.#byteCount - start
      if (left < FRAME_HEADER_BYTES) return 'end'
      const word = start >> 2
      const length = this.#words[word] as number
      const type = this.#words[word + 1] as number
      const position = (this.#position + start) | 0
      const index = position & this.#mask
      const untilEnd = this.#capacityBytes - index
      if (type === PADDING_TYPE) {
        if (index === 0 || length !== untilEnd - FRAME_HEADER_BYTES) return 'damaged'
        if (untilEnd > left) return 'end'
        this.wholeBytes = start + untilEnd
        continue
      }
      if ((length | type | (this.#frameBytesMax - length)) < 0) return 'damaged'
      const bytes = frameBytes(length + this.#checksumBytes)
      if (bytes > untilEnd) return 'damaged'
      if (bytes > left) return 'end'
      if (this.#checksumBytes > 0) {
        const sumWord = word + (bytes >> 2) - 1
        if (this.#words[sumWord] !== frameChecksum(this.#words, word, sumWord, position)) return 'damaged'
      }
      this.startOffset = start
      this.offset = start + FRAME_HEADER_BYTES
      this.length = length
      this.type = type
      this.wholeBytes = start + bytes
      return 'frame'
    }
  }
}
