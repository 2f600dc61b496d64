/** What a reader of a feed gets instead of events that it was too slow for. */
export interface MissedEvents {
  readonly kind: 'missed'
  readonly count: number
}

/** Hands events to any number of readers. Nobody waits for a reader: one that falls behind by more than the bound misses the oldest and is told how many. */
export class EventFeed<E> {
  readonly #backlogMax: number
  readonly #readers = new Set<Reader<E>>()
  #isClosed = false

  constructor(backlogMax = 1000) {
    this.#backlogMax = backlogMax
  }

  publish(event: E): void {
    for (const reader of this.#readers) {
      reader.backlog.push(event)
      if (reader.backlog.length > this.#backlogMax) {
        reader.backlog.shift()
        reader.missedCount++
      }
      reader.wake()
    }
  }

  /** Ends all readers once they have read what they have. */
  close(): void {
    this.#isClosed = true
    for (const reader of this.#readers) reader.wake()
  }

  /** Events from now on, until the feed closes or `signal` aborts. Reads from the call on, not from the first `next`. */
  read(signal: AbortSignal): AsyncGenerator<E | MissedEvents, void> {
    const reader: Reader<E> = { backlog: [], missedCount: 0, wake: () => undefined }
    this.#readers.add(reader)
    const wake = () => reader.wake()
    signal.addEventListener('abort', wake)
    return this.#drain(reader, signal)
  }

  async *#drain(reader: Reader<E>, signal: AbortSignal): AsyncGenerator<E | MissedEvents, void> {
    try {
      while (!signal.aborted) {
        if (reader.missedCount > 0) {
          const count = reader.missedCount
          reader.missedCount = 0
          yield { kind: 'missed', count }
        }
        const event = reader.backlog.shift()
        if (event !== undefined) yield event
        else if (this.#isClosed) return
        else await new Promise<void>((resolve) => (reader.wake = resolve))
      }
    } finally {
      this.#readers.delete(reader)
    }
  }
}

interface Reader<E> {
  readonly backlog: E[]
  missedCount: number
  wake: () => void
}
