/** Who wants to hear of appends. Both adapters of the port tell through one. */
export class AppendListeners {
  readonly #callbacks = new Set<() => void>()

  /** As Journal.onAppend. Each call is an entry of its own, also with the same callback. */
  add(callback: () => void): () => void {
    const entry = () => callback()
    this.#callbacks.add(entry)
    return () => void this.#callbacks.delete(entry)
  }

  /** Callbacks that come or go meanwhile are heard from the next time on. */
  tell(): void {
    if (this.#callbacks.size > 0) for (const callback of [...this.#callbacks]) callback()
  }
}
