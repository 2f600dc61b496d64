import { unreachable } from '#base/assert.js'
import type { SeatAction, SeatFacts } from '#processes/process-facts.js'

/**
 * What is to be done about a seat, and why. The first row whose conditions all hold decides; a fact that a row does not name may have any
 * value. The order is the argument: first what must never happen (a second holder beside the first, a kill on stale sight), then what is to
 * be mended, at last what it still has to wait for.
 */
export interface DecisionRow {
  /** Each fact has the value, or one of the values. */
  readonly when: { readonly [Fact in keyof SeatFacts]?: SeatFacts[Fact] | readonly SeatFacts[Fact][] }
  readonly action: SeatAction
  readonly because: string
}

export const DECISIONS: readonly DecisionRow[] = [
  { when: { process: 'unknown' }, action: 'wait', because: 'a killed process may still write until it was reaped' },
  { when: { process: 'exited', isStopping: true }, action: 'none', because: 'a plant that stops replaces nobody' },
  { when: { process: 'alive', isStopping: true }, action: 'none', because: 'stopping has a bound and a SIGKILL of its own' },
  {
    when: { process: 'alive', isTermNewest: false },
    action: 'kill',
    because: 'the others take it for one whose seat was given away since, and whatever it does under that term is in the way',
  },
  { when: { process: 'alive', isSupervisorPaused: true }, action: 'none', because: 'counters that were not watched prove nothing' },
  {
    when: { process: 'alive', pulse: 'stale' },
    action: 'kill',
    because: 'it is not scheduled, and could wake up later and act on old terms',
  },
  { when: { process: 'alive', turn: 'stale' }, action: 'kill', because: 'its event loop is stuck, nobody is served' },
  {
    when: { process: 'alive', turn: 'long' },
    action: 'name-turn',
    because: 'it is scheduled and may come back; whose code takes so long is for a person to know',
  },
  { when: { process: 'alive' }, action: 'none', because: 'it lives and turns, or its long turn is named and has time left' },
  {
    when: { role: 'worker', isCommandFatal: true },
    action: 'park-command',
    because: 'the next worker would end over the same command, and everything behind it waits',
  },
  {
    when: { lastFailure: 'room', hasRoom: false },
    action: 'ask-operator',
    because: 'the next process needs the room that the last one did not find',
  },
  {
    when: { seatBackOff: 'active', lastFailure: 'schema' },
    action: 'ask-operator',
    because: 'no process can make code fit what is stored',
  },
  {
    when: { seatBackOff: 'active', lastFailure: 'log' },
    action: 'ask-operator',
    because: 'a damaged log is repaired by a person, who decides what is given up',
  },
  { when: { seatBackOff: 'active', lastFailure: 'port' }, action: 'ask-operator', because: 'whoever else holds the address has to go' },
  {
    when: { seatBackOff: 'active', lastFailure: 'operator' },
    action: 'ask-operator',
    because: 'the process itself said that a person has to change something',
  },
  {
    when: { seatBackOff: 'active', failures: 'many' },
    action: 'report-failing',
    because: 'an operator should know; trying goes on, rarely',
  },
  { when: { seatBackOff: 'active' }, action: 'wait', because: 'what failed a moment ago would fail again, and take the machine with it' },
  {
    when: { spare: 'none', startBackOff: 'active', lastFailure: ['schema', 'log', 'port', 'operator'] },
    action: 'ask-operator',
    because: 'its processes end while they load, over something that a person has to change',
  },
  {
    when: { spare: 'none', startBackOff: 'active', failures: 'many' },
    action: 'report-failing',
    because: 'its processes do not even load',
  },
  { when: { spare: 'none', startBackOff: 'active' }, action: 'wait', because: 'what did not load a moment ago would not load now' },
  { when: { spare: 'none' }, action: 'start-new', because: 'there is nobody to seat' },
  { when: { spare: 'loading' }, action: 'wait', because: 'it will be in standby soon' },
  { when: { role: 'worker', isJournalUp: false }, action: 'wait', because: 'shards are loaded from the journal' },
  {
    when: { role: 'gateway', haveWorkersBeenUp: false },
    action: 'wait',
    because: 'nothing is taken in before there is somebody to take it',
  },
  { when: { spare: 'standby' }, action: 'take-spare', because: 'the seat is free and a loaded process waits' },
]

/** The conditions as pairs, so that a decision makes no garbage and the test of all of them takes no time. */
const CONDITIONS = DECISIONS.map(({ when }) =>
  Object.entries(when).map(([fact, value]) => ({
    fact: fact as keyof SeatFacts,
    values: (Array.isArray(value) ? value : [value]) as readonly unknown[],
  })),
)

/** The row that decides. Total: every combination of facts has one. */
export function decisionRow(facts: SeatFacts): DecisionRow {
  for (let row = 0; row < DECISIONS.length; row++) if (holds(row, facts)) return DECISIONS[row] as DecisionRow
  return unreachable(facts as never, 'every combination of facts has a row')
}

export function decide(facts: SeatFacts): SeatAction {
  return decisionRow(facts).action
}

function holds(row: number, facts: SeatFacts): boolean {
  for (const { fact, values } of CONDITIONS[row] as (typeof CONDITIONS)[number]) if (!values.includes(facts[fact])) return false
  return true
}
