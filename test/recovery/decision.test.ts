import { describe, expect, test } from 'vitest'
import type { SeatAction, SeatFacts } from '#processes/process-facts.js'
import { DECISIONS, decide, decisionRow } from '#recovery/decision.js'

const VALUES: { readonly [Fact in keyof SeatFacts]: readonly SeatFacts[Fact][] } = {
  role: ['journal', 'worker', 'gateway'],
  process: ['alive', 'unknown', 'exited'],
  pulse: ['fresh', 'stale'],
  turn: ['fresh', 'stale'],
  isSupervisorPaused: [true, false],
  isStopping: [true, false],
  spare: ['standby', 'loading', 'none'],
  isJournalUp: [true, false],
  haveWorkersBeenUp: [true, false],
  seatBackOff: ['over', 'active'],
  startBackOff: ['over', 'active'],
  failures: ['few', 'many'],
}

const EVERY_COMBINATION: readonly SeatFacts[] = combinations()

/** What must hold whatever the table looks like, each as: in such a situation, only these actions, or never those. */
const INVARIANTS: readonly {
  readonly claim: string
  readonly given: (facts: SeatFacts) => boolean
  readonly allowed: readonly SeatAction[]
}[] = [
  {
    claim: 'nobody is seated or started beside a holder that is not known to be gone',
    given: (f) => f.process !== 'exited',
    allowed: ['none', 'wait', 'kill'],
  },
  { claim: 'a process that was killed already is only waited for', given: (f) => f.process === 'unknown', allowed: ['wait'] },
  {
    claim: 'a paused supervisor kills nobody',
    given: (f) => f.isSupervisorPaused,
    allowed: ['none', 'wait', 'take-spare', 'start-new', 'report-failing'],
  },
  { claim: 'a plant that stops starts and kills nobody', given: (f) => f.isStopping, allowed: ['none', 'wait'] },
  {
    claim: 'a process that pulses and turns is left alone',
    given: (f) => f.process === 'alive' && f.pulse === 'fresh' && f.turn === 'fresh',
    allowed: ['none'],
  },
  {
    claim: 'an empty seat has nobody to kill',
    given: (f) => f.process === 'exited',
    allowed: ['none', 'wait', 'take-spare', 'start-new', 'report-failing'],
  },
  {
    claim: 'a hung process that was watched is killed',
    given: (f) => isHung(f) && !f.isSupervisorPaused && !f.isStopping,
    allowed: ['kill'],
  },
  {
    claim: 'only a loaded spare is seated',
    given: (f) => f.spare !== 'standby',
    allowed: ['none', 'wait', 'kill', 'start-new', 'report-failing'],
  },
  {
    claim: 'no second process is started while one is there to take the seat',
    given: (f) => f.spare !== 'none',
    allowed: ['none', 'wait', 'kill', 'take-spare', 'report-failing'],
  },
  {
    claim: 'nothing is tried on a seat within its back-off',
    given: (f) => f.process === 'exited' && f.seatBackOff === 'active',
    allowed: ['none', 'wait', 'report-failing'],
  },
  {
    claim: 'nothing is started within the back-off of starting',
    given: (f) => f.startBackOff === 'active',
    allowed: ['none', 'wait', 'kill', 'take-spare', 'report-failing'],
  },
  {
    claim: 'a seat is called failing only when it failed often',
    given: (f) => f.failures === 'few',
    allowed: ['none', 'wait', 'kill', 'take-spare', 'start-new'],
  },
  {
    claim: 'no worker is seated without a journal to load from',
    given: (f) => f.role === 'worker' && !f.isJournalUp,
    allowed: ['none', 'wait', 'kill', 'start-new', 'report-failing'],
  },
  {
    claim: 'no gateway opens its doors before the workers were there',
    given: (f) => f.role === 'gateway' && !f.haveWorkersBeenUp,
    allowed: ['none', 'wait', 'kill', 'start-new', 'report-failing'],
  },
  {
    claim: 'a journal waits for no other process',
    given: (f) => f.role === 'journal' && isFree(f) && f.spare === 'standby',
    allowed: ['take-spare'],
  },
  {
    claim: 'a gateway is replaced while a worker or the journal is missing',
    given: (f) => f.role === 'gateway' && isFree(f) && f.spare === 'standby' && f.haveWorkersBeenUp,
    allowed: ['take-spare'],
  },
  {
    claim: 'a free seat without anybody gets a process however often it failed',
    given: (f) => isFree(f) && f.spare === 'none',
    allowed: ['start-new'],
  },
  {
    claim: 'a seat that failed often and waits for its back-off is said to fail',
    given: (f) => f.process === 'exited' && !f.isStopping && f.seatBackOff === 'active' && f.failures === 'many',
    allowed: ['report-failing'],
  },
  {
    claim: 'a role whose processes often did not even load is said to fail',
    given: (f) => f.process === 'exited' && !f.isStopping && f.startBackOff === 'active' && f.spare === 'none' && f.failures === 'many',
    allowed: ['report-failing'],
  },
]

describe('the decision table over every combination of facts', () => {
  test('has a row for each', () => {
    expect(EVERY_COMBINATION.length).toBe(3 * 3 * 2 * 2 * 2 * 2 * 3 * 2 * 2 * 2 * 2 * 2)
    for (const facts of EVERY_COMBINATION) expect(DECISIONS).toContain(decisionRow(facts))
  })

  test('needs each of its rows', () => {
    const reached = new Set(EVERY_COMBINATION.map(decisionRow))

    expect(DECISIONS.filter((row) => !reached.has(row))).toEqual([])
  })

  test.each(INVARIANTS)('$claim', ({ given, allowed }) => {
    const concerned = EVERY_COMBINATION.filter(given)

    const violations = concerned.filter((facts) => !allowed.includes(decide(facts)))

    expect(concerned.length).toBeGreaterThan(0)
    expect(violations).toEqual([])
  })

  test('never loses a seat for good: from every state that is neither stopping nor well, good news lead back to a holder', () => {
    const goodNews = {
      isSupervisorPaused: false,
      isJournalUp: true,
      haveWorkersBeenUp: true,
      seatBackOff: 'over',
      startBackOff: 'over',
    } as const

    const stuck = EVERY_COMBINATION.filter((facts) => facts.process === 'exited' && !facts.isStopping).filter(
      (facts) =>
        decide({ ...facts, ...goodNews, spare: 'standby' }) !== 'take-spare' ||
        decide({ ...facts, ...goodNews, spare: 'none' }) !== 'start-new',
    )

    expect(stuck).toEqual([])
  })
})

function isHung(facts: SeatFacts): boolean {
  return facts.process === 'alive' && (facts.pulse === 'stale' || facts.turn === 'stale')
}

function isFree(facts: SeatFacts): boolean {
  return facts.process === 'exited' && !facts.isStopping && facts.seatBackOff === 'over' && facts.startBackOff === 'over'
}

function combinations(): SeatFacts[] {
  let rows: Partial<SeatFacts>[] = [{}]
  for (const [fact, values] of Object.entries(VALUES)) rows = rows.flatMap((row) => values.map((value) => ({ ...row, [fact]: value })))
  return rows as SeatFacts[]
}
