import { MillraceError } from '#base/errors.js'
import { errorOfPlain, type ReadyDetails } from './control-message.js'
import type { Member } from './member.js'
import { type ChildRole, type Seat, seatName } from './process-role.js'
import { type DeathCause, describeCause } from './supervision-event.js'

/** A seat that went from one living process to another. Plain JSON. */
export interface HandedOver {
  readonly role: ChildRole
  readonly slot: number
  readonly pid: number
  readonly term: number
  /** From the request to leave to the successor's being ready, in milliseconds: so long at most was any command of the seat held up. */
  readonly pauseMs: number
  /** Until the predecessor had finished what it had in flight and was reaped. */
  readonly leftMs: number
  readonly details: ReadyDetails
}

/** A hand-over that goes on: whose seat it is, and who waits for its end. */
export class HandOver {
  readonly promise: Promise<HandedOver>
  readonly #seat: Seat<ChildRole>
  readonly #startedMs: number
  #leftMs: number | undefined
  #resolve: (over: HandedOver) => void = () => undefined
  #reject: (error: Error) => void = () => undefined

  constructor(seat: Seat<ChildRole>, nowMs: number) {
    this.#seat = { role: seat.role, slot: seat.slot }
    this.#startedMs = nowMs
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  left(nowMs: number): void {
    this.#leftMs ??= nowMs
  }

  ready(member: Member, term: number, details: ReadyDetails, nowMs: number): HandedOver {
    const leftMs = (this.#leftMs ?? this.#startedMs) - this.#startedMs
    const over = { ...this.#seat, pid: member.pid, term, pauseMs: nowMs - this.#startedMs, leftMs, details }
    this.#resolve(over)
    return over
  }

  /** Whoever was to take the seat ended before it was ready. */
  died(member: Member, cause: DeathCause): void {
    this.fail(member.failure === undefined ? endedTaking(this.#seat, cause) : errorOfPlain(member.failure))
  }

  fail(error: Error): void {
    this.#reject(error)
  }
}

function endedTaking(seat: Seat<ChildRole>, cause: DeathCause): MillraceError {
  return new MillraceError('ERR_CODE_TAKE', {
    fact: 'a process with the new code ended before its seat worked',
    action: 'operator',
    values: { seat: seatName(seat), ended: describeCause(cause) },
    next: 'look at its log in the logs folder',
  })
}
