import { isUtf8 } from 'node:buffer'
import { timingSafeEqual } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { exactJson } from '#base/exact-json.js'
import { checkBind } from './bind-check.js'
import { parseCommands } from './command-lines.js'
import { takeCommands } from './command-request.js'
import type { Door } from './door.js'
import { RateLimit } from './rate-limit.js'
import { SourceOrder } from './source-order.js'

export interface HttpDoorOptions {
  readonly door: Door
  readonly clock: Clock
  readonly host: string
  /** 0 takes a free one. */
  readonly port: number
  readonly bodyBytesMax: number
  readonly connectionsMax: number
  /** Commands a second and client address; 0 is no limit. */
  readonly ratePerSecond: number
  /** What clients must send as bearer token; undefined asks for none. */
  readonly token?: string | undefined
  /** Files in PEM form. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined
  /** GET routes beside the door, such as /healthz: answered without a token when `isOpen`. */
  readonly pages: Readonly<Record<string, Page>>
}

export interface Page {
  readonly isOpen: boolean
  read(): Promise<PageAnswer> | PageAnswer
}

export interface PageAnswer {
  readonly status: number
  readonly type: string
  readonly body: string
}

export interface HttpDoor {
  /** `http://127.0.0.1:8080` */
  readonly url: string
  /** Takes no new request, lets those under way end, at most for the time. */
  close(withinMs: number): Promise<void>
}

export const COMMANDS_PATH = '/v1/commands'

const HEADERS_WITHIN_MS = 10_000
const REQUEST_WITHIN_MS = 30_000
const KEEP_ALIVE_MS = 5_000
const RETRY_AFTER_SECONDS = 1

/**
 * Commands by HTTP: POST /v1/commands with JSON lines, answered with a line for each once all are durable. With the headers Millrace-Source and
 * Millrace-Sequence (of the first line) a request can be sent again until it is answered and takes effect once. Throws
 * ERR_BIND_NOT_LOOPBACK, ERR_HTTP_LISTEN.
 */
export async function openHttpDoor(options: HttpDoorOptions): Promise<HttpDoor> {
  checkBind({ host: options.host, hasToken: options.token !== undefined, hasTls: options.tls !== undefined })
  const requests = new HttpRequests(options)
  const handle = (request: IncomingMessage, response: ServerResponse) => void requests.handle(request, response)
  const server =
    options.tls === undefined
      ? createServer(handle)
      : createTlsServer({ cert: readFileSync(options.tls.cert), key: readFileSync(options.tls.key) }, handle)
  server.maxConnections = options.connectionsMax
  server.headersTimeout = HEADERS_WITHIN_MS
  server.requestTimeout = REQUEST_WITHIN_MS
  server.keepAliveTimeout = KEEP_ALIVE_MS
  await listen(server, options)
  const { port } = server.address() as AddressInfo
  const host = options.host.includes(':') ? `[${options.host}]` : options.host
  return {
    url: `${options.tls === undefined ? 'http' : 'https'}://${host}:${port}`,
    close: (withinMs) => close(server, withinMs),
  }
}

class HttpRequests {
  readonly #options: HttpDoorOptions
  readonly #rate: RateLimit
  readonly #order = new SourceOrder()
  readonly #token: Buffer | undefined

  constructor(options: HttpDoorOptions) {
    this.#options = options
    this.#rate = new RateLimit(options.ratePerSecond, options.clock)
    this.#token = options.token === undefined ? undefined : Buffer.from(`Bearer ${options.token}`)
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const path = new URL(request.url ?? '/', 'http://door').pathname
      const page = this.#options.pages[path]
      if (page?.isOpen !== true && !this.#isAllowed(request))
        return answer(response, 401, { error: 'send the token as Authorization: Bearer …' }, { 'www-authenticate': 'Bearer' })
      if (page !== undefined) return await this.#showPage(page, request, response)
      if (path !== COMMANDS_PATH) return answer(response, 404, { error: `there is nothing here; commands go to POST ${COMMANDS_PATH}` })
      if (request.method !== 'POST') return answer(response, 405, { error: `use POST` }, { allow: 'POST' })
      await this.#takeCommands(request, response)
    } catch (error) {
      if (!response.headersSent) answer(response, 500, { error: 'the door failed', detail: (error as Error).message })
      else response.destroy()
    }
  }

  async #showPage(page: Page, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, { error: 'use GET' }, { allow: 'GET, HEAD' })
    const { status, type, body } = await page.read()
    response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(request.method === 'HEAD' ? undefined : body)
  }

  #isAllowed(request: IncomingMessage): boolean {
    if (this.#token === undefined) return true
    const given = Buffer.from(request.headers.authorization ?? '')
    return given.length === this.#token.length && timingSafeEqual(given, this.#token)
  }

  async #takeCommands(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const encoding = request.headers['content-encoding'] ?? 'identity'
    if (encoding !== 'identity') return answer(response, 415, { error: 'send the body without content-encoding' })
    const numbering = numberingOf(request)
    if (typeof numbering === 'string') return answer(response, 400, { error: numbering })
    const { source, sequence } = numbering
    const bytes = await readBody(request, this.#options.bodyBytesMax)
    if (bytes === undefined) {
      response.shouldKeepAlive = false
      await this.#inTurn(source, () => this.#refused(source, sequence))
      return answer(response, 413, { error: `a body has at most ${this.#options.bodyBytesMax} bytes; send less at a time`, taken: 0 })
    }
    const body = textOf(bytes)
    if (body === undefined) return answer(response, 400, { error: 'the body is not UTF-8' })
    const commands = parseCommands(body, source, sequence)
    if (!Array.isArray(commands)) return answer(response, 400, { error: commands.error, line: commands.line, taken: 0 })
    await this.#inTurn(source, async () => {
      const awaited = source === '' ? undefined : this.#order.awaitedBefore(source, sequence)
      if (awaited !== undefined)
        return tooMany(response, RETRY_AFTER_SECONDS, `number ${awaited} of this source was not taken and must come first`, [])
      const waitSeconds = this.#rate.take(request.socket.remoteAddress ?? '', commands.length)
      if (waitSeconds > 0) {
        this.#refused(source, sequence)
        return tooMany(response, Math.ceil(waitSeconds), 'more commands a second than this door allows', [])
      }
      const { kind, answers, reason } = await takeCommands(this.#options.door, commands, this.#options.clock)
      // A command that can never be taken keeps its number: whoever sends it mends it under the same one.
      if (source !== '') this.#order.taken(source, sequence + answers.length, kind === 'done')
      if (kind === 'full') return tooMany(response, RETRY_AFTER_SECONDS, 'the plant is full', answers)
      if (kind === 'rejected') return answer(response, 400, { error: reason, line: answers.length + 1, taken: answers.length, answers })
      response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end(answers.map((one) => `${exactJson(one)}\n`).join(''))
    })
  }

  #inTurn(source: string, take: () => Promise<void> | void): Promise<void> {
    return source === '' ? Promise.resolve(take()) : this.#order.inTurn(source, async () => take())
  }

  /** Was told to come again: until it does, nothing later of the source may overtake it. */
  #refused(source: string, sequence: number): void {
    if (source !== '' && this.#order.awaitedBefore(source, sequence) === undefined) this.#order.taken(source, sequence, false)
  }
}

function numberingOf(request: IncomingMessage): { readonly source: string; readonly sequence: number } | string {
  const source = request.headers['millrace-source']
  const text = request.headers['millrace-sequence']
  if (source === undefined && text === undefined) return { source: '', sequence: 0 }
  if (typeof source !== 'string' || typeof text !== 'string' || source === '') return 'Millrace-Source and Millrace-Sequence go together'
  const sequence = Number(text)
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(sequence)) return 'Millrace-Sequence: expected a whole number, that of the first command'
  return { source: `http:${source}`, sequence }
}

/** Undefined for more than `bytesMax`: then nothing more of the request is kept, and its connection can still be answered. */
function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = []
    let byteCount = Number(request.headers['content-length'] ?? 0) > bytesMax ? Number.POSITIVE_INFINITY : 0
    if (byteCount > bytesMax) resolve(undefined)
    request.on('data', (piece: Buffer) => {
      byteCount += piece.length
      if (byteCount <= bytesMax) pieces.push(piece)
      else resolve(undefined)
    })
    request.on('end', () => resolve(Buffer.concat(pieces)))
    request.on('error', reject)
    request.on('close', () => reject(new Error('the connection ended within the body')))
  })
}

function textOf(bytes: Buffer): string | undefined {
  return isUtf8(bytes) ? bytes.toString('utf8').replace(/^\ufeff/, '') : undefined
}

function tooMany(response: ServerResponse, retryAfterSeconds: number, error: string, answers: readonly unknown[]): void {
  answer(response, 429, { error, taken: answers.length, answers }, { 'retry-after': String(retryAfterSeconds) })
}

function answer(response: ServerResponse, status: number, body: object, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(`${exactJson(body)}\n`)
}

function listen(server: Server, { host, port }: HttpDoorOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const isTaken = cause.code === 'EADDRINUSE'
      reject(
        new MillraceError('ERR_HTTP_LISTEN', {
          fact: isTaken ? 'another program listens on the port of the HTTP door' : 'the HTTP door cannot listen',
          action: 'operator',
          values: { host, port },
          next: 'set http.port to a free one, or to 0 for any',
          cause,
        }),
      )
    })
    server.listen(port, host, resolve)
  })
}

function close(server: Server, withinMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), withinMs)
    server.close(() => {
      clearTimeout(timer)
      resolve()
    })
    server.closeIdleConnections()
  })
}
