import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { failureKindOf, needsOperator } from '#processes/failure-kind.js'
import type { SeatAction, SeatFacts } from '#processes/process-facts.js'
import { DECISIONS, type DecisionRow, decide, decisionRow } from '#recovery/decision.js'

const VALUES: { readonly [Fact in keyof SeatFacts]: readonly SeatFacts[Fact][] } = {
  role: ['journal', 'worker', 'gateway'],
  process: ['alive', 'unknown', 'exited'],
  pulse: ['fresh', 'stale'],
  turn: ['fresh', 'long', 'named', 'stale'],
  isTermNewest: [true, false],
  isSupervisorPaused: [true, false],
  isStopping: [true, false],
  spare: ['standby', 'loading', 'none'],
  isJournalUp: [true, false],
  haveWorkersBeenUp: [true, false],
  seatBackOff: ['over', 'active'],
  startBackOff: ['over', 'active'],
  failures: ['few', 'many'],
  lastFailure: ['none', 'schema', 'log', 'room', 'port', 'operator', 'other'],
  hasRoom: [true, false],
  isCommandFatal: [true, false],
}

const ACTIONS: readonly SeatAction[] = [
  'none',
  'kill',
  'wait',
  'take-spare',
  'start-new',
  'name-turn',
  'park-command',
  'report-failing',
  'ask-operator',
]

/** A test with real processes: its file beside this folder, and its title. */
type Shown = readonly [file: string, title: string]

const NOTICED_BY_PULSE: Shown = ['processes/supervision-hangs', 'stopped by SIGSTOP is noticed by its pulse, killed, reaped and replaced']
const LEFT_ALONE: Shown = ['processes/supervision-hangs', 'in a long turn within its limit is left alone, and its command named once']
const IN_ORDER: Shown = ['processes/supervision', 'fills its seats journal first, then workers, then gateways, and then its spares']
const BY_SPARE: Shown = ['processes/supervision', 'is replaced by the spare under a higher term, and a new spare follows']
const BACKED_OFF: Shown = [
  'processes/supervision',
  'at once in its seat is tried later and later, said to fail, and seated when it is mended',
]
const BEHIND_JOURNAL: Shown = ['processes/supervision-failures', 'waits for it, and is seated behind it']
const FOR_A_PERSON: Shown = ['processes/supervision-failures', 'say so at once, each of them what, and are tried again rarely']
const PARKED: Shown = ['processes/supervision-failures', 'is parked before the next one is seated']

/** Each fact that changes what is done, and each thing that is done. */
const SHOWN: { readonly [Name in keyof SeatFacts | SeatAction]: Shown } = {
  role: IN_ORDER,
  process: NOTICED_BY_PULSE,
  pulse: NOTICED_BY_PULSE,
  turn: ['processes/supervision-hangs', 'in an endless turn is noticed by its event loop, though its pulse goes on'],
  isTermNewest: ['processes/supervision-hangs', 'is killed, and replaced under a newer one'],
  isSupervisorPaused: ['recovery/plant-supervisor', 'forgives a process that was paused together with it, as when the whole machine is'],
  isStopping: ['processes/supervision-stop', 'replaces nobody who dies meanwhile'],
  spare: BY_SPARE,
  isJournalUp: BEHIND_JOURNAL,
  haveWorkersBeenUp: IN_ORDER,
  seatBackOff: BACKED_OFF,
  startBackOff: ['processes/supervision', 'while it loads holds up neither the journal nor other roles'],
  failures: BACKED_OFF,
  lastFailure: FOR_A_PERSON,
  hasRoom: ['processes/supervision-failures', 'is waited for until there is some, and taken then without anybody’s help'],
  isCommandFatal: PARKED,
  none: LEFT_ALONE,
  kill: NOTICED_BY_PULSE,
  wait: BEHIND_JOURNAL,
  'take-spare': BY_SPARE,
  'start-new': ['processes/supervision', 'is replaced by a new process: %s'],
  'name-turn': LEFT_ALONE,
  'park-command': PARKED,
  'report-failing': BACKED_OFF,
  'ask-operator': FOR_A_PERSON,
}

interface Invariant {
  readonly claim: string
  readonly given: (facts: SeatFacts) => boolean
  readonly allowed: readonly SeatAction[]
}

const except = (...not: readonly SeatAction[]): readonly SeatAction[] => ACTIONS.filter((action) => !not.includes(action))

/** What must hold whatever the table looks like, each as: in such a situation, only these actions, or never those. */
const INVARIANTS: readonly Invariant[] = [
  {
    claim: 'nobody is seated or started beside a holder that is not known to be gone',
    given: (f) => f.process !== 'exited',
    allowed: ['none', 'wait', 'kill', 'name-turn'],
  },
  { claim: 'a process that was killed already is only waited for', given: (f) => f.process === 'unknown', allowed: ['wait'] },
  {
    claim: 'a paused supervisor kills and names nobody for what it did not see',
    given: (f) => f.isSupervisorPaused && f.isTermNewest,
    allowed: except('kill', 'name-turn'),
  },
  { claim: 'a plant that stops starts and kills nobody', given: (f) => f.isStopping, allowed: ['none', 'wait'] },
  {
    claim: 'a process that pulses and turns under the newest term is left alone',
    given: (f) => f.process === 'alive' && f.pulse === 'fresh' && f.turn === 'fresh' && f.isTermNewest,
    allowed: ['none'],
  },
  {
    claim: 'a holder under an older term is killed, whatever else it does',
    given: (f) => f.process === 'alive' && !f.isTermNewest && !f.isStopping,
    allowed: ['kill'],
  },
  { claim: 'an empty seat has nobody to kill or to name', given: (f) => f.process === 'exited', allowed: except('kill', 'name-turn') },
  {
    claim: 'a hung process that was watched is killed',
    given: (f) => isHung(f) && !f.isSupervisorPaused && !f.isStopping,
    allowed: ['kill'],
  },
  {
    claim: 'a long turn within its limit kills nobody that is scheduled',
    given: (f) => (f.turn === 'long' || f.turn === 'named') && f.pulse === 'fresh' && f.isTermNewest,
    allowed: except('kill'),
  },
  {
    claim: 'a long turn that was watched is told of',
    given: (f) => f.process === 'alive' && f.turn === 'long' && isWatched(f),
    allowed: ['name-turn'],
  },
  { claim: 'only a turn that is long and new is told of', given: (f) => f.turn !== 'long', allowed: except('name-turn') },
  { claim: 'only a loaded spare is seated', given: (f) => f.spare !== 'standby', allowed: except('take-spare') },
  {
    claim: 'no second process is started while one is there to take the seat',
    given: (f) => f.spare !== 'none',
    allowed: except('start-new'),
  },
  {
    claim: 'nothing is tried on a seat within its back-off',
    given: (f) => f.process === 'exited' && f.seatBackOff === 'active',
    allowed: ['none', 'wait', 'park-command', 'report-failing', 'ask-operator'],
  },
  {
    claim: 'nothing is started within the back-off of starting',
    given: (f) => f.startBackOff === 'active',
    allowed: except('start-new'),
  },
  { claim: 'a seat is called failing only when it failed often', given: (f) => f.failures === 'few', allowed: except('report-failing') },
  {
    claim: 'nobody is asked about what another start may mend',
    given: (f) => f.lastFailure === 'none' || f.lastFailure === 'other',
    allowed: except('ask-operator'),
  },
  {
    claim: 'a seat whose last holder needs a person asks for one while it waits',
    given: (f) => isVacant(f) && !mustPark(f) && f.seatBackOff === 'active' && f.lastFailure !== 'room' && isHopeless(f),
    allowed: ['ask-operator'],
  },
  {
    claim: 'a seat whose last holder found no room waits until there is some, and says so',
    given: (f) => isVacant(f) && !mustPark(f) && f.lastFailure === 'room' && !f.hasRoom,
    allowed: ['ask-operator'],
  },
  {
    claim: 'want of room holds up nobody whose last process did not fail for it',
    given: (f) => f.lastFailure === 'none' && !f.hasRoom,
    allowed: except('ask-operator'),
  },
  {
    claim: 'no worker is seated or started before the command that ends it is parked',
    given: (f) => isVacant(f) && mustPark(f),
    allowed: ['park-command'],
  },
  { claim: 'only a command that ends workers is parked', given: (f) => !mustPark(f), allowed: except('park-command') },
  {
    claim: 'no worker is seated without a journal to load from',
    given: (f) => f.role === 'worker' && !f.isJournalUp,
    allowed: except('take-spare'),
  },
  {
    claim: 'no gateway opens its doors before the workers were there',
    given: (f) => f.role === 'gateway' && !f.haveWorkersBeenUp,
    allowed: except('take-spare'),
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
    claim: 'a free seat without anybody gets a process however often it failed, and over whatever',
    given: (f) => isFree(f) && f.spare === 'none',
    allowed: ['start-new'],
  },
  {
    claim: 'a seat that failed often and waits for its back-off is said to fail',
    given: (f) => isVacant(f) && !mustPark(f) && f.seatBackOff === 'active' && f.failures === 'many',
    allowed: ['report-failing', 'ask-operator'],
  },
  {
    claim: 'a role whose processes often did not even load is said to fail',
    given: (f) => isVacant(f) && !mustPark(f) && f.startBackOff === 'active' && f.spare === 'none' && f.failures === 'many',
    allowed: ['report-failing', 'ask-operator'],
  },
]

describe('the decision table over every combination of facts', () => {
  const reached = new Set<DecisionRow>()
  const concerned = new Map<Invariant, number>()
  const violations = new Map<Invariant, SeatFacts>()
  let count = 0
  let stuck: SeatFacts | undefined

  beforeAll(() => {
    forEveryCombination((facts) => {
      count++
      const row = decisionRow(facts)
      reached.add(row)
      for (const invariant of INVARIANTS) {
        if (!invariant.given(facts)) continue
        concerned.set(invariant, (concerned.get(invariant) ?? 0) + 1)
        if (!invariant.allowed.includes(row.action) && !violations.has(invariant)) violations.set(invariant, { ...facts })
      }
      if (stuck === undefined && isVacant(facts) && !isWayBack(facts)) stuck = { ...facts }
    })
  }, 60_000)

  test('has a row for each', () => {
    expect(count).toBe(Object.values(VALUES).reduce((product, values) => product * values.length, 1))
    expect(count).toBeGreaterThan(1_000_000)
  })

  test('needs each of its rows', () => {
    expect(DECISIONS.filter((row) => !reached.has(row))).toEqual([])
  })

  test.each(INVARIANTS)('$claim', (invariant) => {
    expect(concerned.get(invariant)).toBeGreaterThan(0)
    expect(violations.get(invariant)).toBeUndefined()
  })

  test.each(Object.entries(SHOWN))('shows %s with real processes', (_, [file, title]) => {
    expect(readFileSync(new URL(`../${file}.test.ts`, import.meta.url), 'utf8')).toContain(`('${title}'`)
  })

  test('never loses a seat for good: from every state that is neither stopping nor well, good news lead back to a holder', () => {
    expect(stuck).toBeUndefined()
  })
})

describe('the error over which a process ends', () => {
  test.each([
    ['ERR_SCHEMA_CHANGED', 'operator', 'schema', true],
    ['ERR_BLOCK_DAMAGED', 'operator', 'log', true],
    ['ERR_DISK_FULL', 'retry', 'room', false],
    ['ERR_HTTP_LISTEN', 'operator', 'port', true],
    ['ERR_PLANT_MODULE', 'operator', 'operator', true],
    ['ERR_JOURNAL_DISK', 'restart', 'other', false],
  ] as const)('%s is of the kind that its cure has', (code, action, kind, isForPerson) => {
    expect(failureKindOf({ code, action })).toBe(kind)
    expect(needsOperator(kind)).toBe(isForPerson)
  })

  test('is nothing that a person must mend when it said nothing', () => {
    expect(failureKindOf(undefined)).toBe('other')
  })
})

function isHung(facts: SeatFacts): boolean {
  return facts.process === 'alive' && (facts.pulse === 'stale' || facts.turn === 'stale')
}

function isWatched(facts: SeatFacts): boolean {
  return !facts.isSupervisorPaused && !facts.isStopping && facts.isTermNewest && facts.pulse === 'fresh'
}

function isVacant(facts: SeatFacts): boolean {
  return facts.process === 'exited' && !facts.isStopping
}

function mustPark(facts: SeatFacts): boolean {
  return facts.role === 'worker' && facts.isCommandFatal
}

function isHopeless(facts: SeatFacts): boolean {
  return facts.lastFailure !== 'none' && needsOperator(facts.lastFailure)
}

function isFree(facts: SeatFacts): boolean {
  const isRoomy = facts.lastFailure !== 'room' || facts.hasRoom
  return isVacant(facts) && !mustPark(facts) && isRoomy && facts.seatBackOff === 'over' && facts.startBackOff === 'over'
}

/** What the world may turn to by itself, or by somebody who was asked: then the seat is taken. */
function isWayBack(facts: SeatFacts): boolean {
  const news = {
    ...facts,
    isSupervisorPaused: false,
    isJournalUp: true,
    haveWorkersBeenUp: true,
    seatBackOff: 'over',
    startBackOff: 'over',
    hasRoom: true,
    isCommandFatal: false,
  } as const
  return decide({ ...news, spare: 'standby' }) === 'take-spare' && decide({ ...news, spare: 'none' }) === 'start-new'
}

/** One object for all of them: there are more than a million. */
function forEveryCombination(each: (facts: SeatFacts) => void): void {
  const names = Object.keys(VALUES) as (keyof SeatFacts)[]
  const facts: Record<string, unknown> = {}
  const fill = (index: number): void => {
    const name = names[index]
    if (name === undefined) {
      each(facts as unknown as SeatFacts)
      return
    }
    for (const value of VALUES[name]) {
      facts[name] = value
      fill(index + 1)
    }
  }
  fill(0)
}
