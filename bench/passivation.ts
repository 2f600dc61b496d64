/**
 * How long does an entity that left memory take to answer its next command, while the plant is at work?
 *
 *   devices and probes in the gateway ══▶ worker ══▶ journal ─▶ fsync ─▶ release ══▶ gateway
 *                                            ╰─ load: snapshot and rows ─╯
 *
 * The plant is flooded first, to know what it can take; then it runs at half of that, on a fixed schedule, from 10,000 devices. Meanwhile entities that are known and passive each get one command, on a
 * schedule of their own: their state is loaded, the command decided on it, its event made durable, its answer sent. A wait counts from when the command was due to when the answer came, and the answer says how much
 * history the state has. The same is measured right behind it, while these entities are live: the difference is what passivation costs. A run counts when every entity was passive before and live after. Wants two
 * cores.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { MillraceError } from '#base/errors.js'
import { callControl } from '#processes/control-client.js'
import { dataPaths } from '#runtime/data-directory.js'
import { benchMain } from './harness/bench-main.js'
import { FleetPlant, WITHOUT_SEALING } from './harness/fleet-plant.js'
import { percentile } from './harness/samples.js'
import { SLEEPS_AFTER_MS } from './harness/sleeper-plant.js'
import { SLEEPERS, SLEEPERS_SOCKET, type WakeOrder } from './harness/sleepers.js'

export interface PassivationBenchOptions {
  readonly sensors: number
  readonly floodSeconds: number
  readonly sleepers: number
  readonly wakesPerSecond: number
  /** Commands that each sleeper has had before it is measured. */
  readonly turns: number
}

export const PASSIVATION_FULL: PassivationBenchOptions = { sensors: 10_000, floodSeconds: 5, sleepers: 2000, wakesPerSecond: 200, turns: 3 }
export const PASSIVATION_SMOKE: PassivationBenchOptions = { sensors: 200, floodSeconds: 0.2, sleepers: 30, wakesPerSecond: 200, turns: 1 }

interface Waits {
  readonly p50: number
  readonly p99: number
  readonly max: number
}

export interface PassivationBench {
  readonly bench: 'passivation'
  /** Of the first command to a passive entity, and of a second one while it is live, milliseconds. */
  readonly wakeMs: Waits
  readonly liveMs: Waits
  readonly wakes: number
  readonly passivateAfterMs: number
  /** What the plant does meanwhile, and what it can do. */
  readonly eventsPerSecond: number
  readonly fullEventsPerSecond: number
}

const ASLEEP_WITHIN_MS = 20_000
const ORDER_MS_MAX = 600_000

/** Throws ERR_BENCH_FAILED when an entity did not sleep, or did not answer. */
export async function measurePassivation(options: PassivationBenchOptions): Promise<PassivationBench> {
  const { sensors, floodSeconds, sleepers, wakesPerSecond, turns } = options
  const data = mkdtempSync(join(tmpdir(), 'millrace-bench-passivation-'))
  try {
    const plant = await FleetPlant.start(data, WITHOUT_SEALING, 'harness/sleeper-plant')
    try {
      await plant.run({ sensors, seconds: floodSeconds / 2, perSecond: null })
      const flood = await plant.run({ sensors, seconds: floodSeconds, perSecond: null })
      for (let turn = 1; turn <= turns; turn++) await wake(data, { sleepers, turn, perSecond: sleepers * 2 })
      await asleep(plant, sleepers)

      const seconds = sleepers / wakesPerSecond
      const half = plant.run({ sensors, seconds: seconds * 2 + 2, perSecond: Math.max(1, Math.round(flood.eventsPerSecond / 2)) })
      await delay(500)
      const before = await plant.workerCounts()
      const woken = await wake(data, { sleepers, turn: turns + 1, perSecond: wakesPerSecond })
      const { activations } = await plant.workerCounts()
      const [live, paced] = [await liveAgain(data, options), await half]
      if (activations - before.activations < sleepers) {
        const values = { sleepers, activations: activations - before.activations }
        throw new MillraceError('ERR_BENCH_FAILED', { fact: 'not every entity was passive', action: 'operator', values })
      }
      return {
        bench: 'passivation',
        wakeMs: waitsOf(woken),
        liveMs: waitsOf(live),
        wakes: woken.length,
        passivateAfterMs: SLEEPS_AFTER_MS,
        eventsPerSecond: paced.eventsPerSecond,
        fullEventsPerSecond: flood.eventsPerSecond,
      }
    } finally {
      await plant.close()
    }
  } finally {
    rmSync(data, { recursive: true, force: true })
  }
}

/** A report for people. */
export function describePassivation({ wakeMs, liveMs, wakes, eventsPerSecond, fullEventsPerSecond }: PassivationBench): string {
  const line = ({ p50, p99, max }: Waits) => `p50 ${p50} ms, p99 ${p99} ms, max ${max} ms`
  return [
    `${wakes.toLocaleString('en')} passive entities answered after ${line(wakeMs)}`,
    `the same while they were live: ${line(liveMs)}`,
    `meanwhile ${eventsPerSecond.toLocaleString('en')} events/s of the ${fullEventsPerSecond.toLocaleString('en')} that the plant can take`,
  ].join('\n')
}

function wake(data: string, order: WakeOrder): Promise<number[]> {
  return callControl(join(dataPaths(data).ingest, SLEEPERS, SLEEPERS_SOCKET), 'wake', order, ORDER_MS_MAX) as Promise<number[]>
}

/** Two commands to each of some, the second one right behind the first: only the second one counts. */
async function liveAgain(data: string, { sleepers, turns, wakesPerSecond }: PassivationBenchOptions): Promise<number[]> {
  const some = Math.max(1, Math.min(sleepers, Math.floor(wakesPerSecond / 10)))
  const live: number[] = []
  for (let turn = turns + 2; live.length < sleepers / 2; turn++) {
    const waits = await wake(data, { sleepers: some, turn, perSecond: wakesPerSecond })
    if (turn > turns + 2) live.push(...waits)
  }
  return live
}

async function asleep(plant: FleetPlant, sleepers: number): Promise<void> {
  const endMs = performance.now() + ASLEEP_WITHIN_MS
  while ((await plant.workerCounts()).passivations < sleepers) {
    if (performance.now() > endMs) throw new MillraceError('ERR_BENCH_FAILED', { fact: 'entities do not leave memory', action: 'operator' })
    await delay(20)
  }
}

function waitsOf(waits: readonly number[]): Waits {
  const all = Float64Array.from(waits)
  const at = (share: number) => Math.round(percentile(all, share) * 100) / 100
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

benchMain(import.meta.url, {
  name: 'passivation',
  full: PASSIVATION_FULL,
  smoke: PASSIVATION_SMOKE,
  measure: measurePassivation,
  describe: describePassivation,
})
