import type { IPublishPacket, MqttClient } from 'mqtt'
import type { Clock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import type { Door, IngestCommand, Settlement } from './door.js'
import type { MessageMapper } from './message-mapper.js'
import { AckQueue } from './mqtt-acks.js'
import type { MqttFailure } from './mqtt-failure.js'
import { KEEPALIVE_SECONDS, MqttLink, type MqttLinkOptions } from './mqtt-link.js'
import type { MqttReject, MqttRejects } from './mqtt-rejects.js'
import type { MqttSessionFile } from './mqtt-session.js'
import { OfferLanes } from './offer-lanes.js'
import type { RunningSource, SourceLog, SourceStats } from './source.js'

export interface MqttRunOptions {
  /** Takes so many messages and leaves the others to the broker. */
  readonly messagesMax?: number | undefined
  /** How long a stop waits for what is in flight. */
  readonly drainMs?: number | undefined
}

export interface MqttSourceOptions extends MqttRunOptions {
  readonly name: string
  /** The broker's address without credentials, for the log. */
  readonly brokerName: string
  readonly clientId: string
  readonly filters: readonly string[]
  readonly mapper: MessageMapper
  readonly door: Door
  readonly clock: Clock
  readonly log: SourceLog
  readonly rejects: MqttRejects
  readonly session: MqttSessionFile
  readonly link: Omit<MqttLinkOptions, 'onOpen' | 'onClose' | 'onMessage'>
  /** Messages read and not acknowledged; at this many the source stops reading. */
  readonly inFlightMax: number
}

interface Message {
  readonly topic: string
  readonly payload: Uint8Array
  readonly command: IngestCommand
  readonly isResent: boolean
  readonly acknowledge: () => void
}

export const IN_FLIGHT_BYTES_MAX = 32 * 1024 * 1024
const DRAIN_MS = 5000
const GOODBYE_MS = 2000
/** Sources whose numbers went back are remembered up to this count, so that each is told once. */
const TOLD_MAX = 1000

/**
 * Takes the messages of a subscription into a plant. A message is acknowledged when all that it caused is durable, or when its reject is;
 * many are on their way at once. What was not acknowledged when a connection or this process ended comes again, in order, and the plant knows
 * it by source and sequence. Where the door is full or too much is open, nothing more is read, so that the broker keeps it.
 */
export class MqttSource implements RunningSource {
  readonly #options: MqttSourceOptions
  readonly #lanes: OfferLanes<Message>
  readonly #link: MqttLink
  #acks: AckQueue | undefined
  /** Reads on; undefined while reading is not held up. */
  #readOn: (() => void) | undefined
  #received = 0
  /** Of these, those that were not acknowledged when their connection ended, and so come again. */
  #lost = 0
  #accepted = 0
  #rejected = 0
  #rejecting = 0
  #unnumbered = 0
  #state: 'running' | 'stopped' = 'running'
  #isStopping = false
  #isSubscribed = false
  readonly #toldBack = new Set<string>()
  #onChange: (() => void)[] = []
  #stopped: Promise<void> | undefined

  constructor(options: MqttSourceOptions) {
    this.#options = options
    this.#lanes = new OfferLanes({
      door: options.door,
      onSettled: (message, settlement) => this.#settle(message, settlement),
      onRejected: (message, reason) => this.#reject(message, 'unfit', reason, message.acknowledge),
    })
    this.#link = new MqttLink({
      ...options.link,
      onOpen: (client, isResumed) => this.#open(client, isResumed),
      onClose: () => this.#close(),
      onMessage: (packet, next) => this.#receive(packet, next),
    })
  }

  stats(): SourceStats {
    return {
      received: this.#received,
      accepted: this.#accepted,
      rejected: this.#rejected,
      inFlight: this.#lanes.inFlightCount,
      full: this.#lanes.fullCount,
      unnumbered: this.#unnumbered,
      state: this.#state,
    }
  }

  get clientId(): string {
    return this.#options.clientId
  }

  /** The topic or file that rejected messages go to. */
  get rejectsTo(): string {
    return this.#options.rejects.target
  }

  get isConnected(): boolean {
    return this.#link.isOpen
  }

  /** The broker keeps what is published from now on, whatever becomes of this process. */
  get isSubscribed(): boolean {
    return this.#isSubscribed
  }

  /** It took as many messages as it was to take, and all of them are acknowledged. */
  get isFinished(): boolean {
    return this.#isEnough && this.#acks?.openCount === 0
  }

  /** Why there is no connection. */
  get failure(): MqttFailure | undefined {
    return this.#link.failure
  }

  /** Takes no more messages, lets those that were read settle and be acknowledged within a bound, and leaves the session to the broker. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    this.#isStopping = true
    this.#resume()
    let isOver = false
    const cancel = this.#options.clock.after(this.#options.drainMs ?? DRAIN_MS, () => {
      isOver = true
      this.#changed()
    })
    while (!isOver && (this.#rejecting > 0 || this.#lanes.inFlightCount > 0 || (this.#acks?.openCount ?? 0) > 0)) {
      await new Promise<void>((resolve) => this.#onChange.push(resolve))
    }
    cancel()
    this.#lanes.clear()
    await this.#link.close(GOODBYE_MS)
    this.#acks?.abandon()
    await this.#options.rejects.close()
    this.#state = 'stopped'
  }

  #open(client: MqttClient, isResumed: boolean): void {
    const { log, brokerName, clientId } = this.#options
    this.#newAcks(client)
    log('info', 'the broker is there', { url: brokerName, clientId, isResumed })
    this.#subscribe(client, isResumed).catch((error: unknown) => {
      // An end of the connection meanwhile is told by the link itself.
      if (this.#link.isOpen && client.connected)
        this.#link.fail(Object.assign(new Error(messageOf(error), { cause: error }), { code: 143 }))
    })
  }

  #newAcks(client: MqttClient): void {
    this.#acks = new AckQueue(
      (bytes) => {
        if (client.connected) client.stream.write(bytes)
      },
      () => {
        if (!this.#isFull) this.#resume()
        this.#changed()
      },
    )
  }

  async #subscribe(client: MqttClient, isResumed: boolean): Promise<void> {
    const { session, clientId, filters, log } = this.#options
    const kept = await session.load(clientId)
    if (kept !== undefined && kept.filters.length > 0 && !isResumed) {
      log('warn', 'the broker has forgotten the session: messages that it held for this source are lost', {
        clientId,
        next: 'let the broker keep persistent sessions, also over its own restarts',
      })
    }
    const subscribed = isResumed ? (kept?.filters ?? []) : []
    const gone = (isResumed ? [...subscribed, ...(kept?.asked ?? [])] : []).filter((filter) => !filters.includes(filter))
    const added = filters.filter((filter) => !subscribed.includes(filter))
    if (gone.length > 0 || added.length > 0) {
      await session.save({ clientId, filters: subscribed, asked: [...gone, ...added] })
      if (gone.length > 0) await client.unsubscribeAsync(gone)
      if (added.length > 0) await this.#subscribeTo(client, added)
      await session.save({ clientId, filters, asked: [] })
    }
    this.#isSubscribed = true
  }

  async #subscribeTo(client: MqttClient, filters: string[]): Promise<void> {
    for (const { topic, qos } of await client.subscribeAsync(filters, { qos: 1 })) {
      if (qos === 0) this.#options.log('warn', 'the broker grants QoS 0 only: messages can be lost on their way here', { topic })
    }
  }

  #close(): void {
    this.#isSubscribed = false
    this.#lost += this.#acks?.openCount ?? 0
    this.#acks?.abandon()
    this.#acks = undefined
    this.#readOn = undefined
    // All of these come again over the next connection, before anything later.
    this.#lanes.clear()
    this.#changed()
  }

  #receive(packet: IPublishPacket, next: () => void): void {
    const { mapper } = this.#options
    const acks = this.#acks
    if (acks === undefined || this.#isStopping || this.#isEnough) {
      // Not taken and not acknowledged: the broker keeps it for the next run.
      next()
      return
    }
    const payload = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload
    const { topic } = packet
    this.#received++
    const acknowledge = acks.add(packet.qos === 0 ? 0 : (packet.messageId ?? 0), payload.length)
    const command = mapper.map({ topic, payload, userProperties: packet.properties?.userProperties })
    if (typeof command === 'string') this.#reject({ topic, payload }, 'malformed', command, acknowledge)
    else {
      if (command.source === '') this.#takeUnnumbered(topic)
      this.#lanes.take({ topic, payload, command, isResent: packet.dup, acknowledge })
    }
    if (this.#isFull) this.#hold(next)
    else next()
  }

  #settle(message: Message, settlement: Settlement): void {
    switch (settlement.kind) {
      case 'forgotten':
        this.#tellBack(message)
        this.#accept(message)
        break
      case 'done':
        this.#accept(message)
        break
      case 'refused': {
        const { code, detail } = settlement
        this.#reject(message, 'refused', detail === undefined ? code : `${code} ${JSON.stringify(detail)}`, message.acknowledge)
        break
      }
      case 'failed':
        this.#reject(message, 'failed', settlement.message, message.acknowledge)
    }
  }

  #accept(message: Message): void {
    this.#accepted++
    message.acknowledge()
    this.#changed()
  }

  #reject(
    message: { readonly topic: string; readonly payload: Uint8Array },
    kind: MqttReject['kind'],
    reason: string,
    acknowledge: () => void,
  ): void {
    this.#rejecting++
    void this.#options.rejects.add({ topic: message.topic, kind, reason, payload: message.payload }).then(() => {
      this.#rejecting--
      this.#rejected++
      acknowledge()
      this.#changed()
    })
  }

  get #isEnough(): boolean {
    return this.#received - this.#lost >= (this.#options.messagesMax ?? Number.POSITIVE_INFINITY)
  }

  get #isFull(): boolean {
    const acks = this.#acks
    return acks !== undefined && (acks.openCount >= this.#options.inFlightMax || acks.openBytes >= IN_FLIGHT_BYTES_MAX)
  }

  /** Stops reading. The library then sees no answer to its pings, so they are sent from here, which also finds out when the broker is gone. */
  #hold(next: () => void): void {
    const { clock } = this.#options
    const acks = this.#acks
    let cancel = () => {}
    const ping = () => {
      if (this.#acks !== acks) return
      this.#link.keepAlive()
      cancel = clock.after((KEEPALIVE_SECONDS * 1000) / 3, ping)
    }
    this.#readOn = () => {
      cancel()
      next()
    }
    cancel = clock.after((KEEPALIVE_SECONDS * 1000) / 3, ping)
  }

  #resume(): void {
    const readOn = this.#readOn
    this.#readOn = undefined
    readOn?.()
  }

  #takeUnnumbered(topic: string): void {
    if (this.#unnumbered++ > 0) return
    this.#options.log('warn', 'messages carry no number: one that the broker delivers again is taken as a new one', {
      topic,
      next: 'name a sequence in the map to have each taken once',
    })
  }

  /** Numbers that go back would be lost without a word, since the plant takes them for done. */
  #tellBack({ command, topic, isResent }: Message): void {
    if (isResent || this.#toldBack.has(command.source) || this.#toldBack.size >= TOLD_MAX) return
    this.#toldBack.add(command.source)
    this.#options.log('warn', 'a number went back, and numbers below the highest count as done: was the device reset?', {
      topic,
      source: command.source,
      sequence: command.sequence,
      next: 'let the device number on, or change what the map gives as source',
    })
  }

  #changed(): void {
    const waiting = this.#onChange
    this.#onChange = []
    for (const resolve of waiting) resolve()
  }
}
