import { sha256Hex } from '#base/hash.js'
import type { IngestMap } from './ingest-map.js'
import { checkMqttConnection, type MqttConnectionOptions, wrongMqttOptions } from './mqtt-connection.js'
import { matchesFilter, wrongFilter, wrongTopic } from './mqtt-topic.js'
import type { SourceDefinition } from './source.js'

export interface MqttOptions extends MqttConnectionOptions {
  /** A topic filter such as `factory/+/sample`, or several. Subscribed at QoS 1. */
  readonly topic: string | readonly string[]
  /** Path or file URL of the map file, or what `parseMap` made of it. Its format is json. */
  readonly map: string | URL | IngestMap
  /** Letters, digits, dots, dashes and underscores. Default: from host and topic. */
  readonly name?: string
  /** Default 4 (MQTT 3.1.1), or 5 where `receiveMaximum` or a sequence in a user property needs it. */
  readonly protocolVersion?: 4 | 5
  /** MQTT 5: how many messages the broker may send ahead of their acknowledgement. Without it reading stops at 4096. */
  readonly receiveMaximum?: number
  /** Rejected messages are published here. */
  readonly rejectTopic?: string
  /** Where they are written otherwise. Default: `NAME.rejects.jsonl` in the source's directory. */
  readonly rejects?: string
}

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
  const url = checkMqttConnection(options)
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
  if (receiveMaximum !== undefined && options.protocolVersion === 4)
    throw wrongMqttOptions('receiveMaximum is of MQTT 5', { protocolVersion: 4 }, 'leave one of the two out')
  return { name, filters, url }
}

function defaultName(url: URL, filters: readonly string[]): string {
  const slug = `${url.hostname}-${filters.join('-')}`
    .replaceAll('+', 'any')
    .replaceAll('#', 'all')
    .replace(/[^\w.-]+/g, '-')
  return `mqtt-${slug.slice(0, 60)}-${sha256Hex(url.host, '\0', ...filters.map((filter) => `${filter}\0`)).slice(0, 8)}`
}
