import { MillraceError } from '#base/errors.js'
import { errorOfPlain } from '#processes/control-message.js'
import { type ChildRole, type Seat, seatName } from '#processes/process-role.js'
import { describeCause, type SupervisionEvent } from '#processes/supervision-event.js'
import { failureIn } from './notice.js'

/**
 * The processes with new code that hold seats while a plant is upgraded: tells of the first that ends. A worker that has proved itself may be killed by others, as
 * by a drill; it still may not end by its own doing.
 */
export class NewProcesses {
  readonly #watched = new Set<string>()
  readonly #proven = new Set<string>()
  /** Over what processes said that they end, by pid. */
  readonly #said = new Map<number, Error>()
  #failure: Error | undefined

  get failure(): Error | undefined {
    return this.#failure
  }

  /** From now on whoever ends in the seat has the new code. */
  watch(seat: Seat<ChildRole>): void {
    this.#watched.add(seatName(seat))
  }

  /** The seat goes back. */
  leave(seat: Seat<ChildRole>): void {
    this.#watched.delete(seatName(seat))
  }

  proven(slot: number): void {
    this.#proven.add(seatName({ role: 'worker', slot }))
  }

  take(event: SupervisionEvent): void {
    if (event.kind === 'reported') {
      const failure = failureIn(event)
      if (failure !== undefined) this.#said.set(event.pid, errorOfPlain(failure))
    } else if (event.kind === 'died' && event.slot !== null) {
      const { role, slot, pid, cause } = event
      const name = seatName({ role, slot })
      const isByOthers = cause.kind === 'signal' && this.#proven.has(name)
      if (this.#watched.has(name) && !isByOthers) this.#failure ??= this.#said.get(pid) ?? endedByItself(name, describeCause(cause))
    }
  }
}

function endedByItself(seat: string, ended: string): MillraceError {
  return new MillraceError('ERR_CODE_FAILED', {
    fact: 'a process with the new code has ended',
    action: 'operator',
    values: { seat, ended },
    next: 'mend the code, raise its version and try again; the logs folder says more',
  })
}
