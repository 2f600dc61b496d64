import type { Clock } from '#base/clock.js'

/** A request's place among those of its source. */
export interface Turn {
  /** Counts all requests of the door in the order in which they entered. */
  readonly number: number
  /** Resolves when every request of the source that entered before has ended its turn. */
  readonly come: Promise<void>
  /** Lets the next one in. Safe to call again. */
  end(): void
}

/**
 * `retry`: there was no room, the same will come again. `final`: the client has to change it, or left; it decides itself whether these numbers
 * come again.
 */
export type NotTaken = 'retry' | 'final'

interface Awaited {
  /** The first number that was not taken. */
  readonly from: number
  /** Later numbers are refused for so long... */
  readonly untilMs: number
  /** ...or, whenever they are looked at, in requests that had entered before the refusal was told. */
  readonly turnMax: number
}

export interface SourceOrderOptions {
  readonly clock: Clock
  /** How long later numbers of a source wait for one that is to be tried again: longer than any request can be on its way that was sent before the refusal was heard. */
  readonly awaitMs: number
  /** Sources awaited at a time; above this the oldest is forgotten. */
  readonly sourcesMax?: number
}

const SOURCES_MAX = 65_536

/**
 * Keeps the commands of one source in order over many connections. Requests take their turns in the order in which they entered; and after one
 * that was not wholly taken, nothing later that was under way with it is taken. Otherwise a later command would be done first, and the earlier
 * one, when sent again, would look as if it had been done long ago.
 */
export class SourceOrder {
  readonly #options: SourceOrderOptions
  readonly #last = new Map<unknown, Promise<void>>()
  readonly #awaited = new Map<string, Awaited>()
  #turnCount = 0

  constructor(options: SourceOrderOptions) {
    this.#options = options
  }

  /** `key`: the source, or the connection of a request that names none. */
  enter(key: unknown): Turn {
    const before = this.#last.get(key)
    let release: () => void = () => undefined
    const mine = new Promise<void>((resolve) => {
      release = resolve
    })
    this.#last.set(key, mine)
    const end = () => {
      if (this.#last.get(key) === mine) this.#last.delete(key)
      release()
    }
    return { number: ++this.#turnCount, come: before ?? Promise.resolve(), end }
  }

  /** The number that must come first, when the request of a turn starts behind it, at `sequence`. */
  awaitedBefore(source: string, sequence: number, turn: Turn): number | undefined {
    const awaited = this.#awaited.get(source)
    if (awaited === undefined || sequence <= awaited.from) return undefined
    if (turn.number <= awaited.turnMax || this.#options.clock.monotonicMs() < awaited.untilMs) return awaited.from
    this.#awaited.delete(source)
    return undefined
  }

  /** A request that was let in was taken as a whole, up to before `next`. */
  taken(source: string, next: number): void {
    const awaited = this.#awaited.get(source)
    if (awaited !== undefined && next > awaited.from) this.#awaited.delete(source)
  }

  /** A request that was let in was not taken from `from` on. */
  notTaken(source: string, from: number, how: NotTaken): void {
    const { clock, awaitMs, sourcesMax = SOURCES_MAX } = this.#options
    const untilMs = how === 'retry' ? clock.monotonicMs() + awaitMs : Number.NEGATIVE_INFINITY
    this.#awaited.delete(source)
    this.#awaited.set(source, { from, untilMs, turnMax: this.#turnCount })
    const oldest = this.#awaited.keys().next().value
    if (this.#awaited.size > sourcesMax && oldest !== undefined) this.#awaited.delete(oldest)
  }

  /** Sources with requests under way. */
  get busyCount(): number {
    return this.#last.size
  }

  /** Sources of which a number is awaited. */
  get awaitedCount(): number {
    return this.#awaited.size
  }
}
