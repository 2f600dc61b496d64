import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, readSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import mqttPackage, { type MqttClient } from 'mqtt'
import { onTestFinished } from 'vitest'
import { accepts, freePort, MOSQUITTO } from './brokers.js'

const RECORDER = fileURLToPath(new URL('children/recording-broker.mjs', import.meta.url))
const READY_WITHIN_MS = 60_000

/** One message as somebody who is no part of the plant got it. */
export interface Received {
  readonly topic: string
  readonly payload: string
}

/** A broker that can be made to die and come back on the same port, and all that arrived there. */
export interface RestartableBroker {
  readonly url: string
  /** What arrived under a first level of the topic since the start, in order. */
  received(firstLevel: string): readonly Received[]
  /** Ends it the hardest way that loses nothing that it acknowledged, and starts it again. */
  restart(): Promise<void>
}

/** aedes, which writes down what comes before it acknowledges it: it is killed by SIGKILL. Topics below `slow` are acknowledged late. */
export async function startRecordingBroker(
  directory: string,
  slow: { readonly firstLevel: string; readonly ms: number },
): Promise<RestartableBroker> {
  const port = await freePort()
  const file = join(directory, 'received.jsonl')
  writeFileSync(file, '')
  const args = [RECORDER, String(port), file, slow.firstLevel, String(slow.ms)]
  const start = () => spawn(process.execPath, args, { stdio: ['pipe', 'ignore', 'inherit'] })
  const broker = new BrokerProcess(port, start, 'SIGKILL')
  await broker.begin()
  const received = new Receipts()
  const record = openSync(file, 'r')
  onTestFinished(() => closeSync(record))
  let rest = Buffer.alloc(0)
  return {
    url: broker.url,
    restart: () => broker.restart(),
    received: (firstLevel) => {
      const piece = Buffer.alloc(1 << 16)
      for (let bytes = readSync(record, piece); bytes > 0; bytes = readSync(record, piece))
        rest = Buffer.concat([rest, piece.subarray(0, bytes)])
      const end = rest.lastIndexOf('\n') + 1
      for (const line of rest.subarray(0, end).toString().split('\n')) if (line !== '') received.add(JSON.parse(line) as Received)
      rest = rest.subarray(end)
      return received.under(firstLevel)
    },
  }
}

/**
 * The real thing with a client that listens to everything in a session of its own. It keeps what it acknowledged in memory and writes it down when it is told to end, so
 * it is ended by SIGTERM: a SIGKILL would lose messages that no publisher could know of.
 */
export async function startMosquittoWithListener(directory: string): Promise<RestartableBroker> {
  const port = await freePort()
  const config = join(directory, 'mosquitto.conf')
  const user = process.getuid?.() === 0 ? ['user root'] : []
  const persistence = ['persistence true', `persistence_location ${directory}/`, 'max_queued_messages 0', 'max_inflight_messages 0']
  writeFileSync(config, [`listener ${port} 127.0.0.1`, 'allow_anonymous true', ...persistence, ...user, ''].join('\n'))
  const broker = new BrokerProcess(port, () => spawn(MOSQUITTO, ['-c', config], { stdio: 'ignore' }), 'SIGTERM')
  await broker.begin()
  const received = new Receipts()
  const listener = await listen(broker.url, (message) => received.add(message))
  onTestFinished(() => void listener.end(true))
  return { url: broker.url, received: (firstLevel) => received.under(firstLevel), restart: () => broker.restart() }
}

async function listen(url: string, onMessage: (message: Received) => void): Promise<MqttClient> {
  const client = await mqttPackage.connectAsync(url, { clientId: 'listener', clean: false, reconnectPeriod: 50 })
  client.on('message', (topic, payload) => onMessage({ topic, payload: payload.toString() }))
  client.on('error', () => undefined)
  await client.subscribeAsync('#', { qos: 1 })
  return client
}

class Receipts {
  readonly #byLevel = new Map<string, Received[]>()

  add(message: Received): void {
    const level = message.topic.slice(0, message.topic.indexOf('/'))
    const list = this.#byLevel.get(level)
    if (list === undefined) this.#byLevel.set(level, [message])
    else list.push(message)
  }

  under(firstLevel: string): readonly Received[] {
    return this.#byLevel.get(firstLevel) ?? []
  }
}

class BrokerProcess {
  readonly #port: number
  readonly #start: () => ChildProcess
  readonly #signal: NodeJS.Signals
  #child: ChildProcess | undefined

  constructor(port: number, start: () => ChildProcess, signal: NodeJS.Signals) {
    this.#port = port
    this.#start = start
    this.#signal = signal
    onTestFinished(() => this.#end('SIGKILL'))
  }

  get url(): string {
    return `mqtt://127.0.0.1:${this.#port}`
  }

  async begin(): Promise<void> {
    this.#child = this.#start()
    const deadline = performance.now() + READY_WITHIN_MS
    while (!(await accepts(this.#port))) if (performance.now() > deadline) throw new Error('the broker does not listen')
  }

  async restart(): Promise<void> {
    await this.#end(this.#signal)
    await this.begin()
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill(signal)
    await ended
  }
}
