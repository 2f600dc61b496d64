import { isSame } from './byte-strings.js'
import type { Slot } from './slot.js'

/**
 * Slots by entity id, looked up by the id's bytes as they lie in a frame, so that no string is made per command. Open addressing with linear
 * probing over the id's hash32; at most half full; slots are never removed, since a known entity stays known. The hash is mixed first: its
 * remainder chose the shard and so the worker, and what is left of its low bits is the same for many.
 */
export class SlotTable {
  #slots: (Slot | undefined)[]
  #mask: number
  #count = 0

  constructor(capacity = 1024) {
    this.#slots = new Array(capacity).fill(undefined)
    this.#mask = capacity - 1
  }

  get count(): number {
    return this.#count
  }

  find(hash: number, bytes: Uint8Array, offset: number, length: number): Slot | undefined {
    for (let index = mix(hash) & this.#mask; ; index = (index + 1) & this.#mask) {
      const slot = this.#slots[index]
      if (slot === undefined) return undefined
      if (slot.hash === hash && isSame(slot.idBytes, bytes, offset, length)) return slot
    }
  }

  /** The id must not be in the table yet. */
  add(slot: Slot): void {
    if (this.#count * 2 >= this.#slots.length) this.#grow()
    this.#place(slot)
    this.#count++
  }

  *values(): Generator<Slot> {
    for (const slot of this.#slots) if (slot !== undefined) yield slot
  }

  #place(slot: Slot): void {
    let index = mix(slot.hash) & this.#mask
    while (this.#slots[index] !== undefined) index = (index + 1) & this.#mask
    this.#slots[index] = slot
  }

  #grow(): void {
    const old = this.#slots
    this.#slots = new Array(old.length * 2).fill(undefined)
    this.#mask = this.#slots.length - 1
    for (const slot of old) if (slot !== undefined) this.#place(slot)
  }
}

function mix(hash: number): number {
  const spread = Math.imul(hash, 0x9e3779b1)
  return spread ^ (spread >>> 15)
}
