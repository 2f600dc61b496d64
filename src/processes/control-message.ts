import { isMillraceError, MillraceError, messageOf, type ErrorAction, type ErrorCode } from '#base/errors.js'
import type { ChildRole, Seat } from './process-role.js'

/*
 * What supervisor and child say to each other, a JSON line each, over the pipe that the child gets as CONTROL_FD. Values are plain JSON: no
 * bytes, no NaN, no undefined in arrays.
 *
 *   supervisor          child
 *       │  (spawn)        │  imports its modules, starts its pulse
 *       │◀──── loaded ────│  standby: a warm spare stays here
 *       │───── take ─────▶│  opens channels, loads shards
 *       │◀──── ready ─────│
 *       │◀─ event ─ call ▶│  answered by `answer`
 *       │───── stop ─────▶│  drains, then ends with code 0
 */
export const CONTROL_FD = 3
export const CONTROL_LINE_BYTES_MAX = 1 << 20

/** What the composition root hands a process with its seat: channels to open, limits. Plain JSON. */
export type Assignment = Readonly<Record<string, unknown>>

export type SupervisorMessage =
  | { readonly kind: 'take'; readonly role: ChildRole; readonly slot: number; readonly term: number; readonly assignment: Assignment }
  /** Finish what is in flight and end; after `withinMs` comes SIGKILL. `isReplaced`: begin nothing new meanwhile, a successor takes the seat at once. */
  | { readonly kind: 'stop'; readonly withinMs: number; readonly isReplaced?: boolean }
  | { readonly kind: 'call'; readonly id: number; readonly name: string; readonly args: unknown }
  /** The holder of that seat died or was replaced: look at your channels. */
  | { readonly kind: 'ring'; readonly seat: Seat<ChildRole> }

export type ChildMessage =
  /** What it says of the code that it has loaded. */
  | { readonly kind: 'loaded'; readonly details?: Readonly<Record<string, unknown>> }
  | { readonly kind: 'ready'; readonly details: ReadyDetails }
  | { readonly kind: 'answer'; readonly id: number; readonly value?: unknown; readonly error?: PlainError }
  | { readonly kind: 'event'; readonly name: string; readonly data: unknown }

/** Whether a line that a child wrote is one of its messages, so that a child gone mad cannot take its supervisor along. */
export function isChildMessage(value: unknown): value is ChildMessage {
  if (typeof value !== 'object' || value === null || !('kind' in value)) return false
  const message = value as Readonly<Record<string, unknown>>
  switch (message['kind']) {
    case 'loaded':
      return true
    case 'ready':
      return typeof message['details'] === 'object' && message['details'] !== null
    case 'answer':
      return typeof message['id'] === 'number'
    case 'event':
      return typeof message['name'] === 'string'
    default:
      return false
  }
}

/** What a process found when it took its seat; goes into the recovery's report. Phases are milliseconds by name. */
export interface ReadyDetails {
  readonly entities?: number
  readonly events?: number
  readonly phases?: Readonly<Record<string, number>>
  readonly [more: string]: unknown
}

/** An error on its way to another process. */
export interface PlainError {
  readonly code: string
  readonly message: string
  readonly action?: ErrorAction
  readonly values?: Readonly<Record<string, unknown>>
}

/** The first thing a child knows, from its environment: what it is and where the process table lies. */
export interface ChildBirth {
  readonly role: ChildRole
  /** Path of the process table, or undefined in plants without one. */
  readonly tablePath: string | undefined
  /** The child's place in the table. */
  readonly tableIndex: number
  /** The composition root's own, plain JSON: data directory, plant module. */
  readonly settings: Readonly<Record<string, unknown>>
}

/** The name of the event by which a process says over what it ends, a PlainError, before it ends by a failure of its own. */
export const FAILED_EVENT = 'failed'

export const BIRTH_VARIABLE = 'MILLRACE_BIRTH'

/** Whether what a process said is an error: what it sends is not trusted. */
export function isPlainError(value: unknown): value is PlainError {
  if (typeof value !== 'object' || value === null) return false
  const { code, message } = value as Readonly<Record<string, unknown>>
  return typeof code === 'string' && typeof message === 'string'
}

export function plainErrorOf(error: unknown): PlainError {
  if (isMillraceError(error)) return { code: error.code, message: error.message, action: error.action, values: error.values }
  return { code: isOutOfRoom(error) ? 'ERR_DISK_FULL' : 'ERR_INTERNAL', message: messageOf(error) }
}

/** As the operating system says it. */
function isOutOfRoom(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException | null | undefined)?.code
  return code === 'ENOSPC' || code === 'EDQUOT'
}

/** The error as the caller's side throws it: same code and action, the other side's message as its fact. */
export function errorOfPlain(plain: PlainError): MillraceError {
  const code: ErrorCode = /^ERR_[A-Z0-9_]+$/.test(plain.code) ? (plain.code as ErrorCode) : 'ERR_INTERNAL'
  const error = new MillraceError(code, { fact: plain.message, action: plain.action ?? 'operator' })
  return plain.values === undefined ? error : Object.assign(error, { values: plain.values })
}
