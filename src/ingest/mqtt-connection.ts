import { MillraceError } from '#base/errors.js'

/** Which broker, and who to be there. Names no type of the client library: what plants import leads here. */
export interface MqttConnectionOptions {
  /** `mqtt://host:1883`, `mqtts://host:8883`, `ws://` or `wss://`. */
  readonly url: string
  /** Under this name the broker knows the client, so each needs one of its own. Default: from the name and the data directory. */
  readonly clientId?: string
  readonly username?: string
  readonly password?: string
  /** PEM text, or path or file URL of a PEM file: who signed the broker's certificate, if not one of the authorities that Node knows. */
  readonly ca?: string | URL
  /** As `ca`: this client's certificate and its key. */
  readonly cert?: string | URL
  readonly key?: string | URL
  /** False takes any certificate, which protects from nobody who is in between. */
  readonly rejectUnauthorized?: boolean
}

export const SECURE_PROTOCOLS: ReadonlySet<string> = new Set(['mqtts:', 'ssl:', 'tls:', 'wss:'])
const PROTOCOLS: ReadonlySet<string> = new Set(['mqtt:', 'tcp:', 'ws:', ...SECURE_PROTOCOLS])

/** What is wrong with an address or credentials alone: throws ERR_MQTT_OPTIONS. */
export function checkMqttConnection(options: MqttConnectionOptions): URL {
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined
  if (url === undefined || !PROTOCOLS.has(url.protocol))
    throw wrongMqttOptions(
      'not the address of a broker',
      { url: url === undefined ? options.url : shownUrl(url) },
      'write it as mqtt://host:1883',
    )
  if (url.searchParams.has('clientId'))
    throw wrongMqttOptions('the address holds a client id', { url: shownUrl(url) }, 'give it as the option clientId')
  if (options.clientId === '') throw wrongMqttOptions('an empty client id names nobody', {}, 'leave clientId out or give a name')
  const isSecure = SECURE_PROTOCOLS.has(url.protocol)
  const tls = (['ca', 'cert', 'key'] as const).find((key) => options[key] !== undefined)
  if (tls !== undefined && !isSecure)
    throw wrongMqttOptions(`${tls} is for TLS, and the address is not`, { url: shownUrl(url) }, 'write the address with mqtts')
  if ((options.cert === undefined) !== (options.key === undefined))
    throw wrongMqttOptions('a client certificate and its key go together', {}, 'give both cert and key')
  return url
}

/** Without user name and password. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}

export function wrongMqttOptions(fact: string, values: Readonly<Record<string, unknown>>, next: string): MillraceError {
  return new MillraceError('ERR_MQTT_OPTIONS', { fact, action: 'operator', values, next })
}
