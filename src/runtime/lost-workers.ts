import { describeCause, type SupervisionEvent } from '#processes/supervision-event.js'

/** How the workers died that have no successor at work yet. One that ended since it was asked to has not died. */
export class LostWorkers {
  readonly #causes = new Map<number, string>()

  /** To be told of everything. */
  take(event: SupervisionEvent): void {
    if (event.kind === 'died' && event.role === 'worker' && event.slot !== null && !this.#causes.has(event.slot))
      this.#causes.set(event.slot, describeCause(event.cause))
    else if ((event.kind === 'ready' || event.kind === 'removed') && event.role === 'worker') this.#causes.delete(event.slot)
  }

  /** Of the one in a slot that the next one there comes after; undefined where that one did not die. */
  causeOf(slot: number): string | undefined {
    return this.#causes.get(slot)
  }
}
