import type { Socket } from 'node:net'
import { MillraceError } from '#base/errors.js'
import { errorOfPlain, type PlainError } from './control-message.js'
import { connectControl, SOCKET_LINE_BYTES_MAX } from './control-socket.js'
import { JsonLineReader, jsonLine } from './json-lines.js'

const CALL_TIMEOUT_MS = 10_000
const ITEMS_AHEAD_MAX = 256

interface Answer {
  readonly id: number
  readonly value?: unknown
  readonly error?: PlainError
  readonly item?: unknown
  readonly end?: boolean
}

interface Call {
  resolve(value: unknown): void
  reject(error: Error): void
  readonly timer: NodeJS.Timeout
}

/** One connection to a control socket, for calls. Calls run side by side and are answered in any order. */
export class ControlClient {
  readonly path: string
  readonly #socket: Socket
  readonly #calls = new Map<number, Call>()
  #callCount = 0
  #closed: MillraceError | undefined

  private constructor(path: string, socket: Socket) {
    this.path = path
    this.#socket = socket
    const reader = new JsonLineReader(SOCKET_LINE_BYTES_MAX)
    socket.on('data', (piece) => {
      try {
        for (const answer of reader.read(piece)) this.#take(answer as Answer)
      } catch {
        socket.destroy()
      }
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.#closed ??= lost(path)
      for (const call of this.#calls.values()) {
        clearTimeout(call.timer)
        call.reject(this.#closed)
      }
      this.#calls.clear()
    })
  }

  /** Throws ERR_SOCKET_ABSENT when nobody listens there. */
  static async open(path: string): Promise<ControlClient> {
    return new ControlClient(path, await connectControl(path))
  }

  /** The method's value. Rejects with the other side's error (same code), ERR_CONTROL_TIMEOUT, or ERR_CONTROL_LOST when the connection ends first. */
  call(name: string, args: unknown = {}, timeoutMs = CALL_TIMEOUT_MS): Promise<unknown> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed)
    const id = ++this.#callCount
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#calls.delete(id)
        this.#socket.write(jsonLine({ id, cancel: true }, SOCKET_LINE_BYTES_MAX))
        reject(timedOut(this.path, name, timeoutMs))
      }, timeoutMs)
      this.#calls.set(id, { resolve, reject, timer })
      this.#socket.write(jsonLine({ id, name, args }, SOCKET_LINE_BYTES_MAX))
    })
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(answer: Answer): void {
    if (answer.id === 0 && answer.error !== undefined) this.#closed = errorOfPlain(answer.error)
    const call = this.#calls.get(answer.id)
    if (call === undefined) return
    this.#calls.delete(answer.id)
    clearTimeout(call.timer)
    if (answer.error === undefined) call.resolve(answer.value)
    else call.reject(errorOfPlain(answer.error))
  }
}

/** One call over a connection of its own. Rejects as `ControlClient.open` and `call` do. */
export async function callControl(path: string, name: string, args: unknown = {}, timeoutMs = CALL_TIMEOUT_MS): Promise<unknown> {
  const client = await ControlClient.open(path)
  try {
    return await client.call(name, args, timeoutMs)
  } finally {
    client.close()
  }
}

export interface StreamOptions {
  /** How many values the other side may make ahead of the one at hand. Without it, it goes on until a few hundred and what the kernel buffers are full. */
  readonly aheadMax?: number
  /** Ends the stream, also while it waits. */
  readonly signal?: AbortSignal
}

/**
 * All values of a streaming method, over a connection of its own; a method that gives one value is a stream of one. Leaving the loop cancels. Throws as
 * `callControl` does, but knows no timeout.
 */
export async function* streamControl(
  path: string,
  name: string,
  args: unknown = {},
  { aheadMax, signal }: StreamOptions = {},
): AsyncGenerator<unknown, void> {
  const isEnded = () => signal?.aborted === true
  if (isEnded()) return
  const socket = await connectControl(path)
  const reader = new JsonLineReader(SOCKET_LINE_BYTES_MAX)
  const answers: Answer[] = []
  let failure: Error | undefined
  let isClosed = false
  let wake = () => {}
  socket.on('data', (piece) => {
    try {
      for (const answer of reader.read(piece)) answers.push(answer as Answer)
    } catch (error) {
      failure = error as Error
    }
    if (answers.length > ITEMS_AHEAD_MAX) socket.pause()
    wake()
  })
  socket.on('error', () => undefined)
  socket.on('close', () => {
    isClosed = true
    wake()
  })
  const cut = () => socket.destroy()
  signal?.addEventListener('abort', cut)
  const send = (value: object) => socket.write(jsonLine({ id: 1, ...value }, SOCKET_LINE_BYTES_MAX))
  try {
    if (isEnded()) return
    send({ name, args, ...(aheadMax === undefined ? {} : { credit: aheadMax }) })
    for (;;) {
      for (const answer of answers.splice(0)) {
        if (answer.error !== undefined) throw errorOfPlain(answer.error)
        if (answer.end === true) return
        if (!('item' in answer)) return yield answer.value
        if (aheadMax !== undefined) send({ credit: 1 })
        yield answer.item
      }
      if (isEnded()) return
      if (failure !== undefined) throw failure
      if (isClosed && answers.length === 0) throw lost(path)
      socket.resume()
      if (answers.length > 0) continue
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
  } finally {
    signal?.removeEventListener('abort', cut)
    socket.destroy()
  }
}

function lost(path: string): MillraceError {
  return new MillraceError('ERR_CONTROL_LOST', {
    fact: 'the other side closed the control connection',
    action: 'retry',
    values: { path },
    next: 'look whether the plant still runs, then ask again',
  })
}

function timedOut(path: string, name: string, timeoutMs: number): MillraceError {
  return new MillraceError('ERR_CONTROL_TIMEOUT', {
    fact: 'no answer in time',
    action: 'retry',
    values: { path, method: name, timeoutMs },
    next: 'ask again; if it stays silent look at the logs in the data directory',
  })
}
