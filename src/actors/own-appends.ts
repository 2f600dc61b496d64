import { Fifo } from './fifo.js'
import type { MessageLane } from './message-link.js'

/** An append that no command caused: rows that say what became of messages. */
export interface OwnAppend {
  readonly appendNumber: number
  readonly shard: number
  /** As JournalClient counts: durable, or rejected, when released up to there. */
  readonly position: number
  readonly lane: MessageLane
  /** How many messages of the lane they are about. */
  readonly count: number
}

/** Appends of the worker's own that are not released. There is no command to take again for them: what they say is found out once more. */
export class OwnAppends {
  readonly #appends = new Fifo<OwnAppend>()

  get count(): number {
    return this.#appends.count
  }

  push(append: OwnAppend): void {
    this.#appends.push(append)
  }

  hasReleased(released: number): boolean {
    const { first } = this.#appends
    return first !== undefined && first.position <= released
  }

  /** The oldest one, when it is released. */
  shiftReleased(released: number): OwnAppend | undefined {
    return this.hasReleased(released) ? this.#appends.shift() : undefined
  }

  forEach(each: (append: OwnAppend) => void): void {
    this.#appends.forEach(each)
  }
}
