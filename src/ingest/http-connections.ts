import type { Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

export interface HttpConnectionsOptions {
  readonly hasTls: boolean
  /** A connection whose client reads nothing of its answer for so long is cut. */
  readonly answerMs: number
}

interface Connection {
  /** In the order of their requests, until they are sent. */
  readonly responses: Set<ServerResponse>
  /** What waited for the client to read it when it was last looked at, and at how many looks it was the same. */
  unreadBytes: number
  stuckCount: number
}

const LOOKS = 4

/** The connections of an HTTP server, each with the requests that are under way on it. */
export class HttpConnections {
  readonly #server: Server
  readonly #connections = new Map<Socket, Connection>()
  /** Below TLS: those that have not shaken hands yet among them. */
  readonly #sockets = new Set<Socket>()
  readonly #looking: NodeJS.Timeout
  #closed: Promise<void> | undefined
  droppedCount = 0

  constructor(server: Server, { hasTls, answerMs }: HttpConnectionsOptions) {
    this.#server = server
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
    server.on(hasTls ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.#connections.set(socket, { responses: new Set(), unreadBytes: 0, stuckCount: 0 })
      socket.once('close', () => this.#connections.delete(socket))
    })
    server.on('drop', () => this.droppedCount++)
    this.#looking = setInterval(() => this.#look(), answerMs / LOOKS).unref()
  }

  get count(): number {
    return this.#sockets.size
  }

  get isClosing(): boolean {
    return this.#closed !== undefined
  }

  /** The number of requests under way on the response's connection, this one included, until each is answered and sent. */
  begin(response: ServerResponse): number {
    const responses = this.#connections.get(response.req.socket)?.responses
    if (responses === undefined) return 1
    responses.add(response)
    response.once('close', () => responses.delete(response))
    return responses.size
  }

  /** Stops listening, ends idle connections at once and the others behind their last answer; cuts what is left after the time. */
  close(withinMs: number): Promise<void> {
    this.#closed ??= this.#close(withinMs)
    return this.#closed
  }

  #close(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        for (const socket of [...this.#sockets]) socket.destroy()
      }, withinMs)
      this.#server.close(() => {
        clearTimeout(timer)
        clearInterval(this.#looking)
        resolve()
      })
      for (const [socket, { responses }] of [...this.#connections]) {
        const last = [...responses].at(-1)
        if (last === undefined) socket.destroy()
        else if (last.headersSent) last.once('close', () => socket.end())
        else last.shouldKeepAlive = false
      }
    })
  }

  #look(): void {
    for (const [socket, connection] of [...this.#connections]) {
      const { writableLength } = socket
      connection.stuckCount = writableLength > 0 && writableLength === connection.unreadBytes ? connection.stuckCount + 1 : 0
      connection.unreadBytes = writableLength
      if (connection.stuckCount >= LOOKS) socket.destroy()
    }
  }
}
