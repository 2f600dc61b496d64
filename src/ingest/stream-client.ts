import { randomUUID } from 'node:crypto'
import type { Duplex } from 'node:stream'
import { MillraceError } from '#base/errors.js'
import type { AnswerWanted, Door, IngestCommand, Offered, Settlement } from './door.js'
import {
  COMMANDS,
  DONE,
  ERROR,
  HELLO,
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
}

interface InFlight {
  readonly id: number
  readonly command: StreamCommand
  readonly settle: (settlement: Settlement) => void
}

const RETRY_MS = 20
/** Before the server has said its own. */
const CREDIT_FIRST = 1024
const COMMANDS_PER_FRAME = 512

/**
 * A Door behind a socket, for sources in other processes. What is not settled when the connection is lost is sent again, in order, over the next one; the
 * plant knows it by source and sequence. Commands without a source get one of this client's own, so that they too take effect once.
 */
export class StreamDoorClient implements Door {
  readonly #options: StreamDoorClientOptions
  /** Unsettled, in order of their ids. */
  readonly #inFlight = new Map<number, InFlight>()
  #unsent: InFlight[] = []
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
    const packed: StreamCommand = [
      isNumbered ? command.source : this.#ownSource,
      isNumbered ? command.sequence : ++this.#ownSequence,
      command.entity,
      command.command,
      command.data,
      command.at ?? null,
      command.correlation ?? null,
      answer === 'always' ? 1 : 0,
    ]
    const entry = { id: this.#nextId, command: packed, settle }
    this.#nextId = (this.#nextId + 1) >>> 0
    this.#inFlight.set(entry.id, entry)
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
        socket.destroy()
        if (!isWelcome) return reject(new Error('the connection ended before the door answered'))
        if (this.#socket === socket) this.#reconnect()
      }
      socket.on('error', lost)
      socket.on('close', lost)
      socket.on('end', lost)
      socket.on('data', (piece: Buffer) => {
        try {
          for (const message of reader.read(piece)) {
            if (message[0] === WELCOME) {
              isWelcome = true
              this.#credit = message[2] as number
              this.#socket = socket
              this.#unsent = [...this.#inFlight.values()]
              this.#flushSoon()
              resolve()
            } else if (message[0] === ERROR) this.#fail(String(message[1]))
            else this.#take(message)
          }
          this.#tellRoom()
        } catch {
          lost()
        }
      })
      socket.write(packFrame([HELLO, STREAM_VERSION]))
    })
  }

  #reconnect(): void {
    this.#socket = undefined
    if (this.#isClosed || this.#failure !== undefined) return
    this.#lostMs = performance.now()
    this.#reconnectCount++
    this.#connect().catch((error: unknown) => this.#fail((error as Error).message))
  }

  #fail(message: string): void {
    this.#failure = new MillraceError('ERR_DOOR', { fact: message, action: 'operator', next: 'look at `millrace status`' })
    for (const { settle } of [...this.#inFlight.values()]) settle({ kind: 'failed', message })
    this.#inFlight.clear()
    this.#unsent = []
    this.#tellRoom()
  }

  #take(message: readonly unknown[]): void {
    if (message[0] === DONE) {
      for (const id of message[1] as number[]) this.#settle(id, { kind: 'done', version: 0, reply: undefined })
      return
    }
    if (message[0] !== SETTLED) throw new TypeError('not a message of a door')
    const [, id, kind, version, a, b] = message as [number, number, number, number, unknown, unknown]
    if (kind === KIND_DONE) this.#settle(id, { kind: 'done', version, reply: b === true ? undefined : a })
    else if (kind === KIND_REFUSED) this.#settle(id, { kind: 'refused', version, code: String(a), detail: b ?? undefined })
    else if (kind === KIND_FORGOTTEN) this.#settle(id, { kind: 'forgotten' })
    else this.#settle(id, { kind: 'failed', message: kind === KIND_FAILED ? String(a) : REJECTED_PREFIX + String(a) })
  }

  #settle(id: number, settlement: Settlement): void {
    const entry = this.#inFlight.get(id)
    if (entry === undefined) return
    this.#inFlight.delete(id)
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
    const unsent = this.#unsent
    this.#unsent = []
    for (let start = 0; start < unsent.length; ) {
      const group = [unsent[start] as InFlight]
      let next = start + 1
      while (
        next < unsent.length &&
        group.length < COMMANDS_PER_FRAME &&
        (unsent[next] as InFlight).id === ((unsent[next - 1] as InFlight).id + 1) >>> 0
      ) {
        group.push(unsent[next++] as InFlight)
      }
      this.#socket.write(packFrame([COMMANDS, (group[0] as InFlight).id, group.map(({ command }) => command)]))
      start = next
    }
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
