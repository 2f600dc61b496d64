import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { type Door, type IngestMap, type MqttOptions, readMapFile } from '#ingest/index.js'
import { startMqtt } from '#ingest/mqtt-start.js'
import type { MqttSource } from '#ingest/mqtt-source.js'
import type { StreamDoorClient } from '#ingest/stream-client.js'
import { dataPaths } from '#runtime/data-directory.js'
import { connectDoor } from '#runtime/door-access.js'
import { PlantSession } from '#runtime/plant-session.js'
import type { Options, Run } from './command.js'
import { plantFileFor } from './ingest-csv.js'
import { mqttOptionsOf, pathOption } from './mqtt-options.js'
import { numberOption, usageError } from './number-option.js'
import type { Output } from './output.js'
import { placeOf, textOption } from './place.js'
import { onInterrupt } from './signals.js'
import { tell } from './tell.js'

const LOOK_EVERY_MS = 50

/** Takes messages of a topic into the plant until Ctrl-C, or for so many messages or seconds; starts the plant for it where none runs. */
export const runIngestMqtt: Run = async (args, options, output) => {
  const [url = ''] = args
  const topic = textOption(options, 'topic')
  if (topic === undefined) throw usageError('there is no --topic', { url }, "name one, such as --topic 'factory/+/sample'")
  const mapFile = textOption(options, 'map')
  if (mapFile === undefined)
    throw usageError(
      'what becomes a command of what? there is no --map',
      { url },
      'name a map file; examples/ingest/press-mqtt.map.yaml is one',
    )
  const count = numberOption(options, 'count', 1)
  const seconds = numberOption(options, 'seconds', 1)
  const map = await readMapFile(mapFile)
  const mqttOptions = optionsOf(url, topic, map, options)
  const place = placeOf(options)
  const session = await PlantSession.open({ ...place, plantFile: plantFileFor(place, map, mapFile) })
  const stop = new AbortController()
  onInterrupt(() => stop.abort())
  try {
    const client = await connectDoor(session.dataDirectory)
    try {
      const directory = dataPaths(session.dataDirectory).ingest
      const source = await startMqtt(
        mqttOptions,
        { door: whileItLasts(client), clock: systemClock, directory, log: (level, fact, values) => tell(output, level, fact, values) },
        { messagesMax: count },
      )
      await runUntil({ source, client, output, count: count ?? 0, seconds, signal: stop.signal })
      return await finish(source, client, output)
    } finally {
      await client.close()
    }
  } finally {
    await session.close()
  }
}

function optionsOf(url: string, topic: string, map: IngestMap, options: Options): MqttOptions {
  const rejectTopic = textOption(options, 'rejectTopic')
  const rejects = pathOption(options, 'rejects')
  return {
    url,
    topic,
    map,
    ...mqttOptionsOf(options),
    ...(rejectTopic === undefined ? {} : { rejectTopic }),
    ...(rejects === undefined ? {} : { rejects }),
  }
}

/**
 * The door, silent once it is lost for good: what is in flight then was neither done nor refused, so it must stay unacknowledged at the broker.
 */
function whileItLasts(client: StreamDoorClient): Door {
  return {
    offer: (command, answer, settle) =>
      client.offer(command, answer, (settlement) => {
        if (client.failure === undefined) settle(settlement)
      }),
    onRoom: (callback) => client.onRoom(callback),
  }
}

interface Until {
  readonly source: MqttSource
  readonly client: StreamDoorClient
  readonly output: Output
  /** 0: without end. */
  readonly count: number
  readonly seconds: number | undefined
  readonly signal: AbortSignal
}

/** Throws ERR_MQTT_BROKER when the broker refuses, or was not there in all the seconds. */
async function runUntil({ source, client, output, count, seconds, signal }: Until): Promise<void> {
  const startMs = performance.now()
  const bar = output.progress(count, 'messages')
  let wasConnected = false
  const settled = () => source.stats().accepted + source.stats().rejected
  const isTimeOver = () => seconds !== undefined && performance.now() - startMs >= seconds * 1000
  while (!signal.aborted && client.failure === undefined && !isTimeOver() && !source.isFinished) {
    wasConnected ||= source.isConnected
    if (!wasConnected && source.failure?.isRefusal === true) break
    bar.update(settled())
    await delay(LOOK_EVERY_MS)
  }
  bar.stop()
  const { failure } = source
  if (wasConnected || failure === undefined || signal.aborted) return
  await source.stop()
  throw new MillraceError('ERR_MQTT_BROKER', { fact: failure.fact, action: 'operator', next: failure.next })
}

async function finish(source: MqttSource, client: StreamDoorClient, output: Output): Promise<number> {
  await source.stop()
  const { received, accepted, rejected, unnumbered } = source.stats()
  if (output.isJson)
    output.json({ received, accepted, rejected, durable: accepted, ...(rejected > 0 ? { rejectsTo: source.rejectsTo } : {}) })
  else {
    output.line(`${received} messages: ${accepted} accepted and durable, ${rejected} rejected`)
    if (rejected > 0) output.line(`Rejected messages with their reasons: ${source.rejectsTo}`)
    if (unnumbered > 0) output.line(`${unnumbered} without a number: of these, one that is delivered again counts as new.`)
  }
  output.note(`The broker keeps what comes from now on for client id ${source.clientId}: the same command goes on from here.`)
  if (client.failure !== undefined) throw client.failure
  return 0
}
