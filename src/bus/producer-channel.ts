import { assert } from '#base/assert.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { type ChannelStat, channelStat } from './channel-stat.js'
import { FRAME_TOO_LARGE } from './frame.js'
import type { ChannelHold } from './channel-hold.js'
import { asDamage, type ChannelDamage, damageTo } from './channel-damage.js'
import { distance } from './position.js'
import { Producer } from './producer.js'
import { type RunningDutyCycle, runDutyCycle } from './waiting.js'

interface Waiter {
  readonly isReached: () => boolean
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/** The writing end of a channel that stands alone. Get one from `openChannel`. */
export class ProducerChannel {
  #producer: Producer
  readonly #hold: ChannelHold
  #waiters: Waiter[] = []
  /** Only while somebody waits: else the consumer would ring for every release, for nothing. */
  #running: RunningDutyCycle | undefined
  #heed: (() => void) | undefined
  #isClosed = false

  constructor(hold: ChannelHold) {
    this.#hold = hold
    this.#producer = hold.attach(({ buffer, end }) => new Producer(buffer, end))
    hold.bell.onRing(() => this.#rung())
    // A ring may have died with the predecessor.
    hold.ringOther()
  }

  /** For claims without a copy and publishing in batches. Another one after the channel was made anew. */
  get producer(): Producer {
    return this.#producer
  }

  /**
   * Copies the payload into a frame and publishes it; false when there is no room now. `type` is 0 or more. Throws ERR_FRAME_TOO_LARGE for
   * a payload above `producer.frameBytesMax`, and ERR_CHANNEL_CORRUPT unless the channel was opened with `onDamaged`: then it was told, and the
   * answer is false.
   */
  trySend(payload: Uint8Array, type = 0): boolean {
    this.#checkOpen()
    try {
      return this.#trySend(payload, type)
    } catch (error) {
      this.#giveUp(error)
      return false
    }
  }

  #trySend(payload: Uint8Array, type: number): boolean {
    const offset = this.producer.tryClaim(payload.length, type)
    if (offset === FRAME_TOO_LARGE) throw this.#tooLarge(payload.length)
    if (offset < 0) return false
    this.producer.bytes.set(payload, offset)
    this.producer.commit()
    this.producer.publish()
    return true
  }

  /** As `trySend`, but waits for room. One call at a time, or the order is anybody's guess. */
  async send(payload: Uint8Array, type = 0): Promise<void> {
    while (!this.trySend(payload, type)) await this.whenRoom(payload.length)
  }

  /**
   * Publishes what is committed, then resolves once a claim of `payloadBytes` would find room, or the channel was made anew. Throws
   * ERR_FRAME_TOO_LARGE for what never will; rejects when this end is closed before.
   */
  whenRoom(payloadBytes: number): Promise<void> {
    this.#checkOpen()
    if (payloadBytes > this.producer.frameBytesMax) throw this.#tooLarge(payloadBytes)
    try {
      this.producer.publish()
      if (this.producer.hasRoom(payloadBytes)) return Promise.resolve()
      return this.#wait(() => this.producer.hasRoom(payloadBytes)).catch((error: unknown) => this.#heal(error))
    } catch (error) {
      this.#giveUp(error)
    }
    return Promise.resolve()
  }

  /** Resolves once the consumer has released all frames before `position`, by default all that are published. Rejects when this end is closed before, or the channel given up. */
  whenReleased(position = this.producer.publishedPosition): Promise<void> {
    this.#checkOpen()
    assert(distance(position, this.producer.publishedPosition) >= 0, 'only what is published gets released')
    return this.#wait(() => distance(position, this.producer.releasedPosition()) >= 0)
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
    this.#rejectAll(damage.error)
    this.#renew()
    return damage
  }

  stat(): ChannelStat {
    this.#checkOpen()
    return channelStat(this.#hold.memory.buffer)
  }

  /** Gives the end up. What is published stays for the consumer; what is not is gone. */
  close(): void {
    this.#checkOpen()
    this.#isClosed = true
    this.#stopRunning()
    this.#hold.close()
    this.#rejectAll(this.#closedError())
  }

  #wait(isReached: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ isReached, resolve, reject })
      this.#running ??= this.#run()
      this.#running.wake()
    })
  }

  #run(): RunningDutyCycle {
    const { strategy, memory, clock, spinMicros } = this.#hold
    const { parked, counters } = memory
    const duty = { doWork: () => this.#settle(), hasWork: () => this.#waiters.some((waiter) => waiter.isReached()) }
    const bell = {
      onRing: (listener: () => void) => {
        this.#heed = listener
      },
    }
    const onError = (error: unknown) => this.#giveUpAlone(error)
    return runDutyCycle(duty, { strategy, parked, counters, bell, clock, onError, ...(spinMicros === undefined ? {} : { spinMicros }) })
  }

  /** Who rings an end that waits for nothing wants it to look at the channel. */
  #rung(): void {
    if (this.#heed !== undefined) return this.#heed()
    const error = this.#hold.onDamaged === undefined ? undefined : damageTo(this.#hold.memory.buffer)
    if (error !== undefined) this.#giveUpAlone(error)
  }

  /** Goes on in the channel made anew, or throws the error with the positions in it. */
  #giveUp(error: unknown): void {
    const damage = this.#damage(error)
    const { onDamaged } = this.#hold
    this.#hold.ringOther()
    this.#rejectAll(damage.error)
    if (onDamaged === undefined) throw damage.error
    this.#renew()
    onDamaged(damage)
  }

  /** Nobody called who could be told: those who wait are. */
  #giveUpAlone(error: unknown): void {
    try {
      this.#giveUp(error)
    } catch (failure) {
      this.#rejectAll(failure)
    }
  }

  /** Whoever waits for room has it, once the channel was made anew. */
  #heal(error: unknown): void {
    if (this.#hold.onDamaged === undefined || !isMillraceError(error, 'ERR_CHANNEL_CORRUPT')) throw error
  }

  #damage(error: unknown): ChannelDamage {
    const { name, releasedBefore, publishedPosition } = this.producer
    return asDamage(error, name, releasedBefore, publishedPosition)
  }

  #renew(): void {
    this.#producer = this.#hold.attach(({ buffer, end }) => new Producer(buffer, end), true)
    this.#hold.ringOther()
  }

  #stopRunning(): void {
    this.#running?.stop()
    this.#running = undefined
    this.#heed = undefined
  }

  #settle(): number {
    const reached = this.#waiters.filter((waiter) => waiter.isReached())
    if (reached.length === 0) return 0
    this.#waiters = this.#waiters.filter((waiter) => !reached.includes(waiter))
    for (const waiter of reached) waiter.resolve()
    if (this.#waiters.length === 0) this.#stopRunning()
    return reached.length
  }

  #rejectAll(error: unknown): void {
    const waiters = this.#waiters
    this.#waiters = []
    this.#stopRunning()
    for (const waiter of waiters) waiter.reject(error)
  }

  #checkOpen(): void {
    if (this.#isClosed) throw this.#closedError()
  }

  #closedError(): MillraceError {
    return new MillraceError('ERR_CHANNEL_CLOSED', {
      fact: "the producer's end of the channel is closed",
      action: 'operator',
      values: { channel: this.producer.name },
    })
  }

  #tooLarge(payloadBytes: number): MillraceError {
    return new MillraceError('ERR_FRAME_TOO_LARGE', {
      fact: 'the payload is larger than a quarter of the channel',
      action: 'operator',
      values: { channel: this.producer.name, payloadBytes, payloadBytesMax: this.producer.frameBytesMax },
      next: 'split it, or make the channel with a larger capacity',
    })
  }
}
