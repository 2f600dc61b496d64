import { join } from 'node:path'
import { isMillraceError } from '#base/errors.js'
import { ProcessTable } from '#processes/process-table.js'
import { PROCESS_TABLE_NAME } from '#recovery/plant-supervisor.js'
import { Mapping } from '#shm/index.js'

/** What a running plant counts, by process, from its memory: nobody is asked. None where there is no such memory any more. */
export function processRows(runtimeDirectory: string): ReturnType<ProcessTable['snapshot']> {
  let mapping: Mapping
  try {
    mapping = Mapping.open(join(runtimeDirectory, PROCESS_TABLE_NAME), { access: 'read' })
  } catch (error) {
    if (isMillraceError(error, 'ERR_SHM_MISSING')) return []
    throw error
  }
  try {
    return ProcessTable.open(mapping.buffer).snapshot()
  } finally {
    mapping.close()
  }
}
