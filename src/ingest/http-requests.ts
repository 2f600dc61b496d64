import type { IncomingMessage, ServerResponse } from 'node:http'
import { HttpAccess } from './http-access.js'
import { answer, answerText } from './http-answer.js'
import { HttpCommands, type HttpCommandsOptions } from './http-commands.js'
import type { HttpConnections } from './http-connections.js'

/** A GET route beside the door. */
export interface Page {
  /** Whether it is shown without a token. */
  readonly isOpen: boolean
  read(): Promise<PageAnswer> | PageAnswer
}

export interface PageAnswer {
  readonly status: number
  readonly type: string
  readonly body: string
}

export interface HttpRequestsOptions extends HttpCommandsOptions {
  readonly token?: string | undefined
  readonly pages: Readonly<Record<string, Page>>
  readonly connections: HttpConnections
  /** Why no command can be taken for now, in words; asked at each request. */
  readonly whyNotNow?: (() => string | undefined) | undefined
  readonly onError?: (error: unknown) => void
}

const NOT_NOW_SECONDS = 5

export const COMMANDS_PATH = '/v1/commands'

/** A client that sends on and on without reading gets no answer for the last ones; one far beyond its bound is cut off. */
const PIPELINED_FACTOR_MAX = 4

/** Leads each request to its page or to the door. */
export class HttpRequests {
  /** Requests by status; 0 for those whose client left first. */
  readonly answered = new Map<number, number>()
  readonly #options: HttpRequestsOptions
  readonly #access: HttpAccess
  readonly #commands: HttpCommands
  readonly #pages: ReadonlyMap<string, Page>

  constructor(options: HttpRequestsOptions) {
    this.#options = options
    this.#access = new HttpAccess(options.token)
    this.#commands = new HttpCommands(options)
    this.#pages = new Map(Object.entries(options.pages))
  }

  get held(): HttpCommands['held'] {
    return this.#commands.held
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { connections, limits, onError } = this.#options
    const { socket } = request
    const underWay = connections.begin(response)
    if (underWay > limits.pipelinedMax * PIPELINED_FACTOR_MAX) socket.destroy()
    // A connection that breaks is seen where it matters; here it must only not end the process.
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    try {
      await this.#route(request, response, underWay > limits.pipelinedMax)
    } catch (error) {
      onError?.(error)
      if (!response.headersSent) answer(response, 500, { error: 'the door failed; its log says why' })
      else response.destroy()
    } finally {
      const status = response.headersSent ? response.statusCode : 0
      this.answered.set(status, (this.answered.get(status) ?? 0) + 1)
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, isTooMany: boolean): Promise<void> {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
    const page = this.#pages.get(path)
    if (this.#options.connections.isClosing) {
      response.shouldKeepAlive = false
      return answer(response, 503, { error: 'the plant stops', taken: 0 }, { 'retry-after': '1' })
    }
    if (page?.isOpen !== true && !this.#access.isAllowed(request))
      return answer(response, 401, { error: 'send the token as Authorization: Bearer …' }, { 'www-authenticate': 'Bearer' })
    if (page !== undefined) return this.#show(page, request, response)
    if (path !== COMMANDS_PATH) return answer(response, 404, { error: `there is nothing here; commands go to POST ${COMMANDS_PATH}` })
    if (request.method !== 'POST') return answer(response, 405, { error: 'use POST' }, { allow: 'POST' })
    if (this.#access.isFromForeignPage(request))
      return answer(response, 403, { error: 'a page in a browser sends no commands to a door without a token' })
    const why = this.#options.whyNotNow?.()
    if (why !== undefined) {
      response.shouldKeepAlive = false
      return answer(response, 503, { error: why, taken: 0 }, { 'retry-after': String(NOT_NOW_SECONDS) })
    }
    await this.#commands.take(request, response, isTooMany)
  }

  async #show(page: Page, request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method !== 'GET' && request.method !== 'HEAD') return answer(response, 405, { error: 'use GET' }, { allow: 'GET, HEAD' })
    const { status, type, body } = await page.read()
    answerText(response, status, type, body)
  }
}
