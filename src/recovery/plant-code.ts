import type { ProcessTable } from '#processes/process-table.js'
import type { Supervision } from '#processes/supervision.js'
import type { UpgradeStep } from './code-upgrade.js'

/** Plain JSON. */
export interface CodeStatus {
  /** Of the code that new processes run; those of an upgrade that is under way say theirs themselves. */
  readonly version: string
  readonly plantFile: string
  /** Null: none is under way. `changed`: of the seats, those that have changed. */
  readonly upgrade: { readonly to: string; readonly seats: number; readonly changed: number } | null
}

/** The code of a plant in the hands of its supervisor. */
export interface PlantCode {
  readonly status: CodeStatus
  /** Once, before anything is started. */
  bind(supervision: Supervision, table: ProcessTable): void
  /** Throws, and changes nothing, what an upgrade is refused for. */
  upgrade(args: unknown): AsyncIterable<UpgradeStep>
}
