import { join } from 'node:path'
import type { IClientOptions } from 'mqtt'
import { MillraceError } from '#base/errors.js'
import { sha256Hex } from '#base/hash.js'
import type { IngestMap } from './ingest-map.js'
import { loadMap } from './map-file.js'
import { MessageMapper } from './message-mapper.js'
import { checkMqttOptions, type MqttOptions } from './mqtt.js'
import { loadMqttConnect, mqttCredentials } from './mqtt-client.js'
import { shownUrl, wrongMqttOptions } from './mqtt-connection.js'
import { RejectFile, type MqttRejects, RejectTopic } from './mqtt-rejects.js'
import { MqttSessionFile } from './mqtt-session.js'
import { type MqttRunOptions, MqttSource } from './mqtt-source.js'
import { type SourceContext, sourcePath } from './source.js'

const IN_FLIGHT_MAX_DEFAULT = 4096
/** The broker keeps the session for ever. */
const NEVER_EXPIRES = 0xffffffff

/** Starts it outside of a plant's definition. Throws ERR_MQTT_OPTIONS and ERR_MAP_FILE. */
export async function startMqtt(options: MqttOptions, context: SourceContext, run: MqttRunOptions = {}): Promise<MqttSource> {
  const { name, filters, url } = checkMqttOptions(options)
  const { door, clock, log, directory, base } = context
  const map = await loadMap(options.map, base)
  const protocolVersion = versionFor(options, map)
  const clientId = options.clientId ?? `millrace-${name.slice(0, 40)}-${sha256Hex(directory, '\0', name).slice(0, 12)}`
  const client: IClientOptions = { protocolVersion, ...mqttCredentials(options, url, base, log) }
  const connect = await loadMqttConnect()
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
    throw wrongMqttOptions(
      'the map takes the sequence from a user property, which MQTT 5 alone has',
      { protocolVersion: 4 },
      'set protocolVersion to 5',
    )
  return options.protocolVersion ?? (isProperty || options.receiveMaximum !== undefined ? 5 : 4)
}
