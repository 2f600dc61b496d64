import type { Edition } from './editions.js'
import type { Member } from './member.js'
import type { SeatFacts } from './process-facts.js'
import { CHILD_ROLES, type ChildRole } from './process-role.js'

/** Processes without a seat that are not being ended, those that stand by first. */
export function sparesByRole(members: Iterable<Member>): Record<ChildRole, Member[]> {
  const spares: Record<ChildRole, Member[]> = { journal: [], worker: [], gateway: [] }
  for (const member of members) if (member.slot === undefined && member.state !== 'killed') spares[member.role].push(member)
  for (const role of CHILD_ROLES) spares[role].sort((a, b) => Number(b.state === 'standby') - Number(a.state === 'standby'))
  return spares
}

/** Takes out the first of the edition. */
export function takeSpare(spares: Member[], edition: Edition): Member | undefined {
  const index = spares.findIndex((spare) => spare.edition === edition)
  return index < 0 ? undefined : spares.splice(index, 1)[0]
}

export function spareFact(spare: Member | undefined): SeatFacts['spare'] {
  if (spare === undefined) return 'none'
  return spare.state === 'standby' ? 'standby' : 'loading'
}
