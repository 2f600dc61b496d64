import type { Member } from './member.js'
import type { SeatFacts } from './process-facts.js'
import type { ChildRole } from './process-role.js'
import type { Starts } from './starts.js'
import type { SupervisedSeat } from './supervised-seat.js'
import type { SupervisionOptions } from './supervision-options.js'

/** Of the whole plant, at one moment. */
export type PlantFacts = Pick<SeatFacts, 'isSupervisorPaused' | 'isStopping' | 'isJournalUp' | 'haveWorkersBeenUp'> & {
  readonly nowMs: number
}

/** Whom a decision is about: a seat with or without its holder, or a process without a seat. */
export interface Subject {
  readonly role: ChildRole
  readonly seat: SupervisedSeat | undefined
  readonly member: Member | undefined
  readonly spare: SeatFacts['spare']
}

/** All that the decision depends on. */
export function seatFacts(subject: Subject, plant: PlantFacts, starts: Starts, options: SupervisionOptions): SeatFacts {
  const { role, seat, member, spare } = subject
  const { nowMs, isSupervisorPaused, isStopping, isJournalUp, haveWorkersBeenUp } = plant
  const { limits, hasRoom, commands } = options
  const missing = member?.missingSign(nowMs, limits)?.sign
  const start = starts.backOff(role)
  const lastFailure = starts.lastFailure(role, seat)?.kind ?? 'none'
  return {
    role,
    process: member === undefined ? 'exited' : member.state === 'killed' ? 'unknown' : 'alive',
    pulse: missing === 'pulse' || missing === 'load' ? 'stale' : 'fresh',
    turn: member?.turnFact(nowMs, limits) ?? 'fresh',
    isTermNewest: member === undefined || seat === undefined || member.knownTerm === seat.newestTerm,
    isSupervisorPaused,
    isStopping,
    spare,
    isJournalUp,
    haveWorkersBeenUp,
    seatBackOff: seat?.backOff.isActive === true ? 'active' : 'over',
    startBackOff: start.isActive ? 'active' : 'over',
    failures: start.hasManyFailures || seat?.backOff.hasManyFailures === true ? 'many' : 'few',
    lastFailure,
    hasRoom: lastFailure !== 'room' || hasRoom === undefined || hasRoom(),
    isCommandFatal: role === 'worker' && seat !== undefined && commands?.isFatal(seat.slot) === true,
  }
}
