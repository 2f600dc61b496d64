import type { AnswerWanted, Settlement } from './door.js'
import type { Lane } from './lanes.js'

/** A command that a door has in flight. */
export class Waiting {
  request = 0
  /** Of its frame in the commands channel. */
  endPosition = 0
  answer: AnswerWanted = 'refused'
  lane: Lane | undefined
  settle: ((settlement: Settlement) => void) | undefined
  /** Answered, but not released yet. */
  settlement: Settlement | undefined
}

const CAPACITY_FIRST = 256

/**
 * Commands of one channel in flight, in order of their frames. Their requests follow each other modulo 2^32, so an answer finds its command by
 * subtraction. A ring of reused entries that grows to the most that was ever in flight, which the channel bounds.
 */
export class WaitingQueue {
  #entries: Waiting[] = Array.from({ length: CAPACITY_FIRST }, () => new Waiting())
  #head = 0
  #count = 0

  get count(): number {
    return this.#count
  }

  get first(): Waiting | undefined {
    return this.#count === 0 ? undefined : this.#entries[this.#head]
  }

  /** A reused entry behind the last one, for the caller to fill. */
  push(): Waiting {
    if (this.#count === this.#entries.length) this.#grow()
    return this.#entries[(this.#head + this.#count++) & (this.#entries.length - 1)] as Waiting
  }

  /** Lets go of the first one and of what it holds: read it before. */
  shift(): void {
    const entry = this.#entries[this.#head] as Waiting
    entry.lane = undefined
    entry.settle = undefined
    entry.settlement = undefined
    this.#head = (this.#head + 1) & (this.#entries.length - 1)
    this.#count--
  }

  find(request: number): Waiting | undefined {
    if (this.#count === 0) return undefined
    const ahead = (request - (this.#entries[this.#head] as Waiting).request) >>> 0
    return ahead < this.#count ? this.#entries[(this.#head + ahead) & (this.#entries.length - 1)] : undefined
  }

  #grow(): void {
    const { length } = this.#entries
    const entries = Array.from({ length: length * 2 }, (_, index) =>
      index < length ? (this.#entries[(this.#head + index) & (length - 1)] as Waiting) : new Waiting(),
    )
    this.#entries = entries
    this.#head = 0
  }
}
