import { type ClientRequest, Agent as HttpAgent, type IncomingHttpHeaders, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { type EffectContext, EffectFailure, type EffectTarget } from '#entity/effect.js'
import type { HttpReply } from './http-post.js'

const IDLE_CONNECTION_MS = 30_000
/** Of the body of an answer that is a failure, shown to people. */
const SHOWN_BYTES_MAX = 500
/** Client errors that say that the same request may work later. */
const LATER = new Set([408, 425, 429])

/** Connections are kept for the next effect of the same target. */
const agents = new WeakMap<EffectTarget, HttpAgent | HttpsAgent>()

/**
 * One POST. Resolves once the target has answered with 200 to 299: from then on the effect is done, whatever becomes of the answer's body. Throws EffectFailure. Nothing that a target
 * sends is trusted: neither its size nor where it redirects to.
 */
export async function post(path: string, body: unknown, { target, key, signal, correlation }: EffectContext): Promise<HttpReply> {
  if (target === undefined) throw new EffectFailure('NO_SUCH_TARGET', { isFinal: true })
  const url = urlBelow(target.url, path)
  const bytes = Buffer.from(JSON.stringify(body) ?? 'null')
  const response = await responseTo(
    url,
    target,
    bytes,
    {
      'Content-Type': 'application/json',
      'User-Agent': 'millrace',
      ...target.headers,
      'Content-Length': String(bytes.length),
      'Idempotency-Key': key,
      ...(/^[\x21-\x7e]+$/.test(correlation) ? { 'X-Correlation-Id': correlation } : {}),
    },
    signal,
  )
  const status = response.statusCode ?? 0
  const isDone = status >= 200 && status < 300
  const { text, isCut } = await bodyOf(response, isDone ? target.responseBytesMax : Math.min(SHOWN_BYTES_MAX, target.responseBytesMax))
  if (isDone) return { status, body: isCut ? text : valueOf(text, response.headers['content-type']), isCut }
  throw new EffectFailure(`HTTP_${status}`, {
    message: `${target.name} answered ${status}${text === '' ? '' : `: ${text}`}`,
    isFinal: !(LATER.has(status) || status >= 500),
    afterMs: afterMsOf(response.headers),
    detail: { status, body: text, ...(status >= 300 && status < 400 ? { location: response.headers.location } : {}) },
  })
}

/** Of the same origin as the base, and below its path: what data puts into a path leads nowhere else. */
function urlBelow(base: URL, path: string): URL {
  const root = base.pathname.replace(/\/+$/, '')
  if (path === '') return base
  const url = new URL(`${root}${path.startsWith('/') ? '' : '/'}${path}`, base.origin)
  if (url.origin === base.origin && url.pathname.startsWith(`${root}/`)) return url
  throw new EffectFailure('WRONG_PATH', { message: `the path leads out of ${base.href}`, isFinal: true })
}

function responseTo(
  url: URL,
  target: EffectTarget,
  bytes: Uint8Array,
  headers: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const isTls = url.protocol === 'https:'
    let sent: ClientRequest
    try {
      sent = (isTls ? requestHttps : requestHttp)(url, { method: 'POST', headers, signal, agent: agentOf(target, isTls) })
    } catch (error) {
      // A header that none can be, for example.
      reject(new EffectFailure('WRONG_REQUEST', { message: String(error), isFinal: true, cause: error }))
      return
    }
    sent.on('response', resolve)
    sent.on('error', (error: NodeJS.ErrnoException) =>
      reject(new EffectFailure(error.code ?? 'NO_ANSWER', { message: error.message, cause: error })),
    )
    sent.end(bytes)
  })
}

function agentOf(target: EffectTarget, isTls: boolean): HttpAgent | HttpsAgent {
  const known = agents.get(target)
  if (known !== undefined) return known
  const agent = new (isTls ? HttpsAgent : HttpAgent)({ keepAlive: true, timeout: IDLE_CONNECTION_MS })
  agents.set(target, agent)
  return agent
}

/** Of a body that ends before its time, or is larger than it may be, what there is. */
function bodyOf(response: IncomingMessage, bytesMax: number): Promise<{ readonly text: string; readonly isCut: boolean }> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let length = 0
    const end = (isCut: boolean) => {
      resolve({ text: Buffer.concat(chunks).toString('utf8', 0, bytesMax), isCut })
      if (isCut) response.destroy()
    }
    response.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length > bytesMax) end(true)
    })
    response.on('end', () => end(!response.complete))
    response.on('error', () => end(true))
    response.on('close', () => end(!response.complete))
  })
}

function valueOf(text: string, type: string | undefined): unknown {
  if (text === '' || type?.includes('json') !== true) return text === '' ? undefined : text
  try {
    return JSON.parse(text) as unknown
  } catch {
    return text
  }
}

/** Seconds, or a date by the clock of the target. */
function afterMsOf({ 'retry-after': after = '', date = '' }: IncomingHttpHeaders): number {
  const ms = /^\d+$/.test(after) ? Number(after) * 1000 : Date.parse(after) - Date.parse(date)
  return ms > 0 ? ms : 0
}
