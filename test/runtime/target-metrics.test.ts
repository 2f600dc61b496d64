import { Registry } from 'prom-client'
import { describe, expect, test } from 'vitest'
import { TargetMetrics } from '#runtime/target-metrics.js'
import type { RunningTarget, TargetStats } from '#targets/target.js'
import { parseExposition } from './exposition.js'

const STATS: TargetStats = {
  delivered: 7,
  resent: 2,
  rejected: 1,
  inFlight: 3,
  position: 40,
  lag: 5,
  reconnects: 1,
  state: 'running',
}

function targetOf(name: string, more: Partial<TargetStats> = {}): RunningTarget {
  return { name, stop: () => Promise.resolve(), stats: () => ({ ...STATS, ...more }) }
}

describe('the metrics of targets', () => {
  test('are what each target counts, by its name, as of when they are asked for', async () => {
    const registry = new Registry()
    const metrics = new TargetMetrics(registry)

    metrics.collect([targetOf('mes', { delivered: 6 }), targetOf('erp', { state: 'waiting', lag: 90 })])
    metrics.collect([targetOf('mes'), targetOf('erp', { state: 'waiting', lag: 90 })])
    const samples = parseExposition(await registry.metrics()).families.flatMap((family) => family.samples)

    const of = (target: string) =>
      Object.fromEntries(samples.filter(({ labels }) => labels['target'] === target).map(({ name, value }) => [name, value]))
    expect(of('mes')).toEqual({
      millrace_target_delivered_total: 7,
      millrace_target_resent_total: 2,
      millrace_target_rejected_total: 1,
      millrace_target_reconnects_total: 1,
      millrace_target_in_flight: 3,
      millrace_target_lag_positions: 5,
      millrace_target_position: 40,
      millrace_target_up: 1,
    })
    expect(of('erp')).toMatchObject({ millrace_target_lag_positions: 90, millrace_target_up: 0 })
  })
})
