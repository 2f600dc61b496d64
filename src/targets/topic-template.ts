import { parseEntityId } from '#base/ids.js'
import type { Row } from '#journal/index.js'
import { wrongMqttOptions } from '#ingest/mqtt-connection.js'
import { wrongTopic } from '#ingest/mqtt-topic.js'

const PLACES: Readonly<Record<string, (row: Row) => string>> = {
  entity: (row) => escape(row.entity),
  type: (row) => parseEntityId(row.entity).type,
  name: (row) => escape(parseEntityId(row.entity).name),
  event: (row) => row.event ?? '',
}

/**
 * `plant/{entity}/{event}` as a function of the row: `{entity}` is `press/press-1` and so two levels or more, `{type}` and `{name}` are its parts, `{event}`
 * is the event's name. `+`, `#` and `%` in a name are written %2B, %23 and %25. Throws ERR_MQTT_OPTIONS.
 */
export function topicOf(template: string): (row: Row) => string {
  const parts = template.split(/(\{[^{}]*\})/)
  const pieces = parts.map((part) => {
    if (!part.startsWith('{')) return part
    const name = part.slice(1, -1)
    const place = Object.hasOwn(PLACES, name) ? PLACES[name] : undefined
    if (place === undefined)
      throw wrongMqttOptions(
        'a topic has a place that is not known',
        { topic: template, place: part },
        'use {entity}, {type}, {name} and {event}',
      )
    return place
  })
  const fixed = pieces.map((piece) => (typeof piece === 'string' ? piece : 'x')).join('')
  const why = wrongTopic(fixed)
  if (why !== undefined)
    throw wrongMqttOptions(`not a topic to publish to, since ${why}`, { topic: template }, 'write it as plant/{entity}/{event}')
  return (row) => pieces.map((piece) => (typeof piece === 'string' ? piece : piece(row))).join('')
}

function escape(name: string): string {
  return name.replaceAll(/[%+#]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
}
