import type { Slot } from './slot.js'

/** `everyMax`: rows after which one is taken where the type does not say earlier. */
export function isSnapshotDue(slot: Slot, everyMax: number): boolean {
  const every = Math.min(everyMax, slot.model.snapshotEvery)
  const rows = slot.version - slot.snapshotVersion
  return rows * 2 > every && rows >= rowsToSnapshot(slot, every) && slot.version > slot.snapshotTriedVersion
}

/**
 * How many rows an entity gets before its next snapshot. The first one comes up to half of them early, each entity's at another version: those of devices that
 * report in turns would all be due within one round, and would hold the commands up behind them.
 */
function rowsToSnapshot({ snapshotVersion, hash }: Slot, every: number): number {
  return snapshotVersion > 0 ? every : every - (hash % (Math.floor(every / 2) + 1))
}
