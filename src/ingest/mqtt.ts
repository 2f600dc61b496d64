import { MillraceError } from '#base/errors.js'
import { sha256Hex } from '#base/hash.js'
import type { IngestMap } from './ingest-map.js'
import { matchesFilter, wrongFilter, wrongTopic } from './mqtt-topic.js'
import type { SourceDefinition } from './source.js'

export interface MqttOptions {
  /** `mqtt://host:1883`, `mqtts://host:8883`, `ws://` or `wss://`. */
  readonly url: string
  /** A topic filter such as `factory/+/sample`, or several. Subscribed at QoS 1. */
  readonly topic: string | readonly string[]
  /** Path or file URL of the map file, or what `parseMap` made of it. Its format is json. */
  readonly map: string | URL | IngestMap
  /** Letters, digits, dots, dashes and underscores. Default: from host and topic. */
  readonly name?: string
  /** Under this name the broker keeps the session, so it must not change. Default: from the name and the data directory. */
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
  /** Default 4 (MQTT 3.1.1), or 5 where `receiveMaximum` or a sequence in a user property needs it. */
  readonly protocolVersion?: 4 | 5
  /** MQTT 5: how many messages the broker may send ahead of their acknowledgement. Without it reading stops at 4096. */
  readonly receiveMaximum?: number
  /** Rejected messages are published here. */
  readonly rejectTopic?: string
  /** Where they are written otherwise. Default: `NAME.rejects.jsonl` in the source's directory. */
  readonly rejects?: string
}

export const SECURE_PROTOCOLS: ReadonlySet<string> = new Set(['mqtts:', 'ssl:', 'tls:', 'wss:'])
const PROTOCOLS: ReadonlySet<string> = new Set(['mqtt:', 'tcp:', 'ws:', ...SECURE_PROTOCOLS])

/**
 * A subscription at a broker as a source of a plant: a persistent session, acknowledged message by message as the plant makes them durable.
 * With a sequence in the map each message takes effect once, otherwise at least once. Throws ERR_MQTT_OPTIONS.
 */
export function mqtt(options: MqttOptions): SourceDefinition {
  const { name } = checkMqttOptions(options)
  // Plant modules are loaded by every process; the client is loaded by the one that starts it.
  return { kind: 'mqtt', name, start: async (context) => (await import('./mqtt-start.js')).startMqtt(options, context) }
}

/** What follows from the options alone. Throws ERR_MQTT_OPTIONS. */
export function checkMqttOptions(options: MqttOptions): { readonly name: string; readonly filters: readonly string[]; readonly url: URL } {
  const url = checkedUrl(options)
  const filters = typeof options.topic === 'string' ? [options.topic] : [...new Set(options.topic)]
  if (filters.length === 0)
    throw wrongMqttOptions('there is no topic to subscribe to', { topic: '[]' }, 'give one, such as factory/+/sample')
  for (const filter of filters) {
    const why = wrongFilter(filter)
    if (why !== undefined)
      throw wrongMqttOptions(`not a topic filter, since ${why}`, { topic: filter.slice(0, 200) }, 'write it as factory/+/sample')
  }
  const { rejectTopic, name = defaultName(url, filters), receiveMaximum } = options
  const whyNot = rejectTopic === undefined ? undefined : wrongTopic(rejectTopic)
  if (whyNot !== undefined)
    throw wrongMqttOptions(`not a topic for rejects, since ${whyNot}`, { rejectTopic }, 'write it as factory-rejects')
  const loop = rejectTopic === undefined ? undefined : filters.find((filter) => matchesFilter(rejectTopic, filter))
  if (loop !== undefined)
    throw wrongMqttOptions(
      'rejects would come back as messages',
      { rejectTopic, topic: loop },
      'choose a topic for rejects that the filter does not match',
    )
  if (!/^[\w.-]{1,100}$/.test(name))
    throw wrongMqttOptions('not a name for a source', { name }, 'use letters, digits, dots, dashes and underscores')
  if (receiveMaximum !== undefined && !(Number.isInteger(receiveMaximum) && receiveMaximum >= 1 && receiveMaximum <= 65_535))
    throw wrongMqttOptions('not a receive maximum', { receiveMaximum }, 'give a whole number from 1 to 65535')
  if (options.clientId === '')
    throw wrongMqttOptions('an empty client id has no session to come back to', {}, 'leave clientId out or give a name')
  if (receiveMaximum !== undefined && options.protocolVersion === 4)
    throw wrongMqttOptions('receiveMaximum is of MQTT 5', { protocolVersion: 4 }, 'leave one of the two out')
  return { name, filters, url }
}

function checkedUrl(options: MqttOptions): URL {
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined
  if (url === undefined || !PROTOCOLS.has(url.protocol))
    throw wrongMqttOptions(
      'not the address of a broker',
      { url: url === undefined ? options.url : shownUrl(url) },
      'write it as mqtt://host:1883',
    )
  if (url.searchParams.has('clientId'))
    throw wrongMqttOptions('the address holds a client id', { url: shownUrl(url) }, 'give it as the option clientId')
  const isSecure = SECURE_PROTOCOLS.has(url.protocol)
  const tls = (['ca', 'cert', 'key'] as const).find((key) => options[key] !== undefined)
  if (tls !== undefined && !isSecure)
    throw wrongMqttOptions(`${tls} is for TLS, and the address is not`, { url: shownUrl(url) }, 'write the address with mqtts')
  if ((options.cert === undefined) !== (options.key === undefined))
    throw wrongMqttOptions('a client certificate and its key go together', {}, 'give both cert and key')
  return url
}

function defaultName(url: URL, filters: readonly string[]): string {
  const slug = `${url.hostname}-${filters.join('-')}`
    .replaceAll('+', 'any')
    .replaceAll('#', 'all')
    .replace(/[^\w.-]+/g, '-')
  return `mqtt-${slug.slice(0, 60)}-${sha256Hex(url.host, '\0', ...filters.map((filter) => `${filter}\0`)).slice(0, 8)}`
}

/** Without user name and password. */
export function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}

export function wrongMqttOptions(fact: string, values: Readonly<Record<string, unknown>>, next: string): MillraceError {
  return new MillraceError('ERR_MQTT_OPTIONS', { fact, action: 'operator', values, next })
}
