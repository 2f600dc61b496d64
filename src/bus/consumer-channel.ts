import { assert } from '#base/assert.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { type ChannelStat, channelStat } from './channel-stat.js'
import { Consumer } from './consumer.js'
import { NO_FRAME } from './frame.js'
import { asDamage, type ChannelDamage, damageTo } from './channel-damage.js'
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
  /**
   * Told what the handler threw, and that frame is not released; or ERR_CHANNEL_CORRUPT, unless the channel was opened with `onDamaged`.
   * Consuming has stopped; after ERR_CHANNEL_CORRUPT `reopen` begins it again. Default: an uncaught exception.
   */
  readonly onError?: (error: unknown) => void
}

const FRAMES_PER_STEP = 256

/** The reading end of a channel that stands alone. Get one from `openChannel`. */
export class ConsumerChannel {
  #consumer: Consumer
  readonly #hold: ChannelHold
  #consume: (() => RunningDutyCycle) | undefined
  #running: RunningDutyCycle | undefined
  #isClosed = false

  constructor(hold: ChannelHold) {
    this.#hold = hold
    this.#consumer = hold.attach(({ buffer, end }) => new Consumer(buffer, end))
    // A ring may have died with the predecessor.
    hold.ringOther()
  }

  /** For reading, releasing and looking by oneself. Another one after the channel was made anew. */
  get consumer(): Consumer {
    return this.#consumer
  }

  /** The whole memory, which the offsets that a handler gets index into. */
  get bytes(): Uint8Array {
    return this.#consumer.bytes
  }

  get view(): DataView {
    return this.#consumer.view
  }

  /** Hands every frame to the handler, in order, as it comes, until the end is closed. Once per channel. */
  consume(handler: FrameHandler, options: ConsumeOptions = {}): void {
    this.#checkOpen()
    assert(this.#consume === undefined, 'a channel is consumed once')
    const { release = 'after-handler', onError = throwUncaught } = options
    const isReleasing = release === 'after-handler'
    const duty = { doWork: () => this.#step(handler, isReleasing), hasWork: () => this.#consumer.hasFrames() }
    this.#consume = () => {
      const { strategy, memory, bell, clock, spinMicros } = this.#hold
      const { parked, counters } = memory
      return runDutyCycle(duty, {
        ...{ strategy, parked, counters, bell, clock },
        onError: (error) => this.#failed(error, onError),
        ...(spinMicros === undefined ? {} : { spinMicros }),
      })
    }
    this.#running = this.#consume()
  }

  /**
   * After ERR_CHANNEL_CORRUPT: goes on in the channel made anew, by this end or by the other before, and answers what was given up. Undefined
   * when the channel is not damaged.
   */
  reopen(): ChannelDamage | undefined {
    this.#checkOpen()
    const error = damageTo(this.#hold.memory.buffer)
    if (error === undefined) return undefined
    const damage = this.#damage(error)
    this.#renew()
    return damage
  }

  stat(): ChannelStat {
    this.#checkOpen()
    return channelStat(this.#hold.memory.buffer)
  }

  /** Gives the end up; may be called by the handler. Frames not released stay for a successor. */
  close(): void {
    this.#checkOpen()
    this.#isClosed = true
    this.#running?.stop()
    this.#hold.close()
  }

  #step(handler: FrameHandler, isReleasing: boolean): number {
    const consumer = this.#consumer
    let handled = consumer.readPosition
    let count = 0
    try {
      while (count < FRAMES_PER_STEP && !this.#isClosed) {
        const offset = consumer.next()
        if (offset === NO_FRAME) break
        const end = consumer.endPosition
        handler(offset, consumer.length, consumer.type)
        // The handler may have closed this end, or made the channel anew.
        if (consumer !== this.#consumer) return count
        handled = end
        count++
      }
    } catch (error) {
      if (isReleasing && !this.#isClosed && !isMillraceError(error, 'ERR_CHANNEL_CORRUPT')) consumer.release(handled)
      throw error
    }
    if (isReleasing && !this.#isClosed) consumer.release(handled)
    return count
  }

  #failed(error: unknown, onError: (error: unknown) => void): void {
    if (!isMillraceError(error, 'ERR_CHANNEL_CORRUPT')) return onError(error)
    const damage = this.#damage(error)
    const { onDamaged } = this.#hold
    this.#hold.ringOther()
    if (onDamaged === undefined) return onError(damage.error)
    try {
      this.#renew()
      onDamaged(damage)
    } catch (failure) {
      onError(failure)
    }
  }

  #damage(error: unknown): ChannelDamage {
    const { name, releasedPosition, readPosition } = this.#consumer
    return asDamage(error, name, releasedPosition, readPosition)
  }

  #renew(): void {
    this.#running?.stop()
    this.#consumer = this.#hold.attach(({ buffer, end }) => new Consumer(buffer, end), true)
    this.#running = this.#consume?.()
    this.#hold.ringOther()
  }

  #checkOpen(): void {
    if (!this.#isClosed) return
    throw new MillraceError('ERR_CHANNEL_CLOSED', {
      fact: "the consumer's end of the channel is closed",
      action: 'operator',
      values: { channel: this.#consumer.name },
    })
  }
}

function throwUncaught(error: unknown): void {
  setImmediate(() => {
    throw error
  })
}
