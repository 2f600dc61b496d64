import { onTestFinished } from 'vitest'
import { systemClock } from '#base/clock.js'
import type { Door } from '#ingest/door.js'
import { parseMap } from '#ingest/map-file.js'
import type { MqttOptions } from '#ingest/mqtt.js'
import { startMqtt } from '#ingest/mqtt-start.js'
import type { MqttSource } from '#ingest/mqtt-source.js'
import { temporaryDirectory } from './data.js'

export const PRESS_JSON_MAP = `
format: json
time: { path: ts, format: unix-ms }
entity: { type: press, name: { topic: 1 } }
command: sample
sequence: { path: seq }
fields:
  temperature: { path: temperature, unit: °C }
  mode: { path: mode, kind: label, optional: true }
`

export const CLIENT_ID = 'plant-under-test'

export interface LoggedLine {
  readonly level: string
  readonly message: string
  readonly values: Readonly<Record<string, unknown>> | undefined
}

/** A running source with what it logged, and the directory that it keeps its files in. */
export interface MqttUnderTest {
  readonly source: MqttSource
  readonly log: LoggedLine[]
  readonly directory: string
}

/** The press map's source on `factory/+/sample`, stopped with the test. */
export async function startPressSource(
  door: Door,
  options: Partial<Omit<MqttOptions, 'map'>> & { readonly url: string; readonly map?: string },
  {
    directory = temporaryDirectory(),
    ...run
  }: { readonly directory?: string; readonly messagesMax?: number; readonly drainMs?: number } = {},
): Promise<MqttUnderTest> {
  const log: LoggedLine[] = []
  const { map = PRESS_JSON_MAP, ...rest } = options
  const source = await startMqtt(
    { topic: 'factory/+/sample', name: 'presses', clientId: CLIENT_ID, ...rest, map: parseMap(map, 'press.map.yaml') },
    { door, clock: systemClock, directory, log: (level, message, values) => log.push({ level, message, values }) },
    run,
  )
  onTestFinished(() => source.stop())
  return { source, log, directory }
}

/** What a press with this number says. */
export function sample(seq: number, more: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ seq, ts: 1_583_748_873_123 + seq, temperature: seq / 2, ...more })
}

export function topicOf(press: string): string {
  return `factory/${press}/sample`
}
