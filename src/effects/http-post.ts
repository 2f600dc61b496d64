import { defineEffect, type Effect } from '#entity/effect.js'
import type { DataOf, Fields } from '#schema/index.js'

/** What the reply to a POST says: `body` is what JSON it held, or its text, cut where `isCut`. */
export interface HttpReply {
  readonly status: number
  readonly body: unknown
  readonly isCut: boolean
}

/**
 * An effect that is one HTTP POST: `httpPost({ name: 'page', target: 'pager', path: '/alarms', fields: { code: label() } })`. The target is named in the plant's configuration, with
 * its URL and headers; the body is the fields as JSON unless `body` makes another value of them. A status of 200 to 299 is its end, and the answer has status and body
 * (HttpReply). Network errors, 408, 425, 429 and 5xx are tried again, as Retry-After says; everything else, redirects included, is parked. Each attempt has
 * the same `Idempotency-Key`. Throws ERR_EFFECT_DEFINITION.
 */
export function httpPost<const F extends Fields>(definition: {
  readonly name: string
  readonly target: string
  readonly fields: F
  /** Behind the target's URL. What goes into it is to be encoded by who writes it. */
  readonly path?: string | { from(data: DataOf<F>): string }['from']
  readonly body?: { from(data: DataOf<F>): unknown }['from']
}): Effect<F> {
  const { path = '', body, ...rest } = definition
  return defineEffect({
    ...rest,
    // Plant modules are loaded by every process; the client is loaded by the one that needs it.
    run: async (data, context) => {
      const { post } = await import('./http-request.js')
      return post(typeof path === 'string' ? path : path(data), body === undefined ? data : body(data), context)
    },
  })
}
