import { assert } from '#base/assert.js'
import type { Consumer } from './consumer.js'
import { NO_FRAME } from './frame.js'
import { FrameWalk } from './frame-walk.js'
import { distance } from './position.js'

/**
 * Reads frames again that the consumer has read and not yet released, without touching its cursors. After `next` the fields of FrameWalk
 * describe the frame.
 */
export class FrameCursor extends FrameWalk {
  readonly #consumer: Consumer
  #position: number

  /** Starts at the released position. */
  constructor(consumer: Consumer) {
    super(consumer.bytes.buffer, consumer)
    this.#consumer = consumer
    this.#position = consumer.releasedPosition
  }

  /** Goes to where a frame starts or ends, between the consumer's released and read positions. */
  seek(position: number): void {
    assert(distance(this.#consumer.releasedPosition, position) >= 0, 'a cursor does not go to released frames')
    assert(distance(position, this.#consumer.readPosition) >= 0, 'a cursor does not go ahead of its consumer')
    this.#position = position
  }

  /**
   * Moves past the next frame that ends at or before `limitPosition`, itself a frame's end not ahead of the consumer's read position, and
   * answers where its payload begins, or NO_FRAME. Throws ERR_CHANNEL_CORRUPT.
   */
  next(limitPosition: number): number {
    if (distance(this.#position, limitPosition) <= 0) return NO_FRAME
    assert(distance(limitPosition, this.#consumer.readPosition) >= 0, 'a cursor does not read ahead of its consumer')
    assert(distance(this.#consumer.releasedPosition, this.#position) >= 0, 'a cursor does not read released frames')
    const offset = this.walk(this.#position, limitPosition)
    this.#position = this.endPosition
    return offset
  }
}
