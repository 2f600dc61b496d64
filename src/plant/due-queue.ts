/** Things in order of their due time, ties in order of `order`: a binary heap (Williams 1964). */
export class DueQueue<T extends { readonly dueAt: number; readonly order: number }> {
  readonly #heap: T[] = []

  /** The thing due first; it stays in the queue. */
  peek(): T | undefined {
    return this.#heap[0]
  }

  push(thing: T): void {
    this.#heap.push(thing)
    let index = this.#heap.length - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#isBefore(index, parent)) break
      this.#swap(index, parent)
      index = parent
    }
  }

  /** Call after the thing due first got a later time. */
  settleFirst(): void {
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      let first = index
      if (left < this.#heap.length && this.#isBefore(left, first)) first = left
      if (left + 1 < this.#heap.length && this.#isBefore(left + 1, first)) first = left + 1
      if (first === index) return
      this.#swap(index, first)
      index = first
    }
  }

  #isBefore(one: number, other: number): boolean {
    const [a, b] = [this.#heap[one] as T, this.#heap[other] as T]
    return a.dueAt < b.dueAt || (a.dueAt === b.dueAt && a.order < b.order)
  }

  #swap(one: number, other: number): void {
    const thing = this.#heap[one] as T
    this.#heap[one] = this.#heap[other] as T
    this.#heap[other] = thing
  }
}
