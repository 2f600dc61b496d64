/** Why a broker cannot be used right now, for a person. */
export interface MqttFailure {
  readonly fact: string
  readonly next: string
  /** It will not mend itself: someone has to change something, so it is tried again slowly. */
  readonly isRefusal: boolean
}

/** Reason codes of CONNACK and DISCONNECT: 1 to 5 of MQTT 3.1.1, the others of MQTT 5. */
const REFUSALS: Readonly<Record<number, readonly [fact: string, next: string]>> = {
  1: ['the broker does not speak this version of MQTT', 'set protocolVersion to the other one of 4 and 5'],
  2: ['the broker refuses the client id', 'set clientId to one that it allows'],
  4: ['the broker refuses user name or password', 'correct them'],
  5: ['the broker does not let this client in', 'correct user name and password, or what the broker allows them'],
  132: ['the broker does not speak this version of MQTT', 'set protocolVersion to 4'],
  133: ['the broker refuses the client id', 'set clientId to one that it allows'],
  134: ['the broker refuses user name or password', 'correct them'],
  135: ['the broker does not let this client in', 'correct user name and password, or what the broker allows them'],
  138: ['the broker has banned this client', 'ask whoever runs it'],
  140: ['the broker wants another way to authenticate', 'use one that takes user name and password, or a client certificate'],
  142: ['another client connected with the same client id', 'give each source and each plant a client id of its own'],
  143: ['the broker refuses the topic filter', 'correct the topic'],
  157: ['the broker has moved', 'set url to where it is now'],
  162: ['the broker allows no subscription with wildcards', 'name each topic'],
}

const UNTRUSTED = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
])

/** Not every broker says so when another client takes the session over. */
const ENDED: MqttFailure = {
  fact: 'the broker ended the connection',
  next: 'if this goes on, look at its log: another client may use the same client id',
  isRefusal: false,
}

/** What stands behind an error of the connection, or behind its end without one. */
export function explainFailure(error: unknown): MqttFailure {
  const code = codeOf(error)
  const refusal = typeof code === 'number' ? REFUSALS[code] : undefined
  if (refusal !== undefined) return { fact: refusal[0], next: refusal[1], isRefusal: true }
  if (error === undefined) return ENDED
  const said = error instanceof Error && error.message !== '' ? error.message : String(code)
  if (typeof code === 'string') {
    if (UNTRUSTED.has(code))
      return {
        fact: `the certificate of the broker is not trusted: ${said}`,
        next: 'give the authority that signed it as ca',
        isRefusal: true,
      }
    if (code === 'CERT_HAS_EXPIRED') return { fact: 'the certificate of the broker has expired', next: 'have it renewed', isRefusal: true }
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
      return { fact: `the certificate of the broker is for another host: ${said}`, next: 'use the name that stands in it', isRefusal: true }
    if (/^ERR_(SSL|TLS|OSSL)/.test(code))
      return {
        fact: `no TLS with the broker: ${said}`,
        next: 'check that the port speaks TLS, and the client certificate',
        isRefusal: true,
      }
  }
  return { fact: `the broker does not answer: ${said}`, next: 'check that it runs and that url is right', isRefusal: false }
}

/** The reason code or the system's error code. */
function codeOf(error: unknown): number | string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'number' || typeof error.code === 'string' ? error.code : undefined
}
