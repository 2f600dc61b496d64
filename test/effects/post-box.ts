import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface Posted {
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly key: string
  readonly body: unknown
}

/** How a post box answers: by default with 204. */
export type Answer = (posted: Posted, response: ServerResponse) => void

/** An HTTP server that remembers what was posted to it, when the whole of it has come. */
export class PostBox {
  readonly posted: Posted[] = []
  answer: Answer = (_, response) => void response.writeHead(204).end()
  readonly #server: Server
  readonly #sockets = new Set<Socket>()

  static async open(port = 0): Promise<PostBox> {
    const box = new PostBox()
    await new Promise<void>((resolve) => box.#server.listen(port, '127.0.0.1', resolve))
    return box
  }

  private constructor() {
    this.#server = createServer((request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { url = '', headers } = request
        const posted = {
          path: url,
          headers,
          key: String(headers['idempotency-key']),
          body: JSON.parse(Buffer.concat(chunks).toString()) as unknown,
        }
        this.posted.push(posted)
        this.answer(posted, response)
      })
    })
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get keys(): readonly string[] {
    return this.posted.map(({ key }) => key)
  }

  close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    return new Promise((resolve) => this.#server.close(() => resolve()))
  }
}
