import type { IClientOptions, IConnackPacket, IPublishPacket, MqttClient } from 'mqtt'
import type { Cancel, Clock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import { explainFailure, type MqttFailure } from './mqtt-failure.js'
import type { SourceLog } from './source.js'

/** `connect` of the mqtt package, which takes a tenth of a second to load. */
export type MqttConnect = (url: string, options: IClientOptions) => MqttClient

export interface MqttLinkOptions {
  readonly connect: MqttConnect
  readonly url: string
  /** Without what the link decides itself: when to connect again. */
  readonly client: IClientOptions
  readonly clock: Clock
  readonly log: SourceLog
  /** `isResumed`: the broker knew the session. */
  readonly onOpen: (client: MqttClient, isResumed: boolean, connack: IConnackPacket) => void
  readonly onClose: () => void
  /** Each message; call `next` for the one behind it. Nothing is acknowledged but by the receiver itself. */
  readonly onMessage?: (packet: IPublishPacket, next: () => void) => void
}

const RETRY_MS_MIN = 250
const RETRY_MS_MAX = 30_000
/** A connection that lasted so long was a good one. */
const STABLE_MS = 5000
const CONNECT_TIMEOUT_MS = 10_000
export const KEEPALIVE_SECONDS = 30

/** Told to the client library for each message, so that it leaves the PUBACK to us. */
const ACKNOWLEDGED_LATER = new Error('acknowledged later')

/**
 * A connection to a broker, made again whenever it ends: after a quarter of a second, then twice as long each time up to half a minute, which
 * is also the pause after a refusal. A reason is logged once, until it changes. Each connection is a client of its own, so that nothing of an
 * old one is taken for the new one's.
 */
export class MqttLink {
  readonly #options: MqttLinkOptions
  #client: MqttClient | undefined
  #isOpen = false
  #isClosed = false
  #retryMs = RETRY_MS_MIN
  #openedMs = 0
  #lastFact = ''
  #failure: MqttFailure | undefined
  #cancelRetry: Cancel = () => {}

  constructor(options: MqttLinkOptions) {
    this.#options = options
    this.#connect()
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** Why there is no connection; undefined while there is one, and before the first attempt failed. */
  get failure(): MqttFailure | undefined {
    return this.#failure
  }

  /** For a receiver that does not read: the broker hears from us, and the library does not wait for the answer that stands unread. */
  keepAlive(): void {
    this.#client?.sendPing()
    this.#client?.reschedulePing(true)
  }

  /** The connection was of use: when it ends, the next attempt comes soon. */
  worked(): void {
    this.#retryMs = RETRY_MS_MIN
  }

  /** Ends the connection for a reason that the receiver found. */
  fail(error: unknown): void {
    const client = this.#client
    if (client === undefined) return
    this.#closed(client, error)
    client.end(true)
  }

  /** Says goodbye to the broker, which keeps the session if it is one to keep; cuts the connection when that takes longer. */
  async close(withinMs: number): Promise<void> {
    this.#isClosed = true
    this.#cancelRetry()
    const client = this.#client
    if (client === undefined) return
    if (!this.#isOpen) {
      client.end(true)
      return
    }
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(withinMs, () => {
        client.end(true)
        client.stream.destroy()
        resolve()
      })
      client.end(false, {}, () => {
        cancel()
        resolve()
      })
    })
  }

  #connect(): void {
    let client: MqttClient
    let error: unknown
    try {
      client = this.#options.connect(this.#options.url, {
        ...this.#options.client,
        keepalive: KEEPALIVE_SECONDS,
        connectTimeout: CONNECT_TIMEOUT_MS,
        reconnectPeriod: 0,
        resubscribe: false,
      })
    } catch (cause) {
      this.#retryAfter(cause)
      return
    }
    this.#client = client
    client.handleMessage = (packet, callback) => {
      const next = () => callback(ACKNOWLEDGED_LATER)
      if (this.#client === client && this.#options.onMessage !== undefined) this.#options.onMessage(packet, next)
      else next()
    }
    client.on('connect', (connack) => {
      if (this.#client !== client || this.#isClosed) return
      this.#isOpen = true
      this.#openedMs = this.#options.clock.monotonicMs()
      this.#failure = undefined
      this.#options.onOpen(client, connack.sessionPresent, connack)
    })
    client.on('disconnect', (packet) => (error = { code: packet.reasonCode }))
    client.on('error', (cause) => (error ??= cause))
    client.on('close', () => this.#closed(client, error))
  }

  #closed(client: MqttClient, error: unknown): void {
    if (this.#client !== client) return
    this.#client = undefined
    const wasOpen = this.#isOpen
    this.#isOpen = false
    if (wasOpen) this.#options.onClose()
    if (this.#isClosed) return
    if (wasOpen && this.#options.clock.monotonicMs() - this.#openedMs >= STABLE_MS) {
      this.#retryMs = RETRY_MS_MIN
      this.#lastFact = ''
    }
    this.#retryAfter(error)
  }

  #retryAfter(error: unknown): void {
    const failure = explainFailure(error)
    this.#failure = failure
    const { fact, next, isRefusal } = failure
    const retryMs = isRefusal ? RETRY_MS_MAX : this.#retryMs
    this.#retryMs = Math.min(this.#retryMs * 2, RETRY_MS_MAX)
    if (fact !== this.#lastFact) {
      this.#lastFact = fact
      this.#options.log(isRefusal ? 'error' : 'warn', fact, {
        ...(error === undefined || isRefusal ? {} : { error: messageOf(error) }),
        next,
        retryMs,
      })
    }
    this.#cancelRetry = this.#options.clock.after(retryMs, () => {
      if (!this.#isClosed) this.#connect()
    })
  }
}
