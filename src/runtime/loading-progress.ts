import { processRows } from './process-rows.js'

/** How far a worker is with the entities of its seat. */
export interface LoadingProgress {
  readonly worker: number
  /** That the log has, as far as the worker has been told. */
  readonly known: number
  /** That can take commands. */
  readonly recovered: number
}

/** The workers of a running plant that are loading entities. */
export function loadingProgress(runtimeDirectory: string): readonly LoadingProgress[] {
  return processRows(runtimeDirectory).flatMap(({ role, slot, counters: { knownEntities = 0, loadingEntities = 0 } }) =>
    role !== 'worker' || slot === undefined || loadingEntities === 0
      ? []
      : [{ worker: slot, known: knownEntities, recovered: knownEntities - loadingEntities }],
  )
}
