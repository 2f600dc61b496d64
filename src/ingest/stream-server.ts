import type { Duplex } from 'node:stream'
import { messageOf } from '#base/errors.js'
import type { Door, IngestCommand, Settlement } from './door.js'
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
  KIND_REJECTED,
  packFrame,
  SETTLED,
  STREAM_VERSION,
  type StreamCommand,
  StreamFrameReader,
  WELCOME,
} from './stream-frames.js'

export interface StreamDoorOptions {
  readonly door: Door
  /** Commands of one connection that may be unsettled at a time. */
  readonly credit?: number
}

const CREDIT = 8192

interface Pending {
  readonly id: number
  readonly command: IngestCommand
  readonly answer: 'refused' | 'always'
}

/**
 * The door's side of one connection: offers its commands in order, stops reading while the door is full or the client does not read its answers, settles
 * by id. What comes over the socket is not trusted: anything that is no command ends the connection with a message, and nothing else.
 */
export function serveStreamDoor(socket: Duplex, options: StreamDoorOptions): void {
  const connection = new StreamConnection(socket, options)
  connection.start()
}

class StreamConnection {
  readonly #socket: Duplex
  readonly #door: Door
  readonly #credit: number
  readonly #reader = new StreamFrameReader()
  #pending: Pending[] = []
  #next = 0
  #unsettled = 0
  #done: number[] = []
  #isGreeted = false
  #isWaitingForRoom = false
  #isDraining = false
  #isClosed = false

  constructor(socket: Duplex, options: StreamDoorOptions) {
    this.#socket = socket
    this.#door = options.door
    this.#credit = options.credit ?? CREDIT
  }

  start(): void {
    const socket = this.#socket
    socket.on('data', (piece: Buffer) => this.#take(piece))
    socket.on('error', () => this.#close())
    socket.on('close', () => this.#close())
    socket.on('end', () => this.#close())
  }

  #take(piece: Buffer): void {
    if (this.#isClosed) return
    try {
      for (const message of this.#reader.read(piece)) {
        if (message[0] === HELLO) this.#greet(message[1])
        else if (message[0] === COMMANDS && this.#isGreeted) this.#takeCommands(message[1], message[2])
        else throw new TypeError('not a message that this door knows')
      }
    } catch (error) {
      this.#fail(messageOf(error))
    }
  }

  #greet(version: unknown): void {
    if (version !== STREAM_VERSION)
      throw new TypeError(`this door speaks version ${STREAM_VERSION}, not ${String(version)}: use the same millrace on both sides`)
    this.#isGreeted = true
    this.#write([WELCOME, STREAM_VERSION, this.#credit])
  }

  #takeCommands(firstId: unknown, commands: unknown): void {
    if (typeof firstId !== 'number' || !Array.isArray(commands)) throw new TypeError('not a group of commands')
    if (this.#unsettled + commands.length > this.#credit) throw new TypeError(`more than ${this.#credit} commands in flight`)
    for (const [index, given] of commands.entries()) {
      const id = (firstId + index) >>> 0
      this.#unsettled++
      const pending = pendingOf(id, given)
      if (typeof pending === 'string') this.#settle(id, KIND_REJECTED, 0, pending, null)
      else this.#pending.push(pending)
    }
    this.#offer()
  }

  #offer(): void {
    while (this.#next < this.#pending.length && !this.#isWaitingForRoom && !this.#isClosed) {
      const { id, command, answer } = this.#pending[this.#next] as Pending
      const offered = this.#door.offer(command, answer, (settlement) => this.#settled(id, answer, settlement))
      if (offered === 'full') {
        this.#isWaitingForRoom = true
        this.#socket.pause()
        this.#door.onRoom(() => {
          this.#isWaitingForRoom = false
          this.#readOn()
          this.#offer()
        })
        return
      }
      this.#next++
      if (offered !== 'accepted') this.#settle(id, KIND_REJECTED, 0, offered.rejected, null)
    }
    if (this.#next === this.#pending.length) {
      this.#pending = []
      this.#next = 0
    }
  }

  #readOn(): void {
    if (!this.#isWaitingForRoom && !this.#isDraining && !this.#isClosed) this.#socket.resume()
  }

  #settled(id: number, answer: 'refused' | 'always', settlement: Settlement): void {
    switch (settlement.kind) {
      case 'done':
        if (answer === 'always')
          return this.#settle(id, KIND_DONE, settlement.version, keepNegativeZero(settlement.reply ?? null), settlement.reply === undefined)
        this.#unsettled--
        this.#done.push(id)
        if (this.#done.length === 1) setImmediate(() => this.#writeDone())
        return
      case 'refused':
        return this.#settle(id, KIND_REFUSED, settlement.version, settlement.code, keepNegativeZero(settlement.detail ?? null))
      case 'forgotten':
        return this.#settle(id, KIND_FORGOTTEN, 0, null, null)
      case 'failed':
        return this.#settle(id, KIND_FAILED, 0, settlement.message, null)
    }
  }

  #writeDone(): void {
    const ids = this.#done
    this.#done = []
    if (ids.length > 0) this.#write([DONE, ids])
  }

  #settle(id: number, kind: number, version: number, a: unknown, b: unknown): void {
    this.#unsettled--
    this.#write([SETTLED, id, kind, version, a, b])
  }

  #write(message: readonly unknown[]): void {
    if (this.#isClosed || this.#socket.write(packFrame(message)) || this.#isDraining) return
    // A client that sends and does not read what it is told must not fill this process.
    this.#isDraining = true
    this.#socket.pause()
    this.#socket.once('drain', () => {
      this.#isDraining = false
      this.#readOn()
    })
  }

  #fail(message: string): void {
    this.#write([ERROR, message])
    this.#close()
    // Whoever sent that may go on sending: once the message is out, nothing more is read.
    this.#socket.end(() => this.#socket.destroy())
  }

  /** What the door has taken goes on; nobody is told. */
  #close(): void {
    this.#isClosed = true
    this.#pending = []
    this.#next = 0
  }
}

/** The command, or what is wrong with it. */
function pendingOf(id: number, given: unknown): Pending | string {
  if (!Array.isArray(given) || given.length !== 8) return 'not a command'
  const [source, sequence, entity, command, data, at, correlation, answer] = given as unknown as StreamCommand
  if (typeof source !== 'string' || typeof sequence !== 'number') return 'source: expected a text and a number behind it'
  if (typeof entity !== 'string' || typeof command !== 'string') return 'entity: expected the texts of an entity and a command'
  if (typeof data !== 'object' || data === null || Array.isArray(data)) return 'data: expected an object'
  if (at !== null && typeof at !== 'number') return 'at: expected microseconds since 1970'
  if (correlation !== null && typeof correlation !== 'string') return 'correlation: expected a text'
  const envelope = { source, sequence, entity: entity as IngestCommand['entity'], command, data, at: at ?? undefined }
  return { id, command: correlation === null ? envelope : { ...envelope, correlation }, answer: answer === 1 ? 'always' : 'refused' }
}
