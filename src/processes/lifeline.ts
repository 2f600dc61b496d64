import { Socket } from 'node:net'
import { MillraceError } from '#base/errors.js'
import {
  BIRTH_VARIABLE,
  type ChildBirth,
  type ChildMessage,
  CONTROL_FD,
  CONTROL_LINE_BYTES_MAX,
  plainErrorOf,
  type SupervisorMessage,
} from './control-message.js'
import { JsonLineReader, jsonLine } from './json-lines.js'

const BACKLOG_BYTES_MAX = 4 << 20
const EXIT_WITHIN_MS = 2000

/** How a child ends when its supervisor is gone: not by its own fault, not on request. */
export const EXIT_CODE_ORPHANED = 70

/** The child's end of the pipe to its supervisor. Whoever holds it must answer `stop`, and must end when it closes. */
export interface Lifeline {
  readonly birth: ChildBirth
  /**
   * False when the supervisor does not read (it is stopped) and the backlog is full: an `event` is then dropped and counted, anything else
   * is bounded by what the supervisor asked for and always goes. After the pipe closed nothing is sent.
   */
  send(message: ChildMessage): boolean
  /** Messages that came before the first handler are kept for it. One handler. */
  onMessage(handler: (message: SupervisorMessage) => void): void
  /** The supervisor died. Finish what is in flight; the process ends by itself when the handler's promise settles, at the latest after the bound. */
  onClosed(handler: () => void | Promise<void>): void
  /** Answers `call` messages by name; an unknown name gets ERR_UNKNOWN_CALL. The other messages still go to `onMessage`. */
  serveCalls(methods: Readonly<Record<string, (args: unknown) => unknown>>): void
  readonly droppedEvents: number
}

export interface LifelineOptions {
  /** How long the process may outlive its supervisor. */
  readonly exitWithinMs?: number
}

/**
 * Opens the pipe that the supervisor left at CONTROL_FD; once per process, as the first thing it does. Throws ERR_NO_SUPERVISOR when the
 * process was started by hand. While the pipe is open it keeps the process alive.
 */
export function openLifeline(options: LifelineOptions = {}): Lifeline {
  const birth = readBirth()
  return new PipeLifeline(birth, new Socket({ fd: CONTROL_FD, readable: true, writable: true }), options.exitWithinMs ?? EXIT_WITHIN_MS)
}

class PipeLifeline implements Lifeline {
  readonly birth: ChildBirth
  droppedEvents = 0
  readonly #socket: Socket
  readonly #exitWithinMs: number
  readonly #early: SupervisorMessage[] = []
  #handler: ((message: SupervisorMessage) => void) | undefined
  #closedHandlers: (() => void | Promise<void>)[] = []
  #methods: ReadonlyMap<string, (args: unknown) => unknown> = new Map()
  #isClosed = false

  constructor(birth: ChildBirth, socket: Socket, exitWithinMs: number) {
    this.birth = birth
    this.#socket = socket
    this.#exitWithinMs = exitWithinMs
    const reader = new JsonLineReader(CONTROL_LINE_BYTES_MAX)
    socket.on('data', (piece: Buffer) => {
      for (const message of reader.read(piece)) this.#take(message as SupervisorMessage)
    })
    socket.on('end', () => this.#close())
    socket.on('error', () => this.#close())
    socket.on('close', () => this.#close())
  }

  send(message: ChildMessage): boolean {
    if (this.#isClosed) return false
    if (message.kind === 'event' && this.#socket.writableLength > BACKLOG_BYTES_MAX) {
      this.droppedEvents++
      return false
    }
    this.#socket.write(jsonLine(message, CONTROL_LINE_BYTES_MAX))
    return true
  }

  onMessage(handler: (message: SupervisorMessage) => void): void {
    this.#handler = handler
    for (const message of this.#early.splice(0)) handler(message)
  }

  onClosed(handler: () => void | Promise<void>): void {
    this.#closedHandlers.push(handler)
    if (this.#isClosed) void handler()
  }

  serveCalls(methods: Readonly<Record<string, (args: unknown) => unknown>>): void {
    this.#methods = new Map(Object.entries(methods))
  }

  #take(message: SupervisorMessage): void {
    if (message.kind === 'call') void this.#answer(message.id, message.name, message.args)
    else if (this.#handler === undefined) this.#early.push(message)
    else this.#handler(message)
  }

  async #answer(id: number, name: string, args: unknown): Promise<void> {
    try {
      const method = this.#methods.get(name)
      if (method === undefined) throw unknownCall(name, this.birth.role)
      this.send({ kind: 'answer', id, value: await method(args) })
    } catch (error) {
      this.send({ kind: 'answer', id, error: plainErrorOf(error) })
    }
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#socket.destroy()
    // The timer holds the process until then, so that "finishes in flight" never means "ends before it began".
    setTimeout(() => process.exit(EXIT_CODE_ORPHANED), this.#exitWithinMs)
    const finished = this.#closedHandlers.map(async (handler) => handler())
    void Promise.allSettled(finished).then(() => process.exit(EXIT_CODE_ORPHANED))
  }
}

function readBirth(): ChildBirth {
  const text = process.env[BIRTH_VARIABLE]
  // Not for the process's own children.
  delete process.env[BIRTH_VARIABLE]
  if (text === undefined) {
    throw new MillraceError('ERR_NO_SUPERVISOR', {
      fact: 'this program is a part of a plant and was started without a supervisor',
      action: 'operator',
      next: 'start the plant with `millrace up`',
    })
  }
  return JSON.parse(text) as ChildBirth
}

function unknownCall(name: string, role: string): MillraceError {
  return new MillraceError('ERR_UNKNOWN_CALL', {
    fact: 'the process knows no such call',
    action: 'operator',
    values: { call: name, role },
    next: 'check the name',
  })
}
