import type { Slot } from './slot.js'

/**
 * How many rows an entity gets before its next snapshot. The first one comes up to half of them early, each entity's at another version: those of devices that
 * report in turns would all be due within one round, and would hold the commands up behind them.
 */
export function rowsToSnapshot({ snapshotVersion, hash }: Slot, every: number): number {
  return snapshotVersion > 0 ? every : every - (hash % (Math.floor(every / 2) + 1))
}
