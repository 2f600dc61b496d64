import type { CommandFault } from '#actors/worker.js'
import { MillraceError } from '#base/errors.js'
import type { Assignment } from '#processes/control-message.js'

/**
 * The first commands of a worker with code that is new to the plant. One over which that code fails is not answered: the worker ends, nothing is stored of the
 * command, and the worker that has the seat next executes it.
 */
export class Probation {
  #isOn: boolean

  /** It is on for a worker whose assignment says so. */
  constructor(assignment: Assignment) {
    this.#isOn = assignment['isOnProbation'] === true
  }

  /** Throws ERR_CODE_FAULT while it is on. */
  fault({ entity, code, message }: CommandFault): void {
    if (!this.#isOn) return
    throw new MillraceError('ERR_CODE_FAULT', {
      fact: `the new code fails over one of its first commands: ${message}`,
      action: 'operator',
      values: { entity, code },
      next: 'mend the code; if the code before it fails over such commands as well, give --allow-faults',
    })
  }

  end(): void {
    this.#isOn = false
  }
}
