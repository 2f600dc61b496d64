import { unreachable } from '#base/assert.js'

/** What a load knows of an entity whose state it is to rebuild, and of the log that it rebuilds it from. */
export interface LoadFacts {
  /**
   * The snapshot of the entity that came, if one did. `mismatch`: made by other code. `damaged`: it is not what was written. One that the journal itself finds
   * damaged does not come: it gives the one before it.
   */
  readonly snapshot: 'none' | 'readable' | 'mismatch' | 'damaged'
  /** All rows were asked for: a snapshot that comes all the same is a base, and the rows before it are gone for good. */
  readonly isWhole: boolean
  /** What was asked for is what can be read: damage is passed over. */
  readonly isLenient: boolean
  /** Each row of the entity came that its snapshot does not cover, up to its head. */
  readonly rows: 'complete' | 'missing'
  /** `damaged`: a part of the log cannot be read. `failed`: something else went wrong. */
  readonly journal: 'reads' | 'damaged' | 'failed'
}

/**
 * `go-on`: use it. `rows-alone`: fold the rows as if there were no snapshot. `older-snapshot`: load the entity on its own, from the snapshot before this one, or from its first row where there is none. `all-rows`: ask for
 * all rows, and no snapshots but bases. `pass-over-damage`: ask again, for what can be read. `fence`: the entity takes no commands, all others run.
 * `end-worker`: the process says why and ends.
 */
export type LoadAction = 'go-on' | 'rows-alone' | 'older-snapshot' | 'all-rows' | 'pass-over-damage' | 'fence' | 'end-worker'

/** The first row whose conditions all hold decides, as in the table for processes (recovery/decision.ts). */
export interface LoadRow {
  readonly when: { readonly [Fact in keyof LoadFacts]?: LoadFacts[Fact] }
  readonly action: LoadAction
  readonly because: string
}

export const LOAD_DECISIONS: readonly LoadRow[] = [
  { when: { journal: 'failed' }, action: 'end-worker', because: 'nobody knows what the log has' },
  {
    when: { journal: 'damaged', isLenient: false },
    action: 'pass-over-damage',
    because: 'one damaged block must not keep every entity of a worker from running',
  },
  { when: { journal: 'damaged' }, action: 'end-worker', because: 'what everything else is found by is damaged itself' },
  {
    when: { snapshot: 'damaged', isWhole: true },
    action: 'rows-alone',
    because: 'all rows that there are come as well, and an entity that lacks some is fenced for that',
  },
  { when: { snapshot: 'damaged' }, action: 'older-snapshot', because: 'the one before it, and at last the rows, say the same' },
  {
    when: { snapshot: 'mismatch', isWhole: true },
    action: 'end-worker',
    because: 'every entity of the type is as it is, and code can mend that: upcastState',
  },
  { when: { snapshot: 'mismatch' }, action: 'all-rows', because: 'the code has changed, so that all snapshots of the type are of no use' },
  {
    when: { rows: 'missing', isLenient: false },
    action: 'pass-over-damage',
    because: 'a log that lost a key in silence is damaged too',
  },
  { when: { rows: 'missing' }, action: 'fence', because: 'its state would be one that it never had; the others lack nothing' },
  { when: {}, action: 'go-on', because: 'it is all there' },
]

/** The row that decides. Total: every combination of facts has one. */
export function loadDecisionRow(facts: LoadFacts): LoadRow {
  for (const row of LOAD_DECISIONS) if (holds(row, facts)) return row
  return unreachable(facts as never, 'every combination of facts has a row')
}

export function decideLoad(facts: LoadFacts): LoadAction {
  return loadDecisionRow(facts).action
}

function holds(row: LoadRow, facts: LoadFacts): boolean {
  for (const name in row.when) {
    const fact = name as keyof LoadFacts
    if (row.when[fact] !== facts[fact]) return false
  }
  return true
}
