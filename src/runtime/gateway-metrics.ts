import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Clock } from '#base/clock.js'
import type { HttpStats } from '#ingest/http-door.js'
import type { Door } from '#ingest/index.js'
import { COUNTER_NAMES, LEVELS } from '#processes/process-counters.js'
import type { Role, Seat } from '#processes/process-role.js'
import type { ProcessRow, ProcessTable } from '#processes/process-table.js'
import type { Placement } from '#shards/placement.js'
import type { RunningTarget } from '#targets/target.js'
import type { PlantShape } from './channel-plan.js'
import { TargetMetrics } from './target-metrics.js'

/** Of every so many commands one is timed: the histogram is a sample, the counters are not. */
const TIMED_EVERY = 16
const ACK_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30]

export interface GatewayMetricsOptions {
  readonly table: ProcessTable
  readonly shape: PlantShape
  readonly placement: Placement
  readonly clock: Clock
}

/**
 * The plant in figures for Prometheus, read from the process table's shared memory when asked: what every seat counts, who is up, and how long
 * acknowledgements take at this gateway. Counters of a seat go on when its holder is replaced; those of the HTTP door and the acknowledgements start
 * over with the gateway.
 */
export class GatewayMetrics {
  readonly #registry = new Registry()
  readonly #options: GatewayMetricsOptions
  readonly #ack: Histogram
  readonly #metrics = new Map<string, Counter | Gauge>()
  readonly #up: Gauge
  readonly #requests: Counter
  readonly #connections: Gauge
  readonly #dropped: Counter
  #targetMetrics: TargetMetrics | undefined
  /** Those of this gateway. */
  targets: readonly RunningTarget[] = []

  constructor(options: GatewayMetricsOptions) {
    this.#options = options
    const registers = [this.#registry]
    this.#ack = new Histogram({
      name: 'millrace_ack_seconds',
      help: 'Time from the offer of a command to its durable end, of a sample of the commands of this gateway.',
      buckets: ACK_BUCKETS,
      registers,
    })
    for (const [role, names] of Object.entries(COUNTER_NAMES)) {
      for (const name of names) {
        const metric = { help: `${words(name)} of the ${role}.`, labelNames: ['slot'], registers }
        const full = `millrace_${role}_${snake(name)}`
        this.#metrics.set(
          `${role}.${name}`,
          LEVELS.has(name) ? new Gauge({ name: full, ...metric }) : new Counter({ name: `${full}_total`, ...metric }),
        )
      }
    }
    this.#up = new Gauge({
      name: 'millrace_process_up',
      help: 'Whether the seat is taken by a process that does its work.',
      labelNames: ['role', 'slot'],
      registers,
    })
    this.#requests = new Counter({
      name: 'millrace_http_requests_total',
      help: 'HTTP requests by the status of their answer, 0 when the client left before it.',
      labelNames: ['status'],
      registers,
    })
    this.#connections = new Gauge({ name: 'millrace_http_connections', help: 'HTTP connections that are open.', registers })
    this.#dropped = new Counter({
      name: 'millrace_http_connections_dropped_total',
      help: 'HTTP connections closed at once, there being as many as there may be.',
      registers,
    })
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  text(http: HttpStats): Promise<string> {
    this.#collectSeats()
    this.#requests.reset()
    this.#requests.inc({ status: '200' }, 0)
    for (const [status, count] of http.requests) this.#requests.inc({ status: String(status) }, count)
    this.#connections.set(http.connections)
    this.#dropped.reset()
    this.#dropped.inc(http.dropped)
    // A family without a sample is none.
    if (this.targets.length > 0) (this.#targetMetrics ??= new TargetMetrics(this.#registry)).collect(this.targets)
    return this.#registry.metrics()
  }

  /** The same door, timing a sample of what goes through. */
  timed(door: Door): Door {
    const { clock } = this.#options
    let count = 0
    return {
      offer: (command, answer, settle) => {
        if (count++ % TIMED_EVERY !== 0) return door.offer(command, answer, settle)
        const startMs = clock.monotonicMs()
        return door.offer(command, answer, (settlement) => {
          this.#ack.observe((clock.monotonicMs() - startMs) / 1000)
          settle(settlement)
        })
      },
      onRoom: (callback) => door.onRoom(callback),
      line: (entity, source, command) => door.line?.(entity, source, command) ?? 'this door has no lines',
    }
  }

  /** The supervisor's first. Of the workers those that there are: they have shards, or a process. */
  #seats(rows: readonly ProcessRow[], more: readonly number[] = []): Seat<Role>[] {
    const { shape, placement } = this.#options
    const held = rows.flatMap(({ role, slot }) => (role === 'worker' && slot !== undefined ? [slot] : []))
    const workers = new Set([...placement.slots(), ...held, ...more].sort((a, b) => a - b))
    const seats = (role: Role, slots: Iterable<number>) => [...slots].map((slot) => ({ role, slot }))
    const gateways = Array.from({ length: shape.gateways }, (_, slot) => slot)
    return [...seats('supervisor', [0]), ...seats('journal', [0]), ...seats('worker', workers), ...seats('gateway', gateways)]
  }

  /** Those of workers that are no more go on being shown: a sum over all workers does not become less. */
  #countedSlots(): number[] {
    const { table, shape } = this.#options
    const slots = Array.from({ length: shape.workers }, (_, slot) => slot)
    return slots.filter((slot) => Object.values(table.counters({ role: 'worker', slot }).read()).some((value) => value !== 0))
  }

  /** For doors that time a sample by themselves. */
  observeAck(ms: number): void {
    this.#ack.observe(ms / 1000)
  }

  #collectSeats(): void {
    const { table } = this.#options
    const rows = table.snapshot()
    this.#up.reset()
    for (const seat of this.#seats(rows)) {
      const slot = String(seat.slot)
      const isUp = rows.some((row) => row.role === seat.role && row.slot === seat.slot && row.state === 'ready')
      this.#up.set({ role: seat.role, slot }, isUp ? 1 : 0)
    }
    for (const seat of this.#seats(rows, this.#countedSlots())) {
      const slot = String(seat.slot)
      for (const [name, value] of Object.entries(table.counters(seat).read())) {
        const metric = this.#metrics.get(`${seat.role}.${name}`)
        if (metric instanceof Gauge) metric.set({ slot }, value)
        else if (metric !== undefined) {
          metric.remove({ slot })
          metric.inc({ slot }, value)
        }
      }
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
