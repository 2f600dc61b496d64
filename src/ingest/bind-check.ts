import { isIP } from 'node:net'
import { MillraceError } from '#base/errors.js'

/** Where a door listens, and what guards it. */
export interface Bind {
  readonly host: string
  readonly hasToken: boolean
  readonly hasTls: boolean
}

/** Why nobody may listen so, or undefined: an address that others reach needs both guards. */
export function whyNotBind({ host, hasToken, hasTls }: Bind): string | undefined {
  return isLoopback(host) || (hasToken && hasTls) ? undefined : 'an address that is not loopback needs http.token and http.tls'
}

/** Throws ERR_BIND_NOT_LOOPBACK where `whyNotBind` finds something. */
export function checkBind(bind: Bind): void {
  const why = whyNotBind(bind)
  if (why === undefined) return
  throw new MillraceError('ERR_BIND_NOT_LOOPBACK', {
    fact: why,
    action: 'operator',
    values: { host: bind.host, token: bind.hasToken, tls: bind.hasTls },
    next: 'set http.token and http.tls.cert and http.tls.key, or listen on 127.0.0.1',
  })
}

/** Whether only this machine reaches an address. Other spellings of a loopback address count as reachable. */
function isLoopback(host: string): boolean {
  return isIP(host) === 4 ? host.startsWith('127.') : host === '::1' || host === 'localhost'
}
