import type { Slot } from './slot.js'

/**
 * Due times of a worker's entities, the earliest first, those of one time in the order in which they came. A binary heap of numbers: a pending timer costs 32 bytes here and
 * no object. What is taken out may be out of date; whoever takes it looks.
 */
export class TimerHeap {
  #capacity = 1024
  #due = new Float64Array(this.#capacity)
  #number = new Float64Array(this.#capacity)
  #order = new Float64Array(this.#capacity)
  readonly #slots: Slot[] = []
  #added = 0
  /** Of the one that was taken out last. */
  takenDue = 0
  takenNumber = 0

  get count(): number {
    return this.#slots.length
  }

  /** Microseconds since 1970, of the earliest; infinity when there is none. */
  get earliest(): number {
    return this.#slots.length === 0 ? Number.POSITIVE_INFINITY : (this.#due[0] as number)
  }

  add(due: number, slot: Slot, number: number): void {
    if (this.#slots.length === this.#capacity) this.#grow()
    let at = this.#slots.length
    const order = this.#added++
    this.#slots.push(slot)
    while (at > 0) {
      const parent = (at - 1) >>> 1
      if (this.#isBefore(parent, due, order)) break
      this.#move(parent, at)
      at = parent
    }
    this.#put(at, due, number, order, slot)
  }

  /** Takes the earliest out: its entity, `takenDue` and `takenNumber`. There must be one. */
  take(): Slot {
    const slots = this.#slots
    const first = slots[0] as Slot
    this.takenDue = this.#due[0] as number
    this.takenNumber = this.#number[0] as number
    const last = slots.length - 1
    const due = this.#due[last] as number
    const number = this.#number[last] as number
    const order = this.#order[last] as number
    const slot = slots.pop() as Slot
    if (last === 0) return first
    let at = 0
    for (let child = 1; child < last; child = 2 * at + 1) {
      const right = child + 1
      if (right < last && this.#isBefore(right, this.#due[child] as number, this.#order[child] as number)) child = right
      if (!this.#isBefore(child, due, order)) break
      this.#move(child, at)
      at = child
    }
    this.#put(at, due, number, order, slot)
    return first
  }

  #isBefore(at: number, due: number, order: number): boolean {
    const own = this.#due[at] as number
    return own < due || (own === due && (this.#order[at] as number) < order)
  }

  #move(from: number, to: number): void {
    this.#put(to, this.#due[from] as number, this.#number[from] as number, this.#order[from] as number, this.#slots[from] as Slot)
  }

  #put(at: number, due: number, number: number, order: number, slot: Slot): void {
    this.#due[at] = due
    this.#number[at] = number
    this.#order[at] = order
    this.#slots[at] = slot
  }

  #grow(): void {
    this.#capacity *= 2
    this.#due = grown(this.#due, this.#capacity)
    this.#number = grown(this.#number, this.#capacity)
    this.#order = grown(this.#order, this.#capacity)
  }
}

function grown(numbers: Float64Array, capacity: number): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(capacity)
  larger.set(numbers)
  return larger
}
