import { isIP } from 'node:net'
import { MillraceError } from '#base/errors.js'

/** Where a door listens, and what guards it. */
export interface Bind {
  readonly host: string
  readonly hasToken: boolean
  readonly hasTls: boolean
}

/** Throws ERR_BIND_NOT_LOOPBACK for an address that others can reach without token and TLS in front of it. */
export function checkBind({ host, hasToken, hasTls }: Bind): void {
  if (isLoopback(host) || (hasToken && hasTls)) return
  throw new MillraceError('ERR_BIND_NOT_LOOPBACK', {
    fact: 'an address that is not loopback needs a token and TLS',
    action: 'operator',
    values: { host, token: hasToken, tls: hasTls },
    next: 'set http.token and http.tls.cert and http.tls.key, or listen on 127.0.0.1',
  })
}

export function isLoopback(host: string): boolean {
  return isIP(host) === 4 ? host.startsWith('127.') : host === '::1' || host === 'localhost'
}
