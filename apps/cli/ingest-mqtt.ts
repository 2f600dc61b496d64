import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '#base/clock.js'
import { messageOf, MillraceError } from '#base/errors.js'
import { type Door, type IngestMap, type MqttOptions, readMapFile } from '#ingest/index.js'
import { startMqtt } from '#ingest/mqtt-start.js'
import type { MqttSource } from '#ingest/mqtt-source.js'
import type { StreamDoorClient } from '#ingest/stream-client.js'
import { dataPaths } from '#runtime/data-directory.js'
import { connectDoor } from '#runtime/door-access.js'
import { PlantSession } from '#runtime/plant-session.js'
import type { Options, Run } from './command.js'
import { plantFileFor } from './ingest-csv.js'
import { numberOption, usageError } from './number-option.js'
import type { Output } from './output.js'
import { placeOf, textOption } from './place.js'
import { onInterrupt } from './signals.js'

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
  const passwordFile = textOption(options, 'passwordFile')
  const optional = {
    name: textOption(options, 'name'),
    clientId: textOption(options, 'clientId'),
    username: textOption(options, 'username'),
    password: passwordFile === undefined ? undefined : passwordIn(passwordFile),
    ca: pathOption(options, 'ca'),
    cert: pathOption(options, 'cert'),
    key: pathOption(options, 'key'),
    rejectTopic: textOption(options, 'rejectTopic'),
    rejects: pathOption(options, 'rejects'),
    protocolVersion: versionOption(options),
  }
  const given = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined))
  return { url, topic, map, ...given }
}

function pathOption(options: Options, name: string): string | undefined {
  const path = textOption(options, name)
  return path === undefined ? undefined : resolve(path)
}

function versionOption(options: Options): 4 | 5 | undefined {
  const version = numberOption(options, 'mqttVersion')
  if (version === undefined || version === 4 || version === 5) return version
  throw usageError('not a version of MQTT that is spoken here', { '--mqtt-version': version }, 'use 4 (for 3.1.1) or 5')
}

/** The first line, so that the end of line of an editor does not become part of the password. */
function passwordIn(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n[^]*$/, '')
  } catch (cause) {
    throw usageError(
      'the password file cannot be read',
      { file, error: messageOf(cause) },
      'name a file that holds the password and nothing else',
    )
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

function tell(output: Output, level: 'info' | 'warn' | 'error', fact: string, values: Readonly<Record<string, unknown>> = {}): void {
  const { next, ...rest } = values
  const pairs = Object.entries(rest).map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  const said = [fact, ...pairs].join(' ')
  output.note(`${level === 'info' ? '' : `${level}: `}${said}${typeof next === 'string' ? `: ${next}` : ''}`)
}
