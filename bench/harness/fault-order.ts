import type { FaultRole } from './fault-ledger.js'

/** When the process kills itself: at its `steps`-th store, or at the `hit`-th time that it is at the site. */
export type Fate = { readonly steps: number } | { readonly site: number; readonly hit: number }

export type FaultSabotage = 'lose' | 'tear' | 'duplicate'

/** One line of JSON. */
export interface FaultOrder {
  readonly directory: string
  readonly name: string
  readonly role: FaultRole
  readonly incarnation: number
  readonly ledger: string
  readonly capacityBytes: number
  readonly strategy: 'spin' | 'adaptive' | 'park'
  readonly checksums: boolean
  /** Of the frames. */
  readonly seed: number
  readonly fate: Fate | null
  /** After a while it closes its end in order. */
  readonly isClosing: boolean
  /** What the producer makes wrong, once. */
  readonly sabotage: FaultSabotage | null
}
