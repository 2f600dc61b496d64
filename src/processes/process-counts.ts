import { MillraceError } from '#base/errors.js'
import { CHILD_ROLES, type ChildRole } from './process-role.js'
import { PROCESSES_MAX, seatsMax } from './process-table.js'
import type { RoleOptions } from './supervision-options.js'

type Counts = Pick<RoleOptions, 'count' | 'countMax' | 'spares'>

/** Throws ERR_TOO_MANY_PROCESSES when the process table has no room for the seats of a role, or for all seats and spares beside the supervisor. */
export function checkProcessCounts(roles: Readonly<Record<ChildRole, Counts>>): void {
  for (const role of CHILD_ROLES) if (mostOf(roles[role]) > seatsMax(role)) throw tooMany(role, mostOf(roles[role]), seatsMax(role))
  const total = 1 + CHILD_ROLES.reduce((sum, role) => sum + mostOf(roles[role]) + roles[role].spares, 0)
  if (total > PROCESSES_MAX) throw tooMany('process', total, PROCESSES_MAX)
}

function mostOf({ count, countMax = count }: Counts): number {
  return Math.max(count, countMax)
}

function tooMany(what: string, wanted: number, max: number): MillraceError {
  return new MillraceError('ERR_TOO_MANY_PROCESSES', {
    fact: 'the plant asks for more processes than it has room for',
    action: 'operator',
    values: { of: what, wanted, max },
    next: 'configure fewer; more workers than cores do not help',
  })
}
