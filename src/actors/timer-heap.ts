import { grown } from './known-entities.js'

/**
 * Due times of a worker's entities, the earliest first, those of one time in the order in which they came. A binary heap of numbers: a pending timer costs 28 bytes here and
 * no object, and its entity needs no slot: it stands here by its index (slot-table.ts). What is taken out may be out of date; whoever takes it looks.
 */
export class TimerHeap {
  #capacity = 1024
  #due = new Float64Array(this.#capacity)
  #number = new Float64Array(this.#capacity)
  #order = new Float64Array(this.#capacity)
  #entity = new Uint32Array(this.#capacity)
  #count = 0
  #added = 0
  /** Of the one that was taken out last. */
  takenDue = 0
  takenNumber = 0

  get count(): number {
    return this.#count
  }

  /** Microseconds since 1970, of the earliest; infinity when there is none. */
  get earliest(): number {
    return this.#count === 0 ? Number.POSITIVE_INFINITY : (this.#due[0] as number)
  }

  add(due: number, entity: number, number: number): void {
    if (this.#count === this.#capacity) this.#grow()
    let at = this.#count++
    const order = this.#added++
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (this.#isBefore(parent, due, order)) break
      this.#move(parent, at)
      at = parent
    }
    this.#put(at, due, number, order, entity)
  }

  /** Takes the earliest out: its entity, `takenDue` and `takenNumber`. There must be one. */
  take(): number {
    const first = this.#entity[0] as number
    this.takenDue = this.#due[0] as number
    this.takenNumber = this.#number[0] as number
    const last = --this.#count
    const due = this.#due[last] as number
    const number = this.#number[last] as number
    const order = this.#order[last] as number
    const entity = this.#entity[last] as number
    if (last === 0) return first
    let at = 0
    for (let child = 1; child < last; child = 2 * at + 1) {
      const right = child + 1
      if (right < last && this.#isBefore(right, this.#due[child] as number, this.#order[child] as number)) child = right
      if (!this.#isBefore(child, due, order)) break
      this.#move(child, at)
      at = child
    }
    this.#put(at, due, number, order, entity)
    return first
  }

  #isBefore(at: number, due: number, order: number): boolean {
    const own = this.#due[at] as number
    return own < due || (own === due && (this.#order[at] as number) < order)
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#due[from] as number, this.#number[from] as number, this.#order[from] as number, this.#entity[from] as number)
  }

  #put(at: number, due: number, number: number, order: number, entity: number): void {
    this.#due[at] = due
    this.#number[at] = number
    this.#order[at] = order
    this.#entity[at] = entity
  }

  #grow(): void {
    this.#capacity *= 2
    this.#due = grown(this.#due, new Float64Array(this.#capacity))
    this.#number = grown(this.#number, new Float64Array(this.#capacity))
    this.#order = grown(this.#order, new Float64Array(this.#capacity))
    this.#entity = grown(this.#entity, new Uint32Array(this.#capacity))
  }
}
