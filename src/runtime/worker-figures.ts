import { isMillraceError } from '#base/errors.js'
import type { ProcessStatus } from '#processes/supervision-event.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import { Placement } from '#shards/placement.js'
import { Mapping } from '#shm/index.js'
import { processRows } from './process-rows.js'
import { placementPath } from './role-process.js'

/** What one worker of a running plant has and has done. Plain JSON. */
export interface WorkerFigures {
  readonly worker: number
  readonly pid: number | null
  readonly state: ProcessStatus['state']
  /** Of its code; null: there is nobody at the moment. */
  readonly version: string | null
  readonly shards: number
  /** Of its shards, as far as it has been told of them. */
  readonly entities: number
  /** Done by all that have held the seat. */
  readonly commandsDone: number
}

/** By slot, read from the memory of the plant: no worker is asked. */
export function workerFigures({ processes, runtimeDirectory }: PlantStatus): readonly WorkerFigures[] {
  const shards = shardCounts(runtimeDirectory)
  const rows = processRows(runtimeDirectory)
  return processes.flatMap(({ role, slot, pid, state, version }) => {
    if (role !== 'worker' || slot === null) return []
    const counters = rows.find((row) => row.role === role && row.slot === slot)?.counters
    const { knownEntities = 0, commandsDone = 0 } = counters ?? {}
    return [{ worker: slot, pid, state, version, shards: shards.get(slot) ?? 0, entities: knownEntities, commandsDone }]
  })
}

/** None where there is no such memory any more. */
function shardCounts(runtimeDirectory: string): ReadonlyMap<number, number> {
  const counts = new Map<number, number>()
  let mapping: Mapping
  try {
    mapping = Mapping.open(placementPath(runtimeDirectory), { access: 'read' })
  } catch (error) {
    if (isMillraceError(error, 'ERR_SHM_MISSING')) return counts
    throw error
  }
  try {
    const placement = new Placement(mapping.buffer)
    for (let shard = 0; shard < placement.shardCount; shard++) {
      const slot = placement.slotOf(shard)
      counts.set(slot, (counts.get(slot) ?? 0) + 1)
    }
    return counts
  } finally {
    mapping.close()
  }
}
