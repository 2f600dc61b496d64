import { Counter, Gauge, type Registry } from 'prom-client'
import type { RunningTarget, TargetStats } from '#targets/target.js'

/** Counts that only grow while the gateway lives, and levels. */
const COUNTERS = {
  delivered: 'Rows that a target has delivered.',
  resent: 'Rows that a target has sent again, not knowing whether they had arrived.',
  rejected: 'Rows that the other side refused and the target skipped.',
  reconnects: 'How often a target lost its connection.',
} as const satisfies Partial<Record<keyof TargetStats, string>>
const LEVELS = {
  inFlight: ['in_flight', 'Rows of a target that are on their way.'],
  lag: ['lag_positions', 'Positions of the log that a target has not delivered yet.'],
  position: ['position', 'Everything below is delivered.'],
} as const satisfies Partial<Record<keyof TargetStats, readonly [string, string]>>

/** What the targets of a gateway count, for Prometheus, by their names. */
export class TargetMetrics {
  readonly #counters: ReadonlyMap<keyof typeof COUNTERS, Counter>
  readonly #levels: ReadonlyMap<keyof typeof LEVELS, Gauge>
  readonly #up: Gauge

  constructor(registry: Registry) {
    const more = { labelNames: ['target'], registers: [registry] }
    const counters = Object.entries(COUNTERS) as [keyof typeof COUNTERS, string][]
    this.#counters = new Map(counters.map(([key, help]) => [key, new Counter({ name: `millrace_target_${key}_total`, help, ...more })]))
    const levels = Object.entries(LEVELS) as [keyof typeof LEVELS, (typeof LEVELS)[keyof typeof LEVELS]][]
    this.#levels = new Map(levels.map(([key, [name, help]]) => [key, new Gauge({ name: `millrace_target_${name}`, help, ...more })]))
    this.#up = new Gauge({ name: 'millrace_target_up', help: 'Whether a target delivers: 0 when it waits or has failed.', ...more })
  }

  collect(targets: readonly RunningTarget[]): void {
    for (const { name: target, stats } of targets.map((one) => ({ name: one.name, stats: one.stats() }))) {
      this.#up.set({ target }, stats.state === 'running' ? 1 : 0)
      for (const [key, gauge] of this.#levels) gauge.set({ target }, stats[key])
      for (const [key, counter] of this.#counters) {
        counter.remove({ target })
        counter.inc({ target }, stats[key])
      }
    }
  }
}
