import { EventEmitter } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CommandAnswer } from '#ingest/command-request.js'
import type { HttpCommands } from '#ingest/http-commands.js'

/** One HTTP request with commands, on a connection of its own, as far as the door looks at it. */
export class Post {
  readonly #request: EventEmitter & { readonly socket: { destroyed: boolean; readonly remoteAddress: string } }
  readonly #body: string
  readonly #onAnswer: (answers: readonly CommandAnswer[], isWhole: boolean) => void
  #hasArrived = false

  /** `onAnswer` is told the answers to the first commands, and whether these were all. */
  constructor(
    headers: Readonly<Record<string, string>>,
    body: string,
    onAnswer: (answers: readonly CommandAnswer[], isWhole: boolean) => void,
  ) {
    const socket = { destroyed: false, remoteAddress: '127.0.0.1' }
    this.#request = Object.assign(new EventEmitter(), { headers, socket, method: 'POST', resume: () => undefined, readableEnded: true })
    this.#body = body
    this.#onAnswer = onAnswer
  }

  send(http: HttpCommands): void {
    let status = 0
    const response = {
      req: this.#request,
      headersSent: false,
      writeHead: (code: number) => {
        status = code
      },
      end: (bytes: Buffer) => this.#answer(status, bytes.toString('utf8')),
    }
    // What a gateway that was killed had still to do with it ends in an error.
    http.take(this.#request as unknown as IncomingMessage, response as unknown as ServerResponse, false).catch(() => undefined)
  }

  /** Its body comes in. */
  arrive(): void {
    if (this.#hasArrived) return
    this.#hasArrived = true
    this.#request.emit('data', Buffer.from(this.#body))
    this.#request.emit('end')
  }

  /** Its connection is gone. */
  cut(): void {
    this.#request.socket.destroyed = true
    this.#hasArrived = true
    this.#request.emit('close')
  }

  #answer(status: number, text: string): void {
    if (this.#request.socket.destroyed) return
    if (status === 200) {
      const lines = text.split('\n').filter((line) => line !== '')
      return this.#onAnswer(
        lines.map((line) => JSON.parse(line) as CommandAnswer),
        true,
      )
    }
    if (status !== 429) throw new Error(`the door answered ${status}: ${text}`)
    this.#onAnswer((JSON.parse(text) as { readonly answers?: CommandAnswer[] }).answers ?? [], false)
  }
}
