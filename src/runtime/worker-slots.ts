import { seatsMax } from '#processes/process-table.js'
import type { Config } from './config-schema.js'

/** What `millrace workers --count` was the last to change on a data directory. Plain JSON. */
export interface KeptWorkers {
  readonly count: number
  /** What the configuration said at that time. */
  readonly configured: number
}

/** How many workers a plant can have while it runs: so many have channels and bells. */
export function workerSlots({ count, max }: Config['workers']): number {
  return max ?? Math.max(count, Math.min(count + 1, seatsMax('worker')))
}

/**
 * The configuration with as many workers as the plant was changed to while it ran. What was said last holds: a configuration that has another count by now than it had then
 * is newer. Never more than `workers.max` allows.
 */
export function withKeptWorkers(config: Config, kept: KeptWorkers | undefined): Config {
  const { workers } = config
  if (kept === undefined || kept.configured !== workers.count) return config
  const count = workers.max === null ? kept.count : Math.min(kept.count, workers.max)
  return { ...config, workers: { ...workers, count } }
}
