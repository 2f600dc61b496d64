import type { IncomingMessage, ServerResponse } from 'node:http'
import { exactJson } from '#base/exact-json.js'

type Headers = Readonly<Record<string, string>>

/** Answers with one JSON object. Says nothing to a client that left. */
export function answer(response: ServerResponse, status: number, body: object, headers: Headers = {}): void {
  send(response, status, 'application/json', `${exactJson(body)}\n`, headers)
}

/** Answers with a JSON line for each value. */
export function answerLines(response: ServerResponse, values: readonly unknown[]): void {
  send(response, 200, 'application/x-ndjson', values.map((value) => `${exactJson(value)}\n`).join(''), {})
}

export function answerText(response: ServerResponse, status: number, type: string, body: string): void {
  send(response, status, type, body, { 'cache-control': 'no-store' })
}

/**
 * Answers while the request's body still comes, and ends the connection. A connection that is cut with bytes unread loses its answer too, so what comes
 * is read and thrown away until the body ends, the client leaves, or `lingerMs` are over.
 */
export function answerUnread(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: object,
  options: { readonly lingerMs: number; readonly headers?: Headers },
): void {
  if (request.socket.destroyed) return
  const bytes = Buffer.from(`${exactJson(body)}\n`)
  response.writeHead(status, {
    ...options.headers,
    'content-type': 'application/json',
    'content-length': bytes.length,
    connection: 'close',
  })
  response.write(bytes)
  const timer = setTimeout(() => response.end(), options.lingerMs)
  const end = () => {
    clearTimeout(timer)
    response.end()
  }
  if (request.readableEnded) end()
  else request.once('end', end).once('close', end).resume()
}

function send(response: ServerResponse, status: number, type: string, body: string, headers: Headers): void {
  if (response.req.socket.destroyed) return
  const bytes = Buffer.from(body)
  response.writeHead(status, { ...headers, 'content-type': type, 'content-length': bytes.length })
  response.end(response.req.method === 'HEAD' ? undefined : bytes)
}
