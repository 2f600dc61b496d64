/** Sources that wait for a number to come again; the oldest is forgotten above this. */
const SOURCES_MAX = 10_000

/**
 * Keeps the commands of one source in order over many connections. A request waits until the one before it, of the same source, is done; and after one that
 * was not wholly taken, nothing later of that source is taken until the first number that was not comes again. Otherwise a later command
 * would be done first, and the earlier one, when sent again, would look as if it had been done long ago.
 */
export class SourceOrder {
  readonly #running = new Map<string, Promise<unknown>>()
  readonly #awaited = new Map<string, number>()

  /** Runs `request` after all earlier ones of the source. */
  async inTurn<T>(source: string, request: () => Promise<T>): Promise<T> {
    const before = this.#running.get(source) ?? Promise.resolve()
    const mine = before.then(request, request)
    const settled = mine.catch(() => undefined)
    this.#running.set(source, settled)
    try {
      return await mine
    } finally {
      if (this.#running.get(source) === settled) this.#running.delete(source)
    }
  }

  /** The number that must come first, when `sequence` lies behind it. */
  awaitedBefore(source: string, sequence: number): number | undefined {
    const awaited = this.#awaited.get(source)
    return awaited !== undefined && sequence > awaited ? awaited : undefined
  }

  /** A request from `sequence` on was taken up to before `nextSequence`; `isWhole` when that was all of it. */
  taken(source: string, nextSequence: number, isWhole: boolean): void {
    this.#awaited.delete(source)
    if (isWhole) return
    this.#awaited.set(source, nextSequence)
    const oldest = this.#awaited.keys().next().value
    if (this.#awaited.size > SOURCES_MAX && oldest !== undefined) this.#awaited.delete(oldest)
  }
}
