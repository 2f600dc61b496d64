import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { checkBind } from './bind-check.js'
import type { Door } from './door.js'
import { HttpConnections } from './http-connections.js'
import { HTTP_LIMITS, type HttpLimits } from './http-limits.js'
import { HttpRequests, type Page } from './http-requests.js'
import type { NumberWords } from './number-words.js'

export interface HttpDoorOptions {
  readonly door: Door
  readonly clock: Clock
  readonly host: string
  /** 0 takes a free one, `preferredPort` when that is free. */
  readonly port: number
  readonly preferredPort?: number | undefined
  readonly bodyBytesMax: number
  readonly connectionsMax: number
  /** Commands a second and client address; 0 is no limit. */
  readonly ratePerSecond: number
  /** What clients must send as bearer token; undefined asks for none. */
  readonly token?: string | undefined
  /** Files in PEM form. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined
  /** GET routes beside the door, by path. */
  readonly pages: Readonly<Record<string, Page>>
  /** Why no command can be taken for now, in words; asked at each request. */
  readonly whyNotNow?: () => string | undefined
  readonly limits?: Partial<HttpLimits>
  /** Reads NaN and the infinities, for which JSON has no numbers. */
  readonly words?: NumberWords
  /** What went wrong on this side; the client has been told that it did. */
  readonly onError?: (error: unknown) => void
}

/** What the door has done. */
export interface HttpStats {
  /** Requests by the status of their answer; `0` for clients that left before it. */
  readonly requests: ReadonlyMap<number, number>
  readonly connections: number
  /** Connections closed at once, there being as many as there may be. */
  readonly dropped: number
}

export interface HttpDoor {
  /** `http://127.0.0.1:8080` */
  readonly url: string
  readonly stats: HttpStats
  /** What requests under way hold: all 0 when there are none. */
  readonly held: { readonly bodyBytes: number; readonly turns: number; readonly waiting: number }
  /** Takes no new request, answers those under way, and cuts what is left after the time. Safe to call again. */
  close(withinMs: number): Promise<void>
}

const BODIES = 4

/**
 * Commands by HTTP: POST /v1/commands with JSON lines, answered with a line for each once all are durable. With the headers Millrace-Source and
 * Millrace-Sequence (of the first line) a request can be sent again until it is answered and takes effect once. docs/http.md is the contract. Throws
 * ERR_BIND_NOT_LOOPBACK, ERR_HTTP_LISTEN, ERR_HTTP_TLS.
 */
export async function openHttpDoor(options: HttpDoorOptions): Promise<HttpDoor> {
  const { host, token, tls, onError } = options
  checkBind({ host, hasToken: token !== undefined, hasTls: tls !== undefined })
  const limits = limitsOf(options)
  const server = newServer(tls, limits)
  server.maxConnections = options.connectionsMax
  const connections = new HttpConnections(server, { hasTls: tls !== undefined, answerMs: limits.answerMs })
  const requests = new HttpRequests({ ...options, limits, connections })
  const handle = (request: IncomingMessage, response: ServerResponse) => void requests.handle(request, response)
  server.on('request', handle)
  // The body is asked for once it is known to be wanted.
  server.on('checkContinue', handle)
  await listen(server, options)
  server.on('error', (error) => onError?.(error))
  const { port } = server.address() as AddressInfo
  return {
    url: `${tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    get stats() {
      return { requests: requests.answered, connections: connections.count, dropped: connections.droppedCount }
    },
    get held() {
      return requests.held
    },
    close: (withinMs) => connections.close(withinMs),
  }
}

/** Room for the largest body there may be, packed and unpacked, and for others beside it. */
function limitsOf(options: HttpDoorOptions): HttpLimits {
  const limits = { ...HTTP_LIMITS, ...options.limits }
  if (options.limits?.bodiesBytesMax !== undefined) return limits
  return { ...limits, bodiesBytesMax: Math.max(limits.bodiesBytesMax, BODIES * options.bodyBytesMax) }
}

function newServer(tls: HttpDoorOptions['tls'], limits: HttpLimits): Server {
  const { headersMs, requestMs, keepAliveMs } = limits
  const options: ServerOptions = {
    headersTimeout: headersMs,
    requestTimeout: requestMs,
    keepAliveTimeout: keepAliveMs,
    connectionsCheckingInterval: Math.ceil(Math.min(1000, headersMs / 4, requestMs / 4)),
  }
  if (tls === undefined) return createServer(options)
  try {
    return createTlsServer({ ...options, cert: readFileSync(tls.cert), key: readFileSync(tls.key), handshakeTimeout: headersMs })
  } catch (cause) {
    throw new MillraceError('ERR_HTTP_TLS', {
      fact: `the certificate or the key of the HTTP door cannot be used: ${(cause as Error).message}`,
      action: 'operator',
      values: { cert: tls.cert, key: tls.key },
      next: 'set http.tls.cert and http.tls.key to files in PEM form that belong together',
      cause,
    })
  }
}

async function listen(server: Server, { host, port, preferredPort }: HttpDoorOptions): Promise<void> {
  if (port === 0 && preferredPort !== undefined && (await tryListen(server, host, preferredPort)) === undefined) return
  const cause = await tryListen(server, host, port)
  if (cause === undefined) return
  const isTaken = cause.code === 'EADDRINUSE'
  throw new MillraceError('ERR_HTTP_LISTEN', {
    fact: isTaken ? 'another program listens on the port of the HTTP door' : `the HTTP door cannot listen: ${cause.code ?? cause.message}`,
    action: 'operator',
    values: { host, port },
    next: 'set http.port to a free one, or to 0 for any',
    cause,
  })
}

function tryListen(server: Server, host: string, port: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const failed = (error: NodeJS.ErrnoException) => resolve(error)
    server.once('error', failed)
    server.listen(port, host, () => {
      server.off('error', failed)
      resolve(undefined)
    })
  })
}
