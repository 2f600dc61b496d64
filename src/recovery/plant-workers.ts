import type { ProcessTable } from '#processes/process-table.js'
import type { Supervision } from '#processes/supervision.js'
import type { CountStep } from './worker-count.js'

/** Plain JSON. */
export interface WorkersStatus {
  readonly count: number
  /** So many there can be while the plant runs. */
  readonly max: number
  /** Null: none is under way. `moved`: of the shards that are to move. */
  readonly change: { readonly to: number; readonly moves: number; readonly moved: number } | null
}

/** The workers of a plant in the hands of its supervisor. */
export interface PlantWorkers {
  readonly status: WorkersStatus
  /** Once, before anything is started. */
  bind(supervision: Supervision, table: ProcessTable): void
  /** Throws, and changes nothing, what a change is refused for. */
  change(args: unknown): AsyncIterable<CountStep>
}
