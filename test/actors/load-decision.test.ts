import { describe, expect, test } from 'vitest'
import { decideLoad, LOAD_DECISIONS, type LoadAction, type LoadFacts, loadDecisionRow } from '#actors/load-decision.js'

const EVERY_COMBINATION: readonly LoadFacts[] = (['none', 'readable', 'mismatch', 'damaged'] as const).flatMap((snapshot) =>
  [true, false].flatMap((isWhole) =>
    [true, false].flatMap((isLenient) =>
      (['complete', 'missing'] as const).flatMap((rows) =>
        (['reads', 'damaged', 'failed'] as const).map((journal) => ({ snapshot, isWhole, isLenient, rows, journal })),
      ),
    ),
  ),
)

const INVARIANTS: readonly {
  readonly claim: string
  readonly given: (facts: LoadFacts, action: LoadAction) => boolean
  readonly holds: (facts: LoadFacts, action: LoadAction) => boolean
}[] = [
  {
    claim: 'a state is used only when all that it is folded from was read',
    given: (_, action) => action === 'go-on',
    holds: (f) => f.journal === 'reads' && f.rows === 'complete' && (f.snapshot === 'readable' || f.snapshot === 'none'),
  },
  {
    claim: 'whatever is all there is used',
    given: (f) => f.journal === 'reads' && f.rows === 'complete' && (f.snapshot === 'readable' || f.snapshot === 'none'),
    holds: (_, action) => action === 'go-on',
  },
  {
    claim: 'damage to the log or to a snapshot does not end a worker that has not tried without it',
    given: (f) => f.journal !== 'failed' && !f.isLenient && !(f.snapshot === 'mismatch' && f.isWhole && f.journal === 'reads'),
    holds: (_, action) => action !== 'end-worker',
  },
  {
    claim: 'only an entity of which something is gone for good is fenced',
    given: (_, action) => action === 'fence',
    holds: (f) => f.journal === 'reads' && f.rows === 'missing' && f.isLenient,
  },
  {
    claim: 'a snapshot is passed over without another load only when all rows come beside it',
    given: (_, action) => action === 'rows-alone',
    holds: (f) => f.snapshot === 'damaged' && f.isWhole,
  },
  {
    claim: 'nothing is asked for that was asked for already: each load comes to an end',
    given: () => true,
    holds: (f, action) =>
      !(action === 'all-rows' && f.isWhole) &&
      !(action === 'pass-over-damage' && f.isLenient) &&
      !(action === 'older-snapshot' && f.isWhole),
  },
  {
    claim: 'a damaged snapshot that is no base is replaced by the one before it',
    given: (f) => f.journal === 'reads' && f.snapshot === 'damaged' && !f.isWhole,
    holds: (_, action) => action === 'older-snapshot',
  },
  {
    claim: 'code that changed is answered by all rows first, and by a person then',
    given: (f) => f.journal === 'reads' && f.snapshot === 'mismatch',
    holds: (f, action) => action === (f.isWhole ? 'end-worker' : 'all-rows'),
  },
]

describe('the table of what a load does, over every combination of facts', () => {
  test('has a row for each, and needs each of its rows', () => {
    const reached = new Set(EVERY_COMBINATION.map(loadDecisionRow))

    expect(EVERY_COMBINATION.length).toBe(4 * 2 * 2 * 2 * 3)
    expect(LOAD_DECISIONS.filter((row) => !reached.has(row))).toEqual([])
  })

  test.each(INVARIANTS)('$claim', ({ given, holds }) => {
    const concerned = EVERY_COMBINATION.filter((facts) => given(facts, decideLoad(facts)))

    expect(concerned.length).toBeGreaterThan(0)
    expect(concerned.filter((facts) => !holds(facts, decideLoad(facts)))).toEqual([])
  })
})
