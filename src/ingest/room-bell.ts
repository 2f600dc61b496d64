import type { Cancel } from '#base/clock.js'
import type { Door } from './door.js'

/**
 * Everyone who waits for room at a door, behind one place in the door's own list: a door that stays full for hours while clients come and give up
 * holds nothing of those who left.
 */
export class RoomBell {
  readonly #door: Door
  #waiting = new Set<() => void>()
  #isAsked = false

  constructor(door: Door) {
    this.#door = door
  }

  get waitingCount(): number {
    return this.#waiting.size
  }

  /** Calls back once when there may be room, those who waited longest first. */
  wait(callback: () => void): Cancel {
    this.#waiting.add(callback)
    if (!this.#isAsked) {
      this.#isAsked = true
      this.#door.onRoom(() => this.#ring())
    }
    return () => void this.#waiting.delete(callback)
  }

  #ring(): void {
    this.#isAsked = false
    const waiting = this.#waiting
    this.#waiting = new Set()
    for (const callback of waiting) callback()
  }
}
