import { MillraceError } from '#base/errors.js'
import { type ChildRole, type Seat, seatName } from './process-role.js'

/** Somebody waits for a seat to come into use, or to be no more. */
export class SeatChange {
  readonly promise: Promise<void>
  #resolve: () => void = () => undefined
  #reject: (error: Error) => void = () => undefined

  constructor() {
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  done(): void {
    this.#resolve()
  }

  fail(error: Error): void {
    this.#reject(error)
  }
}

/** Of a seat that was to come into use. */
export function seatRemoved(seat: Seat<ChildRole>): MillraceError {
  return new MillraceError('ERR_SEAT_REMOVED', {
    fact: 'the seat was removed before anybody worked there',
    action: 'operator',
    values: { seat: seatName(seat) },
    next: 'look at its log in the logs folder for why no process got so far',
  })
}
