import type { Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import type { PlantUnderTest } from './plant-under-test.js'

const WITHIN_MS = 30_000

interface Waiter {
  readonly from: number
  readonly matches: (event: SupervisionEvent) => boolean
  readonly resolve: (index: number) => void
}

/** What the supervisor said since the watch began, in order, for conditions to wait for. */
export class SupervisionWatch {
  readonly #events: SupervisionEvent[] = []
  readonly #waiters = new Set<Waiter>()
  readonly #clock: Clock
  readonly close: () => void

  constructor(plant: Pick<PlantUnderTest, 'onEvent'>, clock: Clock) {
    this.#clock = clock
    this.close = plant.onEvent((event) => this.#take(event))
  }

  /** The index of the first event at or behind `from` that matches, -1 while there is none. */
  find(matches: (event: SupervisionEvent) => boolean, from = 0): number {
    return this.#events.findIndex((event, index) => index >= from && matches(event))
  }

  /** As `find`, as soon as there is one. Rejects with ERR_NOT_RECOVERED, which names what was waited for, after half a minute. */
  async next(claim: string, matches: (event: SupervisionEvent) => boolean, from = 0): Promise<number> {
    const found = this.find(matches, from)
    if (found >= 0) return found
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(WITHIN_MS, () => {
        this.#waiters.delete(waiter)
        reject(notRecovered(claim))
      })
      const waiter: Waiter = {
        from,
        matches,
        resolve: (index) => {
          cancel()
          resolve(index)
        },
      }
      this.#waiters.add(waiter)
    })
  }

  #take(event: SupervisionEvent): void {
    const index = this.#events.push(event) - 1
    for (const waiter of this.#waiters) {
      if (index < waiter.from || !waiter.matches(event)) continue
      this.#waiters.delete(waiter)
      waiter.resolve(index)
    }
  }
}

export function notRecovered(claim: string): MillraceError {
  return new MillraceError('ERR_NOT_RECOVERED', {
    fact: 'the plant did not recover in time',
    action: 'operator',
    values: { waitedFor: claim },
    next: 'look at the logs folder of the data directory',
  })
}
