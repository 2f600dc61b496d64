import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import { type ChannelStat, channelStat } from './channel-stat.js'
import { Consumer } from './consumer.js'
import { NO_FRAME } from './frame.js'
import type { ChannelHold } from './channel-hold.js'
import { type RunningDutyCycle, runDutyCycle } from './waiting.js'

/** Gets a frame: its payload is `bytes.subarray(offset, offset + length)` of the consumer, valid until the frame is released. */
export type FrameHandler = (offset: number, length: number, type: number) => void

export interface ConsumeOptions {
  /**
   * `after-handler` (the default): a frame is released when its handler has returned. `by-caller`: call `consumer.release` once all that
   * the frame caused is durable; until then a successor would get it again.
   */
  readonly release?: 'after-handler' | 'by-caller'
  /** Told what the handler threw, or ERR_CHANNEL_CORRUPT; consuming has stopped, and that frame is not released. Default: an uncaught exception. */
  readonly onError?: (error: unknown) => void
}

const FRAMES_PER_STEP = 256

/** The reading end of a channel that stands alone. Get one from `openChannel`. */
export class ConsumerChannel {
  /** For reading, releasing and looking by oneself. */
  readonly consumer: Consumer
  /** The whole memory, which the offsets that a handler gets index into. */
  readonly bytes: Uint8Array
  readonly view: DataView
  readonly #hold: ChannelHold
  #running: RunningDutyCycle | undefined
  #isClosed = false

  constructor(hold: ChannelHold) {
    this.#hold = hold
    this.consumer = new Consumer(hold.buffer, hold.end)
    this.bytes = this.consumer.bytes
    this.view = this.consumer.view
  }

  /** Hands every frame to the handler, in order, as it comes, until the end is closed. Once per channel. */
  consume(handler: FrameHandler, options: ConsumeOptions = {}): void {
    this.#checkOpen()
    assert(this.#running === undefined, 'a channel is consumed once')
    const { release = 'after-handler', onError = throwUncaught } = options
    const isReleasing = release === 'after-handler'
    const duty = { doWork: () => this.#step(handler, isReleasing), hasWork: () => this.consumer.hasFrames() }
    this.#running = runDutyCycle(duty, {
      strategy: this.#hold.strategy,
      parked: this.#hold.parked,
      counters: this.#hold.counters,
      bell: this.#hold.bell,
      clock: this.#hold.clock,
      onError,
      ...(this.#hold.spinMicros === undefined ? {} : { spinMicros: this.#hold.spinMicros }),
    })
  }

  stat(): ChannelStat {
    this.#checkOpen()
    return channelStat(this.#hold.buffer)
  }

  /** Gives the end up; may be called by the handler. Frames not released stay for a successor. */
  close(): void {
    this.#checkOpen()
    this.#isClosed = true
    this.#running?.stop()
    this.#hold.close()
  }

  #step(handler: FrameHandler, isReleasing: boolean): number {
    const { consumer } = this
    let handled = consumer.readPosition
    let count = 0
    try {
      while (count < FRAMES_PER_STEP && !this.#isClosed) {
        const offset = consumer.next()
        if (offset === NO_FRAME) break
        const end = consumer.endPosition
        handler(offset, consumer.length, consumer.type)
        handled = end
        count++
      }
    } finally {
      if (isReleasing && !this.#isClosed) consumer.release(handled)
    }
    return count
  }

  #checkOpen(): void {
    if (!this.#isClosed) return
    throw new MillraceError('ERR_CHANNEL_CLOSED', {
      fact: "the consumer's end of the channel is closed",
      action: 'operator',
      values: { channel: this.consumer.name },
    })
  }
}

function throwUncaught(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}
