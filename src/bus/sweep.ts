import { assert } from '#base/assert.js'
import type { Consumer } from './consumer.js'
import { NO_FRAME } from './frame.js'

export const FRAMES_PER_CHANNEL_MAX = 16

/** Gets a frame of one of the channels: its payload is `bytes.subarray(offset, offset + length)` of the consumer. */
export type SweepHandler = (consumer: Consumer, offset: number) => void

/**
 * Reads many channels in turn: how a process takes what many others send it. An empty channel costs a look at two cache lines that nobody
 * writes meanwhile. Each channel gives at most so many frames a round, so that one that is flooded delays the others by that and no more.
 * Who sweeps releases, each channel by itself.
 */
export class Sweep {
  readonly #consumers: readonly Consumer[]
  readonly #framesPerChannelMax: number
  #next = 0

  constructor(consumers: readonly Consumer[], framesPerChannelMax = FRAMES_PER_CHANNEL_MAX) {
    assert(framesPerChannelMax > 0 && Number.isInteger(framesPerChannelMax), 'a channel gives at least one frame a round')
    this.#consumers = consumers
    this.#framesPerChannelMax = framesPerChannelMax
  }

  /**
   * One round over all channels; answers how many frames the handler got. Throws what the handler throws, whose frame counts as read, and
   * ERR_CHANNEL_CORRUPT; the next round then goes on with the channel after that one, so that a broken channel starves no other.
   */
  poll(handler: SweepHandler): number {
    const consumers = this.#consumers
    const count = consumers.length
    let frames = 0
    let index = this.#next
    for (let turn = 0; turn < count; turn++) {
      const consumer = consumers[index] as Consumer
      index = index + 1 === count ? 0 : index + 1
      this.#next = index
      for (let frame = 0; frame < this.#framesPerChannelMax; frame++) {
        const offset = consumer.next()
        if (offset === NO_FRAME) break
        frames++
        handler(consumer, offset)
      }
    }
    return frames
  }

  /** Whether `poll` would find something; looks at the shared words, so that it serves before parking too. */
  hasFrames(): boolean {
    for (const consumer of this.#consumers) if (consumer.hasFrames()) return true
    return false
  }
}
