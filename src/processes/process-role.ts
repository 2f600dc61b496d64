/**
 * The roles of a plant's processes. A seat is a place that a role has in the plant, such as `worker/1`: it outlives the processes that take it.
 */
export type Role = 'supervisor' | ChildRole

/** Roles that the supervisor starts, in the order in which they start; they stop in the reverse order. */
export type ChildRole = 'journal' | 'worker' | 'gateway'

export const CHILD_ROLES: readonly ChildRole[] = ['journal', 'worker', 'gateway']

export function isRole(value: unknown): value is Role {
  return value === 'supervisor' || CHILD_ROLES.some((role) => role === value)
}

/** Role and number: which place in the plant. Numbers count from 0 within a role. */
export interface Seat<R extends Role = Role> {
  readonly role: R
  readonly slot: number
}

/** `worker/1`: how a seat is called in logs, reports and file names' stems. */
export function seatName(seat: Seat): string {
  return `${seat.role}/${seat.slot}`
}
