import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { Subscription } from '#reading/subscription.js'
import { ControlFeed } from '#runtime/control-feed.js'
import { requireLog } from '#runtime/journal-access.js'
import { checkMqttTarget, type MqttTargetOptions } from '#targets/mqtt.js'
import { type MqttTarget, startMqttTarget } from '#targets/mqtt-target.js'
import type { Options, Run } from './command.js'
import { mqttOptionsOf } from './mqtt-options.js'
import { noteAbsence } from './note-absence.js'
import { noteUnknownEvents } from './note-events.js'
import { numberOption, positionOption, usageError } from './number-option.js'
import type { Output } from './output.js'
import { dataDirectoryOf, listOption, textOption } from './place.js'
import { onInterrupt } from './signals.js'
import { tell } from './tell.js'

const LOOK_EVERY_MS = 50

/** Publishes events of a running plant to a broker until Ctrl-C, for so many seconds or messages, or up to where the log ends now. */
export const runPublishMqtt: Run = async ([url = ''], options, output) => {
  const data = resolve(dataDirectoryOf(options))
  const target = optionsOf(url, options)
  checkMqttTarget(target)
  const count = numberOption(options, 'count', 1)
  const seconds = numberOption(options, 'seconds', 1)
  requireLog(data)
  await noteAbsence(data, output)
  await noteUnknownEvents(data, listOption(options, 'event'), output)
  const stop = new AbortController()
  onInterrupt(() => stop.abort())
  const feed = () => new ControlFeed({ dataDirectory: data, mayReadAlone: false })
  const end = options['once'] === true ? await endOf(feed()) : Number.POSITIVE_INFINITY
  const running = await startMqttTarget(target, {
    subscribe: (more) => new Subscription(feed(), more),
    clock: systemClock,
    log: (level, fact, values) => tell(output, level, fact, values),
    plant: data,
  })
  await runUntil(running, { count, seconds, end, signal: stop.signal }, output)
  await running.stop()
  return report(running, output)
}

function optionsOf(url: string, options: Options): MqttTargetOptions {
  const topic = textOption(options, 'topic')
  if (topic === undefined) throw usageError('there is no --topic', { url }, "give one, such as --topic 'plant/{entity}/{event}'")
  const entity = listOption(options, 'entity')
  const event = listOption(options, 'event')
  const initial = positionOption(options, 'initial')
  const inFlightMax = numberOption(options, 'inFlight', 1)
  const inFlightPerEntityMax = numberOption(options, 'inFlightPerEntity', 1)
  return {
    url,
    topic,
    ...mqttOptionsOf(options),
    ...(entity.length > 0 ? { entity } : {}),
    ...(event.length > 0 ? { event } : {}),
    ...(initial === undefined ? {} : { initial }),
    ...(inFlightMax === undefined ? {} : { inFlightMax }),
    ...(inFlightPerEntityMax === undefined ? {} : { inFlightPerEntityMax }),
    ...(options['retain'] === true ? { retain: true } : {}),
    ...(options['skipRefused'] === true ? { onRefused: 'skip' as const } : {}),
  }
}

async function endOf(feed: ControlFeed): Promise<number> {
  try {
    return await feed.locate('end')
  } finally {
    await feed.close()
  }
}

interface Until {
  readonly count: number | undefined
  readonly seconds: number | undefined
  readonly end: number
  readonly signal: AbortSignal
}

/** Throws ERR_MQTT_BROKER when the broker refuses the client, before it ever let it in. */
async function runUntil(
  target: MqttTarget,
  { count = Number.POSITIVE_INFINITY, seconds, end, signal }: Until,
  output: Output,
): Promise<void> {
  const startMs = performance.now()
  const bar = output.progress(Number.isFinite(count) ? count : 0, 'messages')
  let wasConnected = false
  for (;;) {
    const { delivered, rejected, position, state } = target.stats()
    bar.update(delivered)
    wasConnected ||= target.isConnected
    const isTimeOver = seconds !== undefined && performance.now() - startMs >= seconds * 1000
    if (signal.aborted || isTimeOver || state === 'failed' || delivered + rejected >= count || position >= end) break
    if (!wasConnected && target.failure?.isRefusal === true) break
    await delay(LOOK_EVERY_MS)
  }
  bar.stop()
  const { failure } = target
  if (wasConnected || failure === undefined || signal.aborted || target.stats().state === 'failed') return
  await target.stop()
  throw new MillraceError('ERR_MQTT_BROKER', { fact: failure.fact, action: 'operator', next: failure.next })
}

function report(target: MqttTarget, output: Output): number {
  const { readFailure: failure, name } = target
  const { delivered, resent, rejected, position, lag, reconnects } = target.stats()
  if (output.isJson) output.json({ name, delivered, resent, rejected, position, lag, reconnects, ...(failure && { failure }) })
  else output.line(`${delivered} events published and acknowledged, ${resent} of them sent again, ${rejected} refused`)
  if (failure !== undefined) return 1
  if (!output.isJson) output.note(`The plant remembers how far it came as subscription ${name}: the same command goes on from here.`)
  return 0
}
