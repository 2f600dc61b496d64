import { FRAME_HEADER_BYTES, frameBytes, NO_FRAME, PADDING_TYPE } from './frame.js'
import { type ChannelHeader, corrupt } from './header.js'
import { channelBytes, HEADER_BYTES } from './layout.js'
import { distance } from './position.js'

/**
 * One step from frame to frame, with every length checked before it is believed: whatever stands in the memory, no access leaves it and
 * no step stands still.
 */
export class FrameWalk {
  /** The whole memory; the offset of a payload indexes into it. What is there belongs to the producer again after its release. */
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly name: string
  readonly capacityBytes: number

  /** Payload bytes of the frame. */
  length = 0
  type = 0
  /** Where the frame begins. */
  startPosition = 0
  /** Where it ends: release this position to give the frame back, and all before it. */
  endPosition = 0

  /** Header and ring as words. */
  protected readonly words: Int32Array
  readonly #mask: number

  constructor(buffer: ArrayBufferLike, header: Pick<ChannelHeader, 'name' | 'capacityBytes'>) {
    this.bytes = new Uint8Array(buffer)
    this.view = new DataView(buffer)
    this.name = header.name
    this.capacityBytes = header.capacityBytes
    this.words = new Int32Array(buffer, 0, channelBytes(header.capacityBytes) / 4)
    this.#mask = header.capacityBytes - 1
  }

  /**
   * Describes the frame at `position`, or the one behind the padding there, and answers where its payload begins. Nothing at or after
   * `limit` is looked at. With nothing but padding before it the answer is NO_FRAME and `endPosition` is the end of the padding.
   */
  protected walk(position: number, limit: number): number {
    const words = this.words
    let start = position
    let index = start & this.#mask
    let word = (HEADER_BYTES + index) >> 2
    let length = words[word] as number
    let type = words[word + 1] as number
    if (type === PADDING_TYPE) {
      // The ring's end; not at its beginning, where a whole lap of padding would never end.
      if (index === 0 || length !== this.capacityBytes - index - FRAME_HEADER_BYTES) throw this.#corruptAt(start, length, type)
      start = (start + length + FRAME_HEADER_BYTES) | 0
      this.endPosition = start
      if (distance(start, limit) < 0) throw this.#corruptAt(position, length, type)
      if (start === limit) return NO_FRAME
      index = 0
      word = HEADER_BYTES >> 2
      length = words[word] as number
      type = words[word + 1] as number
    }
    // Compared before anything is added to it: a scribbled length may be close to 2^31.
    if (length < 0 || length > this.capacityBytes / 4 - FRAME_HEADER_BYTES || type < 0) throw this.#corruptAt(start, length, type)
    const end = (start + frameBytes(length)) | 0
    if (index + frameBytes(length) > this.capacityBytes || distance(end, limit) < 0) throw this.#corruptAt(start, length, type)
    this.length = length
    this.type = type
    this.startPosition = start
    this.endPosition = end
    return HEADER_BYTES + index + FRAME_HEADER_BYTES
  }

  #corruptAt(position: number, length: number, type: number): Error {
    return corrupt(this.name, 'a frame in it is impossible', { position, length, type })
  }
}
