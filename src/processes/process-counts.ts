import { MillraceError } from '#base/errors.js'
import { CHILD_ROLES, type ChildRole } from './process-role.js'
import { PROCESSES_MAX, seatsMax } from './process-table.js'

/** Throws ERR_TOO_MANY_PROCESSES when the process table has no room for the seats of a role, or for all seats and spares beside the supervisor. */
export function checkProcessCounts(roles: Readonly<Record<ChildRole, { readonly count: number; readonly spares: number }>>): void {
  for (const role of CHILD_ROLES) if (roles[role].count > seatsMax(role)) throw tooMany(role, roles[role].count, seatsMax(role))
  const total = 1 + CHILD_ROLES.reduce((sum, role) => sum + roles[role].count + roles[role].spares, 0)
  if (total > PROCESSES_MAX) throw tooMany('process', total, PROCESSES_MAX)
}

function tooMany(what: string, wanted: number, max: number): MillraceError {
  return new MillraceError('ERR_TOO_MANY_PROCESSES', {
    fact: 'the plant asks for more processes than it has room for',
    action: 'operator',
    values: { of: what, wanted, max },
    next: 'configure fewer; more workers than cores do not help',
  })
}
