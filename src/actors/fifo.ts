/** Above so many places that were left behind the list is made anew. */
const LEFT_MAX = 1024

/** First in, first out, without moving what stays. */
export class Fifo<T> {
  #items: (T | undefined)[] = []
  #head = 0

  get count(): number {
    return this.#items.length - this.#head
  }

  get first(): T | undefined {
    return this.#items[this.#head]
  }

  push(item: T): void {
    this.#items.push(item)
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head++] = undefined
    if (this.#head === this.#items.length) {
      this.#items = []
      this.#head = 0
    } else if (this.#head > LEFT_MAX && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  /** All of them, in order; none is left. */
  takeAll(): T[] {
    const items = this.#items.slice(this.#head) as T[]
    this.#items = []
    this.#head = 0
    return items
  }

  /** The one so many behind the first. */
  at(index: number): T | undefined {
    return this.#items[this.#head + index]
  }

  forEach(each: (item: T) => void): void {
    for (let at = this.#head; at < this.#items.length; at++) each(this.#items[at] as T)
  }
}
