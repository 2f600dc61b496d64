import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { IClientOptions } from 'mqtt'
import { messageOf, MillraceError } from '#base/errors.js'
import { sha256Hex } from '#base/hash.js'
import { mapOf } from './csv.js'
import type { IngestMap } from './ingest-map.js'
import { MessageMapper } from './message-mapper.js'
import type { MqttConnect } from './mqtt-link.js'
import { RejectFile, type MqttRejects, RejectTopic } from './mqtt-rejects.js'
import { MqttSessionFile } from './mqtt-session.js'
import { type MqttRunOptions, MqttSource } from './mqtt-source.js'
import { matchesFilter, wrongFilter, wrongTopic } from './mqtt-topic.js'
import { type SourceContext, type SourceDefinition, sourcePath } from './source.js'

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

const IN_FLIGHT_MAX_DEFAULT = 4096
/** The broker keeps the session for ever. */
const NEVER_EXPIRES = 0xffffffff
const SECURE_PROTOCOLS: ReadonlySet<string> = new Set(['mqtts:', 'ssl:', 'tls:', 'wss:'])
const PROTOCOLS: ReadonlySet<string> = new Set(['mqtt:', 'tcp:', 'ws:', ...SECURE_PROTOCOLS])

/**
 * A subscription at a broker as a source of a plant: a persistent session, acknowledged message by message as the plant makes them durable.
 * With a sequence in the map each message takes effect once, otherwise at least once. Throws ERR_MQTT_OPTIONS.
 */
export function mqtt(options: MqttOptions): SourceDefinition {
  const { name } = checked(options)
  return { kind: 'mqtt', name, start: (context) => startMqtt(options, context) }
}

/** Starts it outside of a plant's definition. Throws ERR_MQTT_OPTIONS and ERR_MAP_FILE. */
export async function startMqtt(options: MqttOptions, context: SourceContext, run: MqttRunOptions = {}): Promise<MqttSource> {
  const { name, filters, url } = checked(options)
  const { door, clock, log, directory, base } = context
  const map = await mapOf(options.map, base)
  const protocolVersion = versionFor(options, map)
  const clientId = options.clientId ?? `millrace-${name.slice(0, 40)}-${sha256Hex(directory, '\0', name).slice(0, 12)}`
  const client: IClientOptions = { protocolVersion, ...credentials(options, base) }
  if (client.password !== undefined && !SECURE_PROTOCOLS.has(url.protocol) && !isLoopback(url.hostname)) {
    log('warn', 'the password goes over the network as it is', { host: url.hostname, next: 'use mqtts' })
  }
  if (options.rejectUnauthorized === false) {
    log('warn', 'any certificate is taken, so anyone in between can pose as the broker', { host: url.hostname, next: 'give ca instead' })
  }
  const connect = await loadConnect()
  const shown = shownUrl(url)
  const inFlightMax = options.receiveMaximum ?? IN_FLIGHT_MAX_DEFAULT
  const fileRejects = new RejectFile({
    path: options.rejects === undefined ? join(directory, `${name}.rejects.jsonl`) : sourcePath(options.rejects, base),
    source: name,
    clock,
    log,
  })
  const link = { connect, url: options.url, clock, log }
  const rejects: MqttRejects =
    options.rejectTopic === undefined
      ? fileRejects
      : new RejectTopic({
          topic: options.rejectTopic,
          source: name,
          link: { ...link, client: { ...client, clientId: `${clientId}-rejects`, clean: true } },
          fallback: fileRejects,
        })
  const properties = { sessionExpiryInterval: NEVER_EXPIRES, receiveMaximum: inFlightMax }
  return new MqttSource({
    name,
    brokerName: shown,
    clientId,
    filters,
    mapper: new MessageMapper(map),
    door,
    clock,
    log,
    rejects,
    session: new MqttSessionFile(join(directory, `${name}.session.json`)),
    link: { ...link, client: { ...client, clientId, clean: false, ...(protocolVersion === 5 ? { properties } : {}) } },
    inFlightMax,
    ...run,
  })
}

async function loadConnect(): Promise<MqttConnect> {
  return (await import('mqtt')).connect
}

function checked(options: MqttOptions): { readonly name: string; readonly filters: readonly string[]; readonly url: URL } {
  const url = checkedUrl(options)
  const filters = typeof options.topic === 'string' ? [options.topic] : [...new Set(options.topic)]
  if (filters.length === 0) throw wrong('there is no topic to subscribe to', { topic: '[]' }, 'give one, such as factory/+/sample')
  for (const filter of filters) {
    const why = wrongFilter(filter)
    if (why !== undefined) throw wrong(`not a topic filter, since ${why}`, { topic: filter.slice(0, 200) }, 'write it as factory/+/sample')
  }
  const { rejectTopic, name = defaultName(url, filters), receiveMaximum } = options
  const whyNot = rejectTopic === undefined ? undefined : wrongTopic(rejectTopic)
  if (whyNot !== undefined) throw wrong(`not a topic for rejects, since ${whyNot}`, { rejectTopic }, 'write it as factory-rejects')
  const loop = rejectTopic === undefined ? undefined : filters.find((filter) => matchesFilter(rejectTopic, filter))
  if (loop !== undefined)
    throw wrong(
      'rejects would come back as messages',
      { rejectTopic, topic: loop },
      'choose a topic for rejects that the filter does not match',
    )
  if (!/^[\w.-]{1,100}$/.test(name)) throw wrong('not a name for a source', { name }, 'use letters, digits, dots, dashes and underscores')
  if (receiveMaximum !== undefined && !(Number.isInteger(receiveMaximum) && receiveMaximum >= 1 && receiveMaximum <= 65_535))
    throw wrong('not a receive maximum', { receiveMaximum }, 'give a whole number from 1 to 65535')
  if (options.clientId === '') throw wrong('an empty client id has no session to come back to', {}, 'leave clientId out or give a name')
  if (receiveMaximum !== undefined && options.protocolVersion === 4)
    throw wrong('receiveMaximum is of MQTT 5', { protocolVersion: 4 }, 'leave one of the two out')
  return { name, filters, url }
}

function checkedUrl(options: MqttOptions): URL {
  const url = URL.canParse(options.url) ? new URL(options.url) : undefined
  if (url === undefined || !PROTOCOLS.has(url.protocol))
    throw wrong('not the address of a broker', { url: url === undefined ? options.url : shownUrl(url) }, 'write it as mqtt://host:1883')
  if (url.searchParams.has('clientId'))
    throw wrong('the address holds a client id', { url: shownUrl(url) }, 'give it as the option clientId')
  const isSecure = SECURE_PROTOCOLS.has(url.protocol)
  const tls = (['ca', 'cert', 'key'] as const).find((key) => options[key] !== undefined)
  if (tls !== undefined && !isSecure)
    throw wrong(`${tls} is for TLS, and the address is not`, { url: shownUrl(url) }, 'write the address with mqtts')
  if ((options.cert === undefined) !== (options.key === undefined))
    throw wrong('a client certificate and its key go together', {}, 'give both cert and key')
  return url
}

function versionFor(options: MqttOptions, map: IngestMap): 4 | 5 {
  if (map.format !== 'json')
    throw new MillraceError('ERR_MAP_FILE', {
      fact: 'the map is for files',
      action: 'operator',
      values: { format: map.format, map: typeof options.map === 'object' && 'format' in options.map ? undefined : String(options.map) },
      next: 'give one with format: json',
    })
  const isProperty = map.sequence?.kind === 'property'
  if (isProperty && options.protocolVersion === 4)
    throw wrong(
      'the map takes the sequence from a user property, which MQTT 5 alone has',
      { protocolVersion: 4 },
      'set protocolVersion to 5',
    )
  return options.protocolVersion ?? (isProperty || options.receiveMaximum !== undefined ? 5 : 4)
}

function credentials({ username, password, ca, cert, key, rejectUnauthorized }: MqttOptions, base: string | undefined): IClientOptions {
  return {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(ca === undefined ? {} : { ca: pem('ca', ca, base) }),
    ...(cert === undefined ? {} : { cert: pem('cert', cert, base) }),
    ...(key === undefined ? {} : { key: pem('key', key, base) }),
    ...(rejectUnauthorized === undefined ? {} : { rejectUnauthorized }),
  }
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

function defaultName(url: URL, filters: readonly string[]): string {
  const slug = `${url.hostname}-${filters.join('-')}`
    .replaceAll('+', 'any')
    .replaceAll('#', 'all')
    .replace(/[^\w.-]+/g, '-')
  return `mqtt-${slug.slice(0, 60)}-${sha256Hex(url.host, '\0', ...filters.map((filter) => `${filter}\0`)).slice(0, 8)}`
}

/** Without user name and password. */
function shownUrl(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || host.startsWith('127.')
}

function wrong(fact: string, values: Readonly<Record<string, unknown>>, next: string): MillraceError {
  return new MillraceError('ERR_MQTT_OPTIONS', { fact, action: 'operator', values, next })
}
