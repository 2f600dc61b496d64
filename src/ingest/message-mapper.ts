import { type EntityId, entityId } from '#base/ids.js'
import { messageOf } from '#base/errors.js'
import { sha256Hex } from '#base/hash.js'
import { BadCell, jsonReader } from './cell.js'
import type { IngestCommand } from './door.js'
import type { FieldFrom, IngestMap, NameFrom, TextFrom, TimeFrom } from './ingest-map.js'
import { showPath, valueAt } from './json-path.js'
import { LocalTime } from './local-time.js'
import { timeReader } from './time-format.js'

/** A message as it came from a broker. */
export interface MqttMessage {
  readonly topic: string
  readonly payload: Uint8Array
  /** Of MQTT 5; a name that was given twice has a list. */
  readonly userProperties: Readonly<Record<string, string | readonly string[]>> | undefined
}

/** Larger payloads are rejected unread. */
export const PAYLOAD_BYTES_MAX_DEFAULT = 1024 * 1024

const SOURCE_BYTES_MAX = 200

/**
 * Messages of a subscription as commands. Where the map names a sequence, the source is `mqtt:` and what the map says, or else the topic; where
 * it does not, the source is empty and a redelivery cannot be told from a new message.
 */
export class MessageMapper {
  readonly #map: IngestMap
  readonly #payloadBytesMax: number
  readonly #utf8 = new TextDecoder('utf-8', { fatal: true })
  readonly #fields: readonly { readonly field: string; readonly from: TextFrom; readonly read: (value: unknown) => unknown }[]
  readonly #readTime: (message: ReadMessage) => number | undefined | BadCell

  constructor(map: IngestMap, payloadBytesMax = PAYLOAD_BYTES_MAX_DEFAULT) {
    this.#map = map
    this.#payloadBytesMax = payloadBytesMax
    const local = new LocalTime(map.zone, map.overlap, map.gap)
    this.#fields = map.fields.map((field) => ({
      field: field.field,
      from: field.from,
      read: jsonReader(field, timeReader(field.format, local)),
    }))
    this.#readTime = timeOf(map.time, local)
  }

  /** The command, or why there is none. */
  map(message: MqttMessage): IngestCommand | string {
    const body = this.#parse(message.payload)
    if (body instanceof BadCell) return body.reason
    const read: ReadMessage = { levels: message.topic.split('/'), topic: message.topic, body }
    const at = this.#readTime(read)
    if (at instanceof BadCell) return at.reason
    const entity = this.#entityOf(read)
    if (entity instanceof BadCell) return entity.reason
    const sequence = this.#sequenceOf(read, message.userProperties)
    if (sequence instanceof BadCell) return sequence.reason
    const source = sequence === undefined ? '' : this.#sourceOf(read)
    if (source instanceof BadCell) return source.reason
    const data: Record<string, unknown> = {}
    for (const { field, from, read: readField } of this.#fields) {
      const value = readField(valueOf(from, read))
      if (value === undefined) continue
      if (value instanceof BadCell) return `${show(from)} ${value.reason}`
      data[field] = value
    }
    return { source, sequence: sequence ?? 0, entity, command: this.#map.command, data, at }
  }

  #parse(payload: Uint8Array): unknown {
    if (payload.length === 0) return new BadCell('the payload is empty')
    if (payload.length > this.#payloadBytesMax)
      return new BadCell(`the payload has ${payload.length} bytes, more than ${this.#payloadBytesMax}`)
    let text: string
    try {
      text = this.#utf8.decode(payload)
    } catch {
      return new BadCell('the payload is not valid UTF-8')
    }
    try {
      return JSON.parse(text) as unknown
    } catch (error) {
      return new BadCell(`the payload is not JSON: ${messageOf(error).slice(0, 120)}`)
    }
  }

  #entityOf(message: ReadMessage): EntityId | BadCell {
    const name = nameOf(this.#map.entityName, message)
    if (name instanceof BadCell) return new BadCell(`the entity's name: ${name.reason}`)
    try {
      return entityId(this.#map.entityType, name)
    } catch (error) {
      return new BadCell(messageOf(error))
    }
  }

  #sourceOf(message: ReadMessage): string | BadCell {
    const name = this.#map.source === undefined ? message.topic : nameOf(this.#map.source, message)
    if (name instanceof BadCell) return new BadCell(`the source's name: ${name.reason}`)
    return `mqtt:${Buffer.byteLength(name) > SOURCE_BYTES_MAX ? sha256Hex(name) : name}`
  }

  #sequenceOf(message: ReadMessage, properties: MqttMessage['userProperties']): number | undefined | BadCell {
    const from = this.#map.sequence
    if (from === undefined) return undefined
    const where = from.kind === 'path' ? showPath(from.path) : `user property ${from.property}`
    const value =
      from.kind === 'path'
        ? valueAt(message.body, from.path)
        : properties !== undefined && Object.hasOwn(properties, from.property)
          ? properties[from.property]
          : undefined
    if (value === undefined || value === null) return new BadCell(`${where} is missing, it holds the sequence`)
    const number = typeof value === 'string' && /^\s*-?\d{1,16}\s*$/.test(value) ? Number(value) : value
    return Number.isSafeInteger(number) ? (number as number) : new BadCell(`${where} holds no whole number, and it is the sequence`)
  }
}

interface ReadMessage {
  readonly topic: string
  readonly levels: readonly string[]
  readonly body: unknown
}

function valueOf(from: TextFrom, message: ReadMessage): unknown {
  if (from.kind === 'path') return valueAt(message.body, from.path)
  return from.kind === 'topic' ? message.levels[from.level] : undefined
}

function show(from: TextFrom): string {
  if (from.kind === 'path') return showPath(from.path)
  return from.kind === 'topic' ? `level ${from.level} of the topic` : `column ${from.column}`
}

function nameOf(name: NameFrom, message: ReadMessage): string | BadCell {
  if (name.kind === 'constant') return name.text
  if (name.kind === 'file') return new BadCell('a message has no file')
  const value = valueOf(name, message)
  if (typeof value === 'string') return name.prefix + value.trim()
  if (Number.isSafeInteger(value)) return `${name.prefix}${String(value)}`
  return new BadCell(`${show(name)} ${value === undefined ? 'is missing' : 'is not a text'}`)
}

function timeOf(time: TimeFrom, local: LocalTime): (message: ReadMessage) => number | undefined | BadCell {
  if (time.kind !== 'read') return () => undefined
  const { from, format } = time
  const field: FieldFrom = { field: '', from, kind: 'time', unit: undefined, scale: 1, offset: 0, isOptional: false, format }
  const read = jsonReader(field, timeReader(format, local))
  return (message) => {
    const value = read(valueOf(from, message))
    return value instanceof BadCell ? new BadCell(`${show(from)} ${value.reason}, it holds the time`) : (value as number)
  }
}
