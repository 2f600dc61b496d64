import { entityMoved } from './entity-moved.js'
import type { Slot, SlotWaiter } from './slot.js'

/** A value that was read from a live entity and waits for the rows that it derives from to be durable. */
interface HeldRead {
  readonly slot: Slot
  readonly waitPosition: number
  readonly settle: () => void
  readonly again: () => void
  readonly reject: (error: Error) => void
}

/** Reads of entity state: nothing is told before it is durable, and what was folded on a rejected append is read again. */
export class Reads {
  readonly #load: (slot: Slot) => void
  readonly #isDurable: (waitPosition: number) => boolean
  #held: HeldRead[] = []

  constructor(options: {
    /** Makes the slot live, now or later; `wake` is called then. */
    readonly load: (slot: Slot) => void
    readonly isDurable: (waitPosition: number) => boolean
  }) {
    this.#load = options.load
    this.#isDurable = options.isDurable
  }

  /** What `read` makes of the entity. It is called in a turn in which the entity is live, since in the next one it may be passive again. */
  read<T>(slot: Slot, read: (slot: Slot) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (slot.status !== 'live') return this.#wait(slot, { look, reject })
        let value: T
        try {
          value = read(slot)
        } catch (error) {
          return reject(error)
        }
        if (this.#isDurable(slot.waitPosition)) resolve(value)
        else this.#held.push({ slot, waitPosition: slot.waitPosition, settle: () => resolve(value), again: look, reject })
      }
      look()
    })
  }

  /** The slot is live. */
  wake(slot: Slot): void {
    const { waiters } = slot
    slot.waiters = undefined
    if (waiters !== undefined) for (const { look } of waiters) look()
  }

  /** The slot's shard has left this worker: whoever waits for it hears that. */
  left(slot: Slot): void {
    const { waiters } = slot
    slot.waiters = undefined
    if (waiters !== undefined) for (const waiter of waiters) waiter.reject(entityMoved(slot.id))
    for (const held of this.#held) if (held.slot === slot) held.reject(entityMoved(slot.id))
    if (this.#held.length > 0) this.#held = this.#held.filter((held) => held.slot !== slot)
  }

  /** The slot's state was dropped, with all that was folded on top of durable rows. */
  dropped(slot: Slot): void {
    const again = this.#held.filter((held) => held.slot === slot)
    if (again.length === 0) return
    this.#held = this.#held.filter((held) => held.slot !== slot)
    for (const held of again) held.again()
  }

  /** Settles what is durable by now; returns how many. */
  settle(): number {
    if (this.#held.length === 0) return 0
    const durable = this.#held.filter((held) => this.#isDurable(held.waitPosition))
    if (durable.length === 0) return 0
    this.#held = this.#held.filter((held) => !durable.includes(held))
    for (const held of durable) held.settle()
    return durable.length
  }

  canSettle(released: number): boolean {
    return this.#held.some((held) => held.waitPosition <= released)
  }

  #wait(slot: Slot, waiter: SlotWaiter): void {
    if (slot.waiters === undefined) slot.waiters = [waiter]
    else slot.waiters.push(waiter)
    this.#load(slot)
  }
}
