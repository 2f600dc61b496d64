import type { Peer } from './peer.js'
import type { RingListener, Schedule } from './waiting.js'

/**
 * Bell and parked word of a role that shares its process with its peers: a ring becomes a later turn of the event loop, as it would from
 * another process. Rings before that turn are one.
 */
export class InProcessBell implements Peer, RingListener {
  readonly words = new Int32Array(1)
  readonly index = 0
  readonly #schedule: Schedule
  #listener: (() => void) | undefined
  #isScheduled = false

  constructor(schedule: Schedule = setImmediate) {
    this.#schedule = schedule
  }

  onRing(listener: () => void): void {
    this.#listener = listener
  }

  ring(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    this.#schedule(() => {
      this.#isScheduled = false
      this.#listener?.()
    })
  }
}
