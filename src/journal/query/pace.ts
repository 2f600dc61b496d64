import { setImmediate as turn } from 'node:timers/promises'

/** So long a scan works before others get a turn: the journal appends in the same process, and an ack waits for it. */
const SLICE_MS = 3

/** Cuts long work into slices. */
export class Pace {
  readonly #signal: AbortSignal | undefined
  #startedMs = performance.now()

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
  }

  get isDue(): boolean {
    return performance.now() - this.#startedMs >= SLICE_MS
  }

  /** Gives way when the slice is over. Rejects with the signal's reason once that is aborted. */
  async step(): Promise<void> {
    if (!this.isDue) return
    await turn()
    this.#signal?.throwIfAborted()
    this.#startedMs = performance.now()
  }
}
