import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

/** Who may use the door. */
export class HttpAccess {
  readonly #tokenHash: Buffer | undefined

  constructor(token: string | undefined) {
    this.#tokenHash = token === undefined ? undefined : sha256(token)
  }

  /** Compares hashes, so that neither the token's bytes nor its length show in the time it takes. */
  isAllowed(request: IncomingMessage): boolean {
    if (this.#tokenHash === undefined) return true
    const given = /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
    return timingSafeEqual(sha256(given), this.#tokenHash)
  }

  /**
   * Whether a page of another site in the user's own browser may be behind the request: browsers name the page's origin with every POST, and reach a
   * loopback address from any page. A token is what such a page does not have.
   */
  isFromForeignPage(request: IncomingMessage): boolean {
    return this.#tokenHash === undefined && request.headers.origin !== undefined
  }
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text, 'latin1').digest()
}
