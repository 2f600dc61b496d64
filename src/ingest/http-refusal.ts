import type { BadBody } from './http-body.js'
import type { NotTaken } from './source-order.js'

/** Why nothing, or nothing more, of a request was taken, and what its client hears. */
export interface Refusal {
  readonly status: number
  /** Without `taken` and `answers`, which the request adds. */
  readonly body: { readonly error: string; readonly line?: number; readonly awaited?: number }
  readonly headers?: Readonly<Record<string, string>>
  readonly how: NotTaken
  /** Whether part of the body may still be on its way. */
  readonly isUnread?: boolean
}

const RETRY_AFTER_SECONDS = 1

/** The client has to send something else. */
export function wrong(error: string, line?: number): Refusal {
  return { status: 400, body: line === undefined ? { error } : { error, line }, how: 'final' }
}

/** The same will be taken later. */
export function notNow(error: string, more: { readonly awaited?: number; readonly waitSeconds?: number } = {}): Refusal {
  const { awaited, waitSeconds = RETRY_AFTER_SECONDS } = more
  const headers = { 'retry-after': String(Math.max(1, Math.ceil(waitSeconds))) }
  return { status: 429, body: awaited === undefined ? { error } : { error, awaited }, headers, how: 'retry' }
}

export const TOO_MANY_REQUESTS: Refusal = { ...notNow('too many requests under way on one connection'), isUnread: true }

export const UNKNOWN_ENCODING: Refusal = {
  status: 415,
  body: { error: 'send the body as it is, or with content-encoding: gzip' },
  headers: { 'accept-encoding': 'gzip' },
  how: 'final',
  isUnread: true,
}

/** Undefined for a client that left. */
export function refusalOfBody(why: BadBody, bodyBytesMax: number): Refusal | undefined {
  switch (why) {
    case 'gone':
      return undefined
    case 'too-large':
      return { status: 413, body: { error: `a body has at most ${bodyBytesMax} bytes; send less at a time` }, how: 'final', isUnread: true }
    case 'no-room':
      return { ...notNow('the door holds as many bodies as it may'), isUnread: true }
    case 'not-packed':
      return wrong('the body is not the gzip that its content-encoding says')
    case 'not-utf8':
      return wrong('the body is not UTF-8')
  }
}
