import { readFileSync } from 'node:fs'
import type { IClientOptions } from 'mqtt'
import { messageOf, MillraceError } from '#base/errors.js'
import type { MqttConnect } from './mqtt-link.js'
import { type SourceLog, sourcePath } from './source.js'

/** Which broker, and who to be there. */
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

const SECURE_PROTOCOLS: ReadonlySet<string> = new Set(['mqtts:', 'ssl:', 'tls:', 'wss:'])
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

/** Credentials and certificates as the client library takes them. Says what is not safe about them. Throws ERR_MQTT_OPTIONS. */
export function mqttCredentials(options: MqttConnectionOptions, url: URL, base: string | undefined, log: SourceLog): IClientOptions {
  const { username, password, ca, cert, key, rejectUnauthorized } = options
  if (password !== undefined && !SECURE_PROTOCOLS.has(url.protocol) && !isLoopback(url.hostname)) {
    log('warn', 'the password goes over the network as it is', { host: url.hostname, next: 'use mqtts' })
  }
  if (rejectUnauthorized === false) {
    log('warn', 'any certificate is taken, so anyone in between can pose as the broker', { host: url.hostname, next: 'give ca instead' })
  }
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca: pem('ca', ca, base) }),
    ...(cert === undefined ? {} : { cert: pem('cert', cert, base) }),
    ...(key === undefined ? {} : { key: pem('key', key, base) }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
  }
}

/** The client library, which takes a tenth of a second to load. */
export async function loadMqttConnect(): Promise<MqttConnect> {
  return (await import('mqtt')).connect
}

/** Without user name and password. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}

export function wrongMqttOptions(fact: string, values: Readonly<Record<string, unknown>>, next: string): MillraceError {
  return new MillraceError('ERR_MQTT_OPTIONS', { fact, action: 'operator', values, next })
}

function pem(option: string, given: string | URL, base: string | undefined): string {
  if (typeof given === 'string' && given.includes('-----BEGIN ')) return given
  try {
    return readFileSync(sourcePath(given, base), 'utf8')
  } catch (cause) {
    throw new MillraceError('ERR_MQTT_OPTIONS', {
      fact: 'a file for TLS cannot be read',
      action: 'operator',
      values: { [option]: String(given), error: messageOf(cause) },
      next: 'give the path of a PEM file',
      cause,
    })
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.')
}
