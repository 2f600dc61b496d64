import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Clock } from '#base/clock.js'
import type { Door } from '#ingest/index.js'
import { COUNTER_NAMES, LEVELS } from '#processes/process-counters.js'
import type { ProcessRow, ProcessTable } from '#processes/process-table.js'

/** Of every so many commands one is timed: the histogram is a sample, the counters are not. */
const TIMED_EVERY = 16
const ACK_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]

/**
 * The plant in figures for Prometheus, read from the process table's shared memory when asked: what every process counts, who is up, and how long
 * acknowledgements take at this gateway.
 */
export class GatewayMetrics {
  readonly #registry = new Registry()
  readonly #table: ProcessTable
  readonly #ack: Histogram
  readonly #clock: Clock
  readonly #counters = new Map<string, Counter>()
  readonly #gauges = new Map<string, Gauge>()
  readonly #up: Gauge

  constructor(table: ProcessTable, clock: Clock) {
    this.#table = table
    this.#clock = clock
    this.#ack = new Histogram({
      name: 'millrace_ack_seconds',
      help: 'Time from the offer of a command to its durable end, of a sample of the commands of this gateway.',
      buckets: ACK_BUCKETS,
      registers: [this.#registry],
    })
    for (const [role, names] of Object.entries(COUNTER_NAMES)) {
      for (const name of names) {
        const isLevel = LEVELS.has(name)
        const metric = { help: `${words(name)} of the ${role}.`, labelNames: ['slot'], registers: [this.#registry] }
        if (isLevel) this.#gauges.set(`${role}.${name}`, new Gauge({ name: `millrace_${role}_${snake(name)}`, ...metric }))
        else this.#counters.set(`${role}.${name}`, new Counter({ name: `millrace_${role}_${snake(name)}_total`, ...metric }))
      }
    }
    this.#up = new Gauge({
      name: 'millrace_process_up',
      help: 'Whether the seat is taken by a process that does its work.',
      labelNames: ['role', 'slot'],
      registers: [this.#registry],
    })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(): Promise<string> {
    this.#collect()
    return this.#registry.metrics()
  }

  /** The same door, timing a sample of what goes through. */
  timed(door: Door): Door {
    let count = 0
    return {
      offer: (command, answer, settle) => {
        if (++count % TIMED_EVERY !== 0) return door.offer(command, answer, settle)
        const startMs = this.#clock.monotonicMs()
        return door.offer(command, answer, (settlement) => {
          this.#ack.observe((this.#clock.monotonicMs() - startMs) / 1000)
          settle(settlement)
        })
      },
      onRoom: (callback) => door.onRoom(callback),
    }
  }

  #collect(): void {
    this.#up.reset()
    for (const row of this.#table.snapshot()) {
      if (row.slot === undefined) continue
      this.#up.set({ role: row.role, slot: row.slot }, row.state === 'ready' ? 1 : 0)
      this.#collectCounters(row, String(row.slot))
    }
  }

  #collectCounters(row: ProcessRow, slot: string): void {
    for (const [name, value] of Object.entries(row.counters)) {
      this.#gauges.get(`${row.role}.${name}`)?.set({ slot }, value)
      const counter = this.#counters.get(`${row.role}.${name}`)
      if (counter === undefined) continue
      counter.remove({ slot })
      counter.inc({ slot }, value)
    }
  }
}

function snake(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

function words(name: string): string {
  const text = snake(name).replaceAll('_', ' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}
