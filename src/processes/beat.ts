import { Mapping, startPulse } from '#shm/index.js'
import type { ChildBirth } from './control-message.js'
import { type ProcessSlot, ProcessTable } from './process-table.js'

/** A process's own view of the plant's process table, once it beats there. */
export interface Beat {
  readonly mapping: Mapping
  readonly table: ProcessTable
  /** Its place; a duty cycle may count its turns there, too. */
  readonly place: ProcessSlot
  /** Stops counting turns; the pulse goes on to the end of the process. */
  stop(): void
}

/**
 * Starts the signs of life of a child: its pulse from a native thread and its turn from the event loop, both every `periodMs`, which must be well
 * below the supervisor's limits. Before `loaded` is sent: from then on the supervisor looks. Throws what shm throws without table or addon.
 */
export function startBeating(birth: ChildBirth, periodMs: number): Beat {
  return beatAt(Mapping.open(birth.tablePath ?? ''), birth.tableIndex, periodMs)
}

/** The same in a process that has the table mapped. */
export function beatAt(mapping: Mapping, index: number, periodMs: number): Beat {
  const table = ProcessTable.open(mapping.buffer)
  const place = table.process(index)
  startPulse(mapping, { offset: place.pulseOffset, periodMs })
  place.countTurn()
  const turns = setInterval(() => place.countTurn(), periodMs)
  turns.unref()
  return { mapping, table, place, stop: () => clearInterval(turns) }
}
