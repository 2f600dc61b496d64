import { unreachable } from '#base/assert.js'
import type { SeatAction, SeatFacts } from '#processes/process-facts.js'

/**
 * What is to be done about a seat, and why. The first row whose conditions all hold decides; a fact that a row does not name may have any
 * value. The order is the argument: first what must never happen (a second holder beside the first, a kill on stale sight), then what is to
 * be mended, at last what it still has to wait for.
 */
export interface DecisionRow {
  readonly when: { readonly [Fact in keyof SeatFacts]?: SeatFacts[Fact] }
  readonly action: SeatAction
  readonly because: string
}

export const DECISIONS: readonly DecisionRow[] = [
  { when: { process: 'unknown' }, action: 'wait', because: 'a killed process may still write until it was reaped' },
  { when: { process: 'exited', isStopping: true }, action: 'none', because: 'a plant that stops replaces nobody' },
  { when: { process: 'alive', isStopping: true }, action: 'none', because: 'stopping has a bound and a SIGKILL of its own' },
  { when: { process: 'alive', isSupervisorPaused: true }, action: 'none', because: 'counters that were not watched prove nothing' },
  {
    when: { process: 'alive', pulse: 'stale' },
    action: 'kill',
    because: 'it is not scheduled, and could wake up later and act on old terms',
  },
  { when: { process: 'alive', turn: 'stale' }, action: 'kill', because: 'its event loop is stuck, nobody is served' },
  { when: { process: 'alive' }, action: 'none', because: 'it lives and turns' },
  {
    when: { seatBackOff: 'active', failures: 'many' },
    action: 'report-failing',
    because: 'an operator should know; trying goes on, rarely',
  },
  { when: { seatBackOff: 'active' }, action: 'wait', because: 'what failed a moment ago would fail again, and take the machine with it' },
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

/** The row that decides. Total: every combination of facts has one. */
export function decisionRow(facts: SeatFacts): DecisionRow {
  for (const row of DECISIONS) if (holds(row, facts)) return row
  return unreachable(facts as never, 'every combination of facts has a row')
}

export function decide(facts: SeatFacts): SeatAction {
  return decisionRow(facts).action
}

function holds(row: DecisionRow, facts: SeatFacts): boolean {
  for (const name in row.when) {
    const fact = name as keyof SeatFacts
    if (row.when[fact] !== facts[fact]) return false
  }
  return true
}
