import type { VolatileMessage } from '#entity/index.js'

/** First in, first out, for what comes by ten million times a second: the places are used again. Grows as needed; whoever fills it has a bound. */
export class VolatileRing {
  #places: (VolatileMessage | undefined)[] = new Array<undefined>(1024).fill(undefined)
  #mask = 1023
  #head = 0
  #tail = 0

  get count(): number {
    return this.#tail - this.#head
  }

  get first(): VolatileMessage | undefined {
    return this.#places[this.#head & this.#mask]
  }

  push(message: VolatileMessage): void {
    if (this.count > this.#mask) this.#grow()
    this.#places[this.#tail++ & this.#mask] = message
  }

  /** Takes the first one out; there must be one. */
  shift(): void {
    this.#places[this.#head++ & this.#mask] = undefined
  }

  /** All of them, in order; none is left. */
  takeAll(): VolatileMessage[] {
    const messages: VolatileMessage[] = []
    for (let { first } = this; first !== undefined; first = this.first) {
      messages.push(first)
      this.shift()
    }
    return messages
  }

  #grow(): void {
    const former = this.#places
    const places = new Array<VolatileMessage | undefined>(former.length * 2).fill(undefined)
    const count = this.count
    for (let index = 0; index < count; index++) places[index] = former[(this.#head + index) & this.#mask]
    this.#places = places
    this.#mask = places.length - 1
    this.#head = 0
    this.#tail = count
  }
}
