import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { MillraceError } from '#base/errors.js'
import { type AnswerWanted, type Door, IN_FLIGHT_PER_SOURCE_ENTITY_MAX, type IngestCommand, type Offered, type Settlement } from './door.js'
import {
  COMMANDS,
  DONE,
  ERROR,
  HELLO,
  keepNegativeZero,
  KIND_DONE,
  KIND_FAILED,
  KIND_FORGOTTEN,
  KIND_REFUSED,
  packFrame,
  REJECTED_PREFIX,
  SETTLED,
  STREAM_VERSION,
  type StreamCommand,
  StreamFrameReader,
  WELCOME,
} from './stream-frames.js'

export interface StreamDoorClientOptions {
  /** Opens the connection, again after each loss; a rejection is tried again. */
  readonly connect: () => Promise<Duplex>
  /** Between two attempts, milliseconds. */
  readonly retryMs?: number
  /** How long a loss may last before what is in flight is given up, milliseconds. Forever when left out. */
  readonly lostWithinMs?: number
  /** How long a door that was reached may take to answer the greeting, milliseconds. */
  readonly welcomeWithinMs?: number
}

interface InFlight {
  readonly id: number
  /** Of source and entity. */
  readonly key: string
  readonly command: StreamCommand
  readonly settle: (settlement: Settlement) => void
  isSent: boolean
}

const RETRY_MS = 20
const WELCOME_WITHIN_MS = 5000
/** Before the server has said its own. */
const CREDIT_FIRST = 1024
const COMMANDS_PER_FRAME = 512

/**
 * A Door behind a socket, for sources in other processes. What is not settled when the connection is lost is sent again, in order, over the next one; the
 * plant knows it by source and sequence. Commands without a source get one of this client's own, so that they too take effect once. No more of one source
 * and entity are in flight than the entity remembers outcomes: so each of them still has its answer when it is sent again.
 */
export class StreamDoorClient implements Door {
  readonly #options: StreamDoorClientOptions
  /** Unsettled, in order of their ids. */
  readonly #inFlight = new Map<number, InFlight>()
  #unsent: InFlight[] = []
  /** Sent over the present connection and unsettled: what the server's credit is about. */
  #sentCount = 0
  /** Commands in flight by source and entity. */
  readonly #windows = new Map<string, number>()
  #onRoom: (() => void)[] = []
  #credit = CREDIT_FIRST
  #nextId = 1
  readonly #ownSource = `client:${randomUUID()}`
  #ownSequence = 0
  #socket: Duplex | undefined
  #isFlushing = false
  #isClosed = false
  #lostMs = performance.now()
  #failure: Error | undefined
  #reconnectCount = 0

  /** Resolves once the door answers; rejects when it does not within `lostWithinMs`. */
  static async open(options: StreamDoorClientOptions): Promise<StreamDoorClient> {
    const client = new StreamDoorClient(options)
    await client.#connect()
    return client
  }

  private constructor(options: StreamDoorClientOptions) {
    this.#options = options
  }

  /** Commands taken and not settled. */
  get inFlightCount(): number {
    return this.#inFlight.size
  }

  /** How often the connection was lost and made again. */
  get reconnectCount(): number {
    return this.#reconnectCount
  }

  /** Why the door is of no use any more; then every offer is `full`. */
  get failure(): Error | undefined {
    return this.#failure
  }

  offer(command: IngestCommand, answer: AnswerWanted, settle: (settlement: Settlement) => void): Offered {
    if (this.#isClosed || this.#failure !== undefined || this.#inFlight.size >= this.#credit) return 'full'
    const isNumbered = command.source !== ''
    const key = `${command.source}\0${command.entity}`
    const window = this.#windows.get(key) ?? 0
    if (window >= IN_FLIGHT_PER_SOURCE_ENTITY_MAX) return 'full'
    const packed: StreamCommand = [
      isNumbered ? command.source : this.#ownSource,
      isNumbered ? command.sequence : ++this.#ownSequence,
      command.entity,
      command.command,
      keepNegativeZero(command.data) as IngestCommand['data'],
      command.at ?? null,
      command.correlation ?? null,
      answer === 'always' ? 1 : 0,
    ]
    const entry = { id: this.#nextId, key, command: packed, settle, isSent: false }
    this.#nextId = (this.#nextId + 1) >>> 0
    this.#inFlight.set(entry.id, entry)
    this.#windows.set(key, window + 1)
    this.#unsent.push(entry)
    this.#flushSoon()
    return 'accepted'
  }

  onRoom(callback: () => void): void {
    this.#onRoom.push(callback)
  }

  /** Closes the connection. What is in flight is settled no more. */
  async close(): Promise<void> {
    this.#isClosed = true
    const socket = this.#socket
    if (socket === undefined || socket.destroyed) return
    await new Promise<void>((resolve) => {
      socket.once('close', resolve)
      socket.destroy()
    })
  }

  async #connect(): Promise<void> {
    for (;;) {
      if (this.#isClosed) return
      try {
        const socket = await this.#options.connect()
        await this.#attach(socket)
        return
      } catch (cause) {
        if (this.#failure !== undefined) throw this.#failure
        const lostMs = performance.now() - this.#lostMs
        if (lostMs >= (this.#options.lostWithinMs ?? Number.POSITIVE_INFINITY)) throw doorLost(lostMs, cause)
        await new Promise((resolve) => setTimeout(resolve, this.#options.retryMs ?? RETRY_MS))
      }
    }
  }

  /** Greets, waits for the welcome and sends again what is not settled. */
  #attach(socket: Duplex): Promise<void> {
    return new Promise((resolve, reject) => {
      const reader = new StreamFrameReader()
      let isWelcome = false
      const lost = () => {
        clearTimeout(timer)
        socket.destroy()
        if (!isWelcome) reject(new Error('the connection ended before the door answered'))
        else if (this.#socket === socket) this.#reconnect()
      }
      const timer = setTimeout(lost, this.#options.welcomeWithinMs ?? WELCOME_WITHIN_MS)
      socket.on('error', lost)
      socket.on('close', lost)
      socket.on('end', lost)
      socket.on('data', (piece: Buffer) => {
        const { messages, isBroken } = readAll(reader, piece)
        for (const message of messages) {
          if (message[0] !== WELCOME) this.#take(message)
          else {
            clearTimeout(timer)
            isWelcome = true
            this.#welcome(socket, message[2])
            resolve()
          }
        }
        if (isBroken) lost()
        this.#tellRoom()
      })
      socket.write(packFrame([HELLO, STREAM_VERSION]))
      if (this.#isClosed) lost()
    })
  }

  #welcome(socket: Duplex, credit: unknown): void {
    this.#credit = typeof credit === 'number' && credit >= 1 ? credit : 1
    this.#socket = socket
    this.#sentCount = 0
    this.#unsent = [...this.#inFlight.values()]
    for (const entry of this.#unsent) entry.isSent = false
    this.#flushSoon()
  }

  #reconnect(): void {
    this.#socket = undefined
    if (this.#isClosed || this.#failure !== undefined) return
    this.#lostMs = performance.now()
    this.#reconnectCount++
    this.#connect().catch((error: unknown) => this.#fail((error as Error).message))
  }

  #fail(message: string): void {
    if (this.#failure !== undefined) return
    this.#failure = new MillraceError('ERR_DOOR', { fact: message, action: 'operator', next: 'look at `millrace status`' })
    this.#unsent = []
    for (const { id } of [...this.#inFlight.values()]) this.#settle(id, { kind: 'failed', message })
    this.#socket?.destroy()
    this.#tellRoom()
  }

  /** Whatever a door does not say is passed over. */
  #take(message: readonly unknown[]): void {
    const [what, id, kind, version, a, b] = message as [number, number, number, number, unknown, unknown]
    if (what === ERROR) this.#fail(String(message[1]))
    else if (what === DONE && Array.isArray(message[1])) {
      for (const done of message[1] as number[]) this.#settle(done, { kind: 'done', version: 0, reply: undefined })
    } else if (what !== SETTLED) return
    else if (kind === KIND_DONE) this.#settle(id, { kind: 'done', version, reply: b === true ? undefined : a })
    else if (kind === KIND_REFUSED) this.#settle(id, { kind: 'refused', version, code: String(a), detail: b ?? undefined })
    else if (kind === KIND_FORGOTTEN) this.#settle(id, { kind: 'forgotten' })
    else this.#settle(id, { kind: 'failed', message: kind === KIND_FAILED ? String(a) : REJECTED_PREFIX + String(a) })
  }

  #settle(id: number, settlement: Settlement): void {
    const entry = this.#inFlight.get(id)
    if (entry === undefined) return
    this.#inFlight.delete(id)
    const window = (this.#windows.get(entry.key) ?? 1) - 1
    if (window === 0) this.#windows.delete(entry.key)
    else this.#windows.set(entry.key, window)
    if (entry.isSent) this.#sentCount--
    if (this.#unsent.length > 0) this.#flushSoon()
    entry.settle(settlement)
  }

  #tellRoom(): void {
    if (this.#onRoom.length === 0 || (this.#inFlight.size >= this.#credit && this.#failure === undefined)) return
    const callbacks = this.#onRoom
    this.#onRoom = []
    for (const callback of callbacks) callback()
  }

  #flushSoon(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    setImmediate(() => {
      this.#isFlushing = false
      this.#flush()
    })
  }

  #flush(): void {
    if (this.#socket === undefined) return
    const going = this.#unsent.splice(0, Math.max(0, this.#credit - this.#sentCount))
    this.#sentCount += going.length
    for (let start = 0; start < going.length; ) {
      const group = [going[start] as InFlight]
      let next = start + 1
      while (
        next < going.length &&
        group.length < COMMANDS_PER_FRAME &&
        (going[next] as InFlight).id === ((going[next - 1] as InFlight).id + 1) >>> 0
      ) {
        group.push(going[next++] as InFlight)
      }
      for (const entry of group) entry.isSent = true
      this.#socket.write(packFrame([COMMANDS, (group[0] as InFlight).id, group.map(({ command }) => command)]))
      start = next
    }
  }
}

/** All messages up to where the bytes are no frames; there the stream is lost. */
function readAll(
  reader: StreamFrameReader,
  piece: Buffer,
): { readonly messages: readonly (readonly unknown[])[]; readonly isBroken: boolean } {
  const messages: (readonly unknown[])[] = []
  try {
    for (const message of reader.read(piece)) messages.push(message)
    return { messages, isBroken: false }
  } catch {
    return { messages, isBroken: true }
  }
}

function doorLost(ms: number, cause: unknown): MillraceError {
  return new MillraceError('ERR_DOOR_LOST', {
    fact: 'the door of the plant does not answer',
    action: 'retry',
    values: { ms: Math.round(ms) },
    next: 'look at `millrace status`',
    cause,
  })
}
