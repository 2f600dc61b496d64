import { chmodSync, closeSync, existsSync, openSync, unlinkSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { basename, dirname, join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { plainErrorOf } from './control-message.js'
import { JsonLineReader, jsonLine } from './json-lines.js'

/*
 * A Unix-domain socket that speaks lines of JSON, for tools on the same machine.
 *
 *   asked:     {"id":1,"name":"status","args":{}}        {"id":1,"cancel":true}
 *   answered:  {"id":1,"value":…}  |  {"id":1,"error":{"code":…,"message":…}}
 *   streamed:  {"id":1,"item":…} …  then {"id":1,"end":true} or an error
 *
 * Who asks with a credit, {"id":1,"name":"follow","args":{},"credit":1}, gets so many items and then as many more as it grants: {"id":1,"credit":1}. An item is
 * made when there is credit for it. Without one, items come as fast as they are read.
 */
export const SOCKET_LINE_BYTES_MAX = 16 << 20

const CONNECTIONS_MAX = 256
const END_WITHIN_MS = 500
const REQUESTS_PER_CONNECTION_MAX = 64
const SOCKET_PATH_BYTES_MAX = 107

/** What a method may return: a value, a promise of one, or many values, sent as fast as the caller reads. `signal` aborts when the caller is gone. */
export type ControlMethod = (args: unknown, signal: AbortSignal) => unknown

export interface ControlServer {
  readonly path: string
  /** Takes no new connections and removes the socket, so that a successor may listen there; those that are open go on. */
  stopListening(): void
  /** The same, and ends open connections once what was answered is on its way. Calls and streams that still run are aborted. */
  close(): Promise<void>
}

/**
 * Listens at `path`, mode 0600, at any path length. A socket file that nobody listens on is replaced; throws ERR_SOCKET_HELD when somebody does,
 * ERR_SOCKET_LISTEN for reasons of the file system.
 */
export async function serveControl(path: string, methods: Readonly<Record<string, ControlMethod>>): Promise<ControlServer> {
  const byName = new Map(Object.entries(methods))
  const connections = new Set<Connection>()
  const server = createServer((socket) => {
    const connection = new Connection(socket, byName)
    connections.add(connection)
    socket.on('close', () => connections.delete(connection))
  })
  server.maxConnections = CONNECTIONS_MAX
  const address = await listen(server, path)
  const closed = new Promise<void>((resolve) => server.once('close', resolve))
  void closed.then(() => address.release())
  const stopListening = () => {
    if (server.listening) server.close()
  }
  return {
    path,
    stopListening,
    close: () => {
      stopListening()
      for (const connection of connections) connection.end()
      return closed
    },
  }
}

/** Listens at `path` as serveControl does, for a protocol of the caller's own. */
export async function serveConnections(path: string, take: (socket: Socket) => void): Promise<{ close(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    take(socket)
  })
  server.maxConnections = CONNECTIONS_MAX
  const address = await listen(server, path)
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          address.release()
          resolve()
        })
        for (const socket of sockets) socket.destroySoon()
      }),
  }
}

/** Opens a connection to a control socket of any path length. Throws ERR_SOCKET_ABSENT when nobody listens there. */
export async function connectControl(path: string): Promise<Socket> {
  let address: SocketAddress | undefined
  try {
    address = socketAddress(path)
    return await connected(address.path)
  } catch (cause) {
    throw new MillraceError('ERR_SOCKET_ABSENT', {
      fact: 'nobody listens on this control socket',
      action: 'operator',
      values: { path },
      next: 'start the plant with `millrace up`',
      cause,
    })
  } finally {
    address?.release()
  }
}

interface Request {
  readonly id: number
  readonly name: string
  readonly args: unknown
  readonly cancel?: boolean
  readonly credit?: number
}

/** One request at work: what ends it, and what it may still send. */
class Running {
  readonly #abort = new AbortController()
  #credit: number
  #wake = () => {}

  constructor(credit: number) {
    this.#credit = credit
    this.signal.addEventListener('abort', () => this.#wake())
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  abort(): void {
    this.#abort.abort()
  }

  grant(credit: number): void {
    this.#credit += credit
    this.#wake()
  }

  /** Resolves when an item may be made, or when nobody wants it any more. */
  async spend(): Promise<void> {
    while (this.#credit <= 0 && !this.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    this.#credit--
  }
}

class Connection {
  readonly #socket: Socket
  readonly #methods: ReadonlyMap<string, ControlMethod>
  readonly #running = new Map<number, Running>()

  constructor(socket: Socket, methods: ReadonlyMap<string, ControlMethod>) {
    this.#socket = socket
    this.#methods = methods
    const reader = new JsonLineReader(SOCKET_LINE_BYTES_MAX)
    socket.on('data', (piece) => {
      try {
        for (const request of reader.read(piece)) this.#take(request as Request)
      } catch (error) {
        socket.write(jsonLine({ id: 0, error: plainErrorOf(error) }, SOCKET_LINE_BYTES_MAX))
        socket.destroySoon()
      }
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      for (const running of this.#running.values()) running.abort()
    })
  }

  /** Ends once what was answered is on its way, and soon in any case: a reader that stands still must not hold its server up. */
  end(): void {
    this.#socket.destroySoon()
    setTimeout(() => this.#socket.destroy(), END_WITHIN_MS).unref()
  }

  #take(request: Request): void {
    if (typeof request !== 'object' || request === null || typeof request.id !== 'number') throw badRequest()
    const { credit } = request
    if (credit !== undefined && !(Number.isSafeInteger(credit) && credit > 0)) throw badRequest()
    if (request.cancel === true) return this.#running.get(request.id)?.abort()
    // Credit for what has just ended is nothing to anyone.
    if (credit !== undefined && request.name === undefined) return this.#running.get(request.id)?.grant(credit)
    if (typeof request.name !== 'string' || this.#running.has(request.id)) throw badRequest()
    const running = new Running(credit ?? Number.POSITIVE_INFINITY)
    this.#running.set(request.id, running)
    if (this.#running.size >= REQUESTS_PER_CONNECTION_MAX) this.#socket.pause()
    void this.#answer(request, running).finally(() => {
      this.#running.delete(request.id)
      this.#socket.resume()
    })
  }

  async #answer({ id, name, args }: Request, running: Running): Promise<void> {
    try {
      const method = this.#methods.get(name)
      if (method === undefined) throw unknownMethod(name, [...this.#methods.keys()])
      const result = await method(args, running.signal)
      if (isStream(result)) await this.#stream(id, result, running)
      else await this.#write({ id, value: result })
    } catch (error) {
      await this.#write({ id, error: plainErrorOf(error) })
    }
  }

  async #stream(id: number, items: AsyncIterable<unknown>, running: Running): Promise<void> {
    await running.spend()
    for await (const item of items) {
      if (running.signal.aborted) break
      await this.#write({ id, item })
      await running.spend()
    }
    await this.#write({ id, end: true })
  }

  /** Resolves when there is room for more: a slow reader holds up its own stream and nobody else's. */
  async #write(value: unknown): Promise<void> {
    if (this.#socket.destroyed || this.#socket.write(jsonLine(value, SOCKET_LINE_BYTES_MAX))) return
    await new Promise<void>((resolve) => {
      const proceed = () => {
        this.#socket.off('drain', proceed)
        this.#socket.off('close', proceed)
        resolve()
      }
      this.#socket.on('drain', proceed)
      this.#socket.on('close', proceed)
    })
  }
}

/** A path short enough for the kernel that leads to the same socket; `release` when it is no longer needed. */
interface SocketAddress {
  readonly path: string
  release(): void
}

/** Socket addresses hold 107 bytes. A longer path is entered through the descriptor of its directory. */
function socketAddress(path: string): SocketAddress {
  if (Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX) return { path, release: () => undefined }
  const directory = openSync(dirname(path), 'r')
  return { path: join('/proc/self/fd', String(directory), basename(path)), release: () => closeSync(directory) }
}

async function listen(server: Server, path: string): Promise<SocketAddress> {
  let address: SocketAddress | undefined
  try {
    address = socketAddress(path)
    await removeStale(path, address)
    await listening(server, address.path)
    chmodSync(path, 0o600)
    return address
  } catch (cause) {
    address?.release()
    if (cause instanceof MillraceError) throw cause
    throw new MillraceError('ERR_SOCKET_LISTEN', {
      fact: 'the control socket cannot be opened',
      action: 'operator',
      values: { path },
      next: 'check that the directory exists and belongs to this user',
      cause,
    })
  }
}

async function removeStale(path: string, address: SocketAddress): Promise<void> {
  if (!existsSync(path)) return
  const holder = await connected(address.path).catch(() => undefined)
  if (holder === undefined) return unlinkSync(path)
  holder.destroy()
  throw new MillraceError('ERR_SOCKET_HELD', {
    fact: 'another process listens on this control socket',
    action: 'operator',
    values: { path },
    next: 'stop it with `millrace down`',
  })
}

function listening(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(path, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function connected(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path)
    socket.once('error', reject)
    socket.once('connect', () => {
      socket.off('error', reject)
      resolve(socket)
    })
  })
}

function isStream(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

function badRequest(): MillraceError {
  return new MillraceError('ERR_CONTROL_REQUEST', {
    fact: 'a request needs an id of its own, a name and args',
    action: 'operator',
    next: 'check that both sides are the same version of millrace',
  })
}

function unknownMethod(name: string, known: readonly string[]): MillraceError {
  return new MillraceError('ERR_CONTROL_METHOD', {
    fact: 'this control socket has no such method',
    action: 'operator',
    values: { method: name, known: known.join(',') },
    next: 'use one of these',
  })
}
