import { join } from 'node:path'
import { isMillraceError } from '#base/errors.js'
import { ProcessTable } from '#processes/process-table.js'
import { PROCESS_TABLE_NAME } from '#recovery/plant-supervisor.js'
import { Mapping } from '#shm/index.js'

/** How far a worker is with the entities of its seat. */
export interface LoadingProgress {
  readonly worker: number
  /** That the log has, as far as the worker has been told. */
  readonly known: number
  /** That can take commands. */
  readonly recovered: number
}

/** The workers of a running plant that are loading entities, from its memory: nobody is asked. None where there is no such memory any more. */
export function loadingProgress(runtimeDirectory: string): readonly LoadingProgress[] {
  let mapping: Mapping
  try {
    mapping = Mapping.open(join(runtimeDirectory, PROCESS_TABLE_NAME), { access: 'read' })
  } catch (error) {
    if (isMillraceError(error, 'ERR_SHM_MISSING')) return []
    throw error
  }
  try {
    return ProcessTable.open(mapping.buffer)
      .snapshot()
      .flatMap(({ role, slot, counters: { knownEntities = 0, loadingEntities = 0 } }) =>
        role !== 'worker' || slot === undefined || loadingEntities === 0
          ? []
          : [{ worker: slot, known: knownEntities, recovered: knownEntities - loadingEntities }],
      )
  } finally {
    mapping.close()
  }
}
