import { sha256Hex } from '#base/hash.js'
import { checkMqttConnection, type MqttConnectionOptions, wrongMqttOptions } from '#ingest/mqtt-connection.js'
import type { Row } from '#journal/index.js'
import { checkSelection } from '#reading/row-selection.js'
import type { StartPosition } from '#reading/subscription-start.js'
import type { TargetDefinition } from './target.js'
import { topicOf } from './topic-template.js'

export interface MqttTargetOptions extends MqttConnectionOptions {
  /** Where each event goes: `plant/{entity}/{event}`, with `{type}` and `{name}` for the parts of the entity. */
  readonly topic: string
  /** An entity, a pattern such as `press/*`, or several of these. Default: all. */
  readonly entity?: string | readonly string[]
  /** An event name, or several. Default: all. */
  readonly event?: string | readonly string[]
  /** Of the subscription: letters, digits, dots, dashes and underscores. Default: from host and topic. */
  readonly name?: string
  /** Where it begins the very first time. Default: `beginning`. */
  readonly initial?: StartPosition
  /** What is published of a row: bytes, a text, or a value that is written as JSON. Default: see docs/subscriptions.md. */
  readonly payload?: (row: Row) => unknown
  /** Have the broker keep the newest message of each topic. */
  readonly retain?: boolean
  /** Messages on their way to the broker, all together; a broker of MQTT 5 may want fewer. Default 1000. */
  readonly inFlightMax?: number
  /**
   * And of one entity. Default 1, with which the order of an entity holds even where a broker refuses one message and takes the next. More is faster where few
   * entities publish to a broker that is far away.
   */
  readonly inFlightPerEntityMax?: number
  /** When the broker refuses a message for good: `wait` until it takes it (the default), which holds up what comes behind; or `skip` it, counted and logged. */
  readonly onRefused?: 'wait' | 'skip'
  /** Default 5, which says why a message is refused; 4 is MQTT 3.1.1. */
  readonly protocolVersion?: 4 | 5
}

const IN_FLIGHT_MAX = 1000

/**
 * Publishes events at QoS 1: at least once, in order per entity, over restarts of plant and broker. Its checkpoint moves only over what the broker has acknowledged.
 * Throws ERR_MQTT_OPTIONS, ERR_ENTITY_ID.
 */
export function mqttTarget(options: MqttTargetOptions): TargetDefinition {
  const { name } = checkMqttTarget(options)
  // Plant modules are loaded by every process; the client is loaded by the one that starts it.
  return { kind: 'mqtt', name, start: async (context) => (await import('./mqtt-target.js')).startMqttTarget(options, context) }
}

/** What follows from the options alone. Throws ERR_MQTT_OPTIONS, ERR_ENTITY_ID. */
export function checkMqttTarget(options: MqttTargetOptions): {
  readonly name: string
  readonly url: URL
  readonly topicOf: (row: Row) => string
  readonly inFlightMax: number
} {
  const url = checkMqttConnection(options)
  const topic = topicOf(options.topic)
  const { name = defaultName(url, options.topic), inFlightMax = IN_FLIGHT_MAX, inFlightPerEntityMax = 1 } = options
  if (!/^[\w.-]{1,100}$/.test(name))
    throw wrongMqttOptions('not a name for a target', { name }, 'use letters, digits, dots, dashes and underscores')
  for (const [option, value] of Object.entries({ inFlightMax, inFlightPerEntityMax }))
    if (!(Number.isInteger(value) && value >= 1 && value <= 65_535))
      throw wrongMqttOptions(`${option} is out of its range`, { [option]: value }, 'give a whole number from 1 to 65535')
  checkSelection(options)
  return { name, url, topicOf: topic, inFlightMax }
}

function defaultName(url: URL, topic: string): string {
  const slug = `${url.hostname}-${topic}`.replaceAll(/[^\w.-]+/g, '-').replace(/-$/, '')
  return `mqtt-${slug.slice(0, 60)}-${sha256Hex(url.host, '\0', topic).slice(0, 8)}`
}
