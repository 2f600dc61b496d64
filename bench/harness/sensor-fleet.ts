import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import type { Door, DoorLine, Settlement } from '#ingest/door.js'
import type { RunningSource, SourceDefinition } from '#ingest/source.js'
import { serveControl } from '#processes/control-socket.js'
import { percentile } from './samples.js'
import { emptyReport, sensorId, sensorName, sensorReport } from './sensor-data.js'

export const FLEET = 'fleet'
export const FLEET_SOCKET = 'control'

export interface FleetOrder {
  /** How many sensors report, one after the other in rounds. The same in every order to a plant. */
  readonly sensors: number
  readonly seconds: number
  /** Commands a second on a fixed schedule; null: as many as the door takes. */
  readonly perSecond: number | null
}

/** All commands of an order are acknowledged when it comes. */
export interface FleetReport {
  readonly sent: number
  /** Up to the last acknowledgement. */
  readonly elapsedMs: number
  /** Of a sample, from when the command was due, or without a schedule from when the door took it. */
  readonly ackMs: { readonly p50: number; readonly p99: number; readonly max: number }
}

/** The wait of one command in so many is measured. */
const SAMPLED_EVERY = 16
const SAMPLES_MAX = 1 << 20
/** Commands offered before the event loop turns. */
const TURN_COMMANDS = 1024
const TICK_MS = 1

/**
 * Simulated devices inside the gateway: one event of four columns per command, one command per report, each numbered by its sensor. Under orders by a
 * control socket in the source's own folder.
 */
export function sensorFleet(): SourceDefinition {
  return {
    kind: 'fleet',
    name: FLEET,
    start: async (context) => {
      const fleet = new SensorFleet(context.door)
      mkdirSync(context.directory, { recursive: true, mode: 0o700 })
      const control = await serveControl(join(context.directory, FLEET_SOCKET), { run: (order) => fleet.run(order as FleetOrder) })
      return fleet.running(() => control.close())
    },
  }
}

class SensorFleet {
  readonly #door: Door
  readonly #data = emptyReport()
  readonly #waits = new Float64Array(SAMPLES_MAX)
  /** When the commands whose wait is measured were due, by their number. */
  readonly #dueMs = new Float64Array(1 << 16)
  readonly #settle = (settlement: Settlement, number: number) => this.#settled(settlement, number)
  #lines: DoorLine[] = []
  #waitCount = 0
  #sent = 0
  #acked = 0
  #full = 0
  #failure: string | undefined

  constructor(door: Door) {
    this.#door = door
  }

  running(close: () => Promise<void>): RunningSource {
    const stats = () => ({ received: this.#sent, accepted: this.#acked, rejected: 0, inFlight: this.#sent - this.#acked })
    return { stop: close, stats: () => ({ ...stats(), full: this.#full, unnumbered: 0, state: 'running' }) }
  }

  async run({ sensors, seconds, perSecond }: FleetOrder): Promise<FleetReport> {
    this.#open(sensors)
    const sentBefore = this.#sent
    this.#waitCount = 0
    const startMs = performance.now()
    await this.#send(startMs, startMs + seconds * 1000, perSecond)
    while (this.#acked < this.#sent) await new Promise<void>((resolve) => setTimeout(resolve, TICK_MS))
    const elapsedMs = performance.now() - startMs
    if (this.#failure !== undefined) throw failed(this.#failure)
    const waits = this.#waits.subarray(0, this.#waitCount)
    const at = (share: number) => Math.round(percentile(waits, share) * 1000) / 1000
    return { sent: this.#sent - sentBefore, elapsedMs, ackMs: { p50: at(0.5), p99: at(0.99), max: at(1) } }
  }

  #open(sensors: number): void {
    for (let sensor = this.#lines.length; sensor < sensors; sensor++) {
      const line = this.#door.line?.(sensorId(sensor), sensorName(sensor), 'sample') ?? 'this door has no lines'
      if (typeof line === 'string') throw failed(line)
      this.#lines.push(line)
    }
  }

  /** Offers until the time is over, as fast as there is room or on schedule. */
  #send(startMs: number, endMs: number, perSecond: number | null): Promise<void> {
    const first = this.#sent
    return new Promise((resolve, reject) => {
      const pump = () => {
        const nowMs = performance.now()
        if (nowMs >= endMs) return resolve()
        const due = perSecond === null ? Number.POSITIVE_INFINITY : Math.floor(((nowMs - startMs) / 1000) * perSecond)
        for (let offers = 0; offers < TURN_COMMANDS; offers++) {
          const index = this.#sent - first
          if (index >= due) return void setTimeout(pump, TICK_MS)
          const offered = this.#offer(perSecond === null ? nowMs : startMs + (index / perSecond) * 1000)
          if (offered === 'full') return this.#door.onRoom(pump)
          if (offered !== 'accepted') return reject(failed(offered.rejected))
        }
        setImmediate(pump)
      }
      pump()
    })
  }

  #offer(dueMs: number): ReturnType<DoorLine['offer']> {
    const number = this.#sent
    const sensor = number % this.#lines.length
    const round = (number - sensor) / this.#lines.length + 1
    const line = this.#lines[sensor] as DoorLine
    const offered = line.offer(round, sensorReport(sensor, round, this.#data), Number.NaN, this.#settle, number)
    if (offered === 'full') this.#full++
    if (offered !== 'accepted') return offered
    if (number % SAMPLED_EVERY === 0) this.#dueMs[(number / SAMPLED_EVERY) % this.#dueMs.length] = dueMs
    this.#sent++
    return offered
  }

  #settled(settlement: Settlement, number: number): void {
    this.#acked++
    if (settlement.kind !== 'done') this.#failure ??= JSON.stringify(settlement)
    if (number % SAMPLED_EVERY !== 0 || this.#waitCount === SAMPLES_MAX) return
    this.#waits[this.#waitCount++] = performance.now() - (this.#dueMs[(number / SAMPLED_EVERY) % this.#dueMs.length] as number)
  }
}

function failed(what: string): MillraceError {
  return new MillraceError('ERR_BENCH_FAILED', { fact: 'a command came to something else than done', action: 'operator', values: { what } })
}
