import type { IClientOptions, IClientPublishOptions, IConnackPacket, MqttClient } from 'mqtt'
import type { Cancel } from '#base/clock.js'
import { isMillraceError, messageOf, MillraceError } from '#base/errors.js'
import { exactJson } from '#base/exact-json.js'
import { sha256Hex } from '#base/hash.js'
import { loadMqttConnect, mqttCredentials } from '#ingest/mqtt-client.js'
import { shownUrl } from '#ingest/mqtt-connection.js'
import type { MqttFailure } from '#ingest/mqtt-failure.js'
import { MqttLink, type MqttLinkOptions } from '#ingest/mqtt-link.js'
import type { Row } from '#journal/index.js'
import { isoMicros } from '#base/micros.js'
import type { Subscription } from '#reading/subscription.js'
import { type Delivery, DeliveryWindow } from './delivery-window.js'
import { checkMqttTarget, type MqttTargetOptions } from './mqtt.js'
import { explainRefusal, PACKET_TOO_LARGE } from './mqtt-refusal.js'
import type { RunningTarget, TargetContext, TargetStats } from './target.js'

interface Message {
  readonly topic: string
  readonly payload: string | Buffer
  readonly options: IClientPublishOptions
}

/** A broker that has not answered for so long, over a connection that stands, will not: the connection is made anew. */
const ACK_WITHIN_MS = 30_000
/** After a refusal that somebody has to mend, and after one that passes. */
const REFUSED_RETRY_MS = 30_000
const BUSY_RETRY_MS = 1000
/** After the log could not be read on. */
const LOG_RETRY_MS = 30_000
const DRAIN_MS = 5000
const GOODBYE_MS = 2000
/** What stands in a message of MQTT 5 beside topic and payload: the entity's name twice and some numbers. */
const PROPERTIES_BYTES_MAX = 512

/** Starts it outside of a plant's definition. Throws ERR_MQTT_OPTIONS. */
export async function startMqttTarget(options: MqttTargetOptions, context: TargetContext): Promise<MqttTarget> {
  const { name, url } = checkMqttTarget(options)
  const { clock, log, plant, base } = context
  const client: IClientOptions = {
    protocolVersion: options.protocolVersion ?? 5,
    ...mqttCredentials(options, url, base, log),
    clientId: options.clientId ?? `millrace-${name.slice(0, 40)}-${sha256Hex(plant, '\0', name).slice(0, 12)}`,
    // What was not acknowledged is sent again from the log, so the broker need not remember the client.
    clean: true,
  }
  return new MqttTarget(options, context, { connect: await loadMqttConnect(), url: options.url, client, clock, log })
}

/**
 * Publishes the rows of a subscription at QoS 1. Each connection gets all rows that are not acknowledged, from the oldest on and in order, so that whatever a
 * broker has had of an entity, it had in order; what it gets twice, a receiver knows by entity and version.
 */
export class MqttTarget implements RunningTarget {
  readonly name: string
  readonly #options: MqttTargetOptions
  readonly #context: TargetContext
  readonly #link: MqttLink
  readonly #topicOf: (row: Row) => string
  readonly #inFlightMax: number
  readonly #broker: string
  #subscription: Subscription | undefined
  #window: DeliveryWindow<Message> | undefined
  #client: MqttClient | undefined
  #sentMax = Number.POSITIVE_INFINITY
  #packetBytesMax = Number.POSITIVE_INFINITY
  /** The message whose answer is waited for with a limit. */
  #watched: Delivery<Message> | undefined
  #onDrained = () => {}
  #cancelAckTimer: Cancel | undefined
  #cancelRelease: Cancel | undefined
  #delivered = 0
  #resent = 0
  #rejected = 0
  #reconnects = 0
  #failure: string | undefined
  #refusal: string | undefined
  #toldRefusal = ''
  #isStopping = false
  #wakeRetry = () => {}
  readonly #running: Promise<void>
  #stopped: Promise<void> | undefined

  constructor(options: MqttTargetOptions, context: TargetContext, link: Omit<MqttLinkOptions, 'onOpen' | 'onClose' | 'onMessage'>) {
    const { name, url, topicOf, inFlightMax } = checkMqttTarget(options)
    this.name = name
    this.#options = options
    this.#context = context
    this.#topicOf = topicOf
    this.#inFlightMax = inFlightMax
    this.#broker = shownUrl(url)
    this.#link = new MqttLink({
      ...link,
      onOpen: (client, _isResumed, connack) => this.#open(client, connack),
      onClose: () => this.#lose(),
    })
    this.#running = this.#run()
  }

  get isConnected(): boolean {
    return this.#link.isOpen
  }

  /** Why there is no connection. */
  get failure(): MqttFailure | undefined {
    return this.#link.failure
  }

  /** Why the log cannot be read on. */
  get readFailure(): string | undefined {
    return this.#failure
  }

  stats(): TargetStats {
    const position = this.#window?.position ?? 0
    const refusal = this.#window?.isHeld === true ? this.#refusal : undefined
    const reason = this.#failure ?? refusal ?? (this.#link.isOpen ? undefined : this.#link.failure?.fact)
    const state = this.#isStopping ? 'stopped' : this.#failure !== undefined ? 'failed' : reason === undefined ? 'running' : 'waiting'
    return {
      delivered: this.#delivered,
      resent: this.#resent,
      rejected: this.#rejected,
      inFlight: this.#window?.sentCount ?? 0,
      position,
      lag: this.#subscription?.stats.lag ?? 0,
      reconnects: this.#reconnects,
      state,
      ...(reason === undefined ? {} : { reason }),
    }
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      try {
        await this.#read()
        return
      } catch (error) {
        if (this.#isStopping) return
        this.#failure = messageOf(error)
        const isOver = isMillraceError(error, 'ERR_SUBSCRIPTION_TAKEN')
        this.#context.log('error', 'the target cannot go on', {
          error: messageOf(error),
          ...(isOver ? {} : { retryMs: LOG_RETRY_MS }),
        })
        if (isOver) return
        if (!isMillraceError(error, 'ERR_SUBSCRIPTION_RESET')) await this.#pause(LOG_RETRY_MS)
      }
    }
  }

  /** Reads until it is stopped. */
  async #read(): Promise<void> {
    const { entity, event, initial } = this.#options
    const subscription = this.#context.subscribe({
      name: this.name,
      ...(entity === undefined ? {} : { entity }),
      ...(event === undefined ? {} : { event }),
      ...(initial === undefined ? {} : { initial }),
    })
    this.#subscription = subscription
    try {
      await subscription.opened
      const window = new DeliveryWindow<Message>(subscription.stats.position, {
        rowsMax: this.#inFlightMax,
        perEntityMax: this.#options.inFlightPerEntityMax ?? 1,
        send: (delivery) => this.#send(delivery),
        onSettled: (position) => subscription.settle(position),
      })
      this.#window = window
      this.#failure = undefined
      for (let batch = await subscription.next(); batch !== undefined; batch = await subscription.next()) {
        for (const row of batch.rows) {
          await window.room()
          if (this.#isStopping || this.#window !== window) return
          window.add(row, this.#message(row))
          if (window.openCount === this.#inFlightMax) this.#pump()
        }
        window.looked(batch.next)
        this.#pump()
      }
    } finally {
      if (!this.#isStopping) {
        this.#window = undefined
        await subscription.close()
      }
    }
  }

  #open(client: MqttClient, { properties }: IConnackPacket): void {
    this.#client = client
    // The client library leaves it to us to keep to what the broker allows.
    this.#sentMax = properties?.receiveMaximum ?? Number.POSITIVE_INFINITY
    this.#packetBytesMax = properties?.maximumPacketSize ?? Number.POSITIVE_INFINITY
    this.#context.log('info', 'publishes to a broker', { broker: this.#broker })
    this.#pump()
  }

  #lose(): void {
    this.#client = undefined
    if (!this.#isStopping) this.#reconnects++
    this.#watched = undefined
    this.#cancelAckTimer?.()
    // What was refused keeps its pause: a broker may end the connection with each refusal.
    this.#window?.lost()
    if (this.#isStopping) this.#onDrained()
  }

  #pump(): void {
    const window = this.#window
    if (window === undefined || this.#client === undefined || this.#isStopping) return
    window.sentMax = Math.min(this.#sentMax, this.#inFlightMax)
    window.pump()
    if (this.#watched === undefined) this.#watchAcks()
  }

  #message(row: Row): Message {
    const { payload, retain = false, protocolVersion = 5 } = this.#options
    const made = payload === undefined ? rowPayload(row) : this.#madePayload(payload, row)
    const bytes = typeof made === 'string' ? made : made instanceof Uint8Array ? Buffer.from(made) : exactJson(made)
    const options: IClientPublishOptions = { qos: 1, retain }
    if (protocolVersion === 5) {
      const userProperties = {
        position: String(row.position),
        entity: row.entity,
        version: String(row.version),
        event: row.event ?? '',
      }
      options.properties = {
        userProperties,
        ...(payload === undefined ? { contentType: 'application/json', payloadFormatIndicator: true } : {}),
      }
    }
    return { topic: this.#topicOf(row), payload: bytes, options }
  }

  #madePayload(payload: (row: Row) => unknown, row: Row): unknown {
    try {
      return payload(row)
    } catch (cause) {
      throw new MillraceError('ERR_TARGET_PAYLOAD', {
        fact: `the payload of an event cannot be made, since ${messageOf(cause)}`,
        action: 'operator',
        values: { target: this.name, position: row.position, entity: row.entity, version: row.version },
        next: 'mend the function payload of the target',
        cause,
      })
    }
  }

  #send(delivery: Delivery<Message>): void {
    const { topic, payload, options } = delivery.message
    const client = this.#client as MqttClient
    const window = this.#window
    if (delivery.attempts > 1) this.#resent++
    const isOurs = () => this.#client === client && this.#window === window && delivery.state === 'sent'
    const bytes = Buffer.byteLength(payload) + Buffer.byteLength(topic) + PROPERTIES_BYTES_MAX
    if (bytes > this.#packetBytesMax) {
      // As the broker would answer, had it not closed the connection.
      queueMicrotask(() => {
        if (isOurs()) this.#refused(delivery, PACKET_TOO_LARGE)
      })
      return
    }
    client.publish(topic, payload, options, (error) => {
      if (!isOurs()) return
      if (error === undefined || error === null) this.#acknowledged(delivery)
      else if ('code' in error && typeof error.code === 'number') this.#refused(delivery, error.code)
      // Anything else is the end of the connection, which is told as such.
    })
  }

  #acknowledged(delivery: Delivery<Message>): void {
    this.#delivered++
    this.#link.worked()
    this.#window?.done(delivery)
    if (this.#isStopping && this.#window?.sentCount === 0) this.#onDrained()
  }

  #refused(delivery: Delivery<Message>, code: number): void {
    const { fact, next, isPassing } = explainRefusal(code)
    const { position, entity, version, event } = delivery.row
    const values = { topic: delivery.message.topic, position, entity, version, event, reasonCode: code }
    if (this.#options.onRefused === 'skip' && !isPassing) {
      this.#rejected++
      this.#context.log('warn', `a message was skipped, since ${fact}`, values)
      this.#window?.done(delivery)
      return
    }
    const retryMs = isPassing ? BUSY_RETRY_MS : REFUSED_RETRY_MS
    this.#refusal = fact
    const told = `${code} ${delivery.message.topic}`
    if (told !== this.#toldRefusal) {
      this.#toldRefusal = told
      this.#context.log(isPassing ? 'warn' : 'error', fact, { ...values, next, retryMs })
    }
    this.#window?.hold(delivery)
    this.#cancelRelease?.()
    this.#cancelRelease = this.#context.clock.after(retryMs, () => {
      this.#window?.release()
      this.#pump()
    })
    if (this.#isStopping && this.#window?.sentCount === 0) this.#onDrained()
  }

  /** Looks whether the oldest message on its way gets its answer. */
  #watchAcks(): void {
    const delivery = this.#window?.oldestSent
    this.#watched = delivery
    if (delivery === undefined) return
    const { attempts } = delivery
    this.#cancelAckTimer = this.#context.clock.after(ACK_WITHIN_MS, () => {
      if (delivery.state === 'sent' && delivery.attempts === attempts) this.#link.fail(new Error('a message was not acknowledged in time'))
      else this.#watchAcks()
    })
  }

  async #stop(): Promise<void> {
    this.#isStopping = true
    this.#wakeRetry()
    const window = this.#window
    window?.end()
    if (window !== undefined && window.sentCount > 0) {
      await new Promise<void>((resolve) => {
        const cancel = this.#context.clock.after(DRAIN_MS, resolve)
        this.#onDrained = () => {
          cancel()
          resolve()
        }
      })
    }
    this.#cancelAckTimer?.()
    this.#cancelRelease?.()
    await this.#subscription?.close()
    await this.#running
    await this.#link.close(GOODBYE_MS)
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const cancel = this.#context.clock.after(ms, resolve)
      this.#wakeRetry = () => {
        cancel()
        resolve()
      }
    })
  }
}

/** What a receiver needs to know a message that comes twice: entity and version. `at` is ISO 8601 down to the microsecond. */
function rowPayload({ position, entity, version, event, at, isLate, correlation, data }: Row): string {
  return exactJson({
    position,
    entity,
    version,
    event,
    at: isoMicros(at),
    ...(isLate ? { late: true } : {}),
    ...(correlation === '' ? {} : { correlation }),
    data,
  })
}
