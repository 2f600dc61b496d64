import type { EntityModel } from '#entity/index.js'
import { isSameKey } from '#journal/byte-key.js'
import { Slot } from './slot.js'
import { SlotMemory } from './slot-memory.js'

/**
 * Slots by entity id, looked up by the id's bytes as they lie in a frame, so that no string is made per command. Open addressing with linear
 * probing over the id's hash32, which stands in the table so that only the right slot is touched; at most half full; slots are never removed,
 * since a known entity stays known. The hash is mixed first: its remainder chose the shard and so the worker, and what is left of its low bits is
 * the same for many.
 */
export class SlotTable {
  readonly #memory = new SlotMemory()
  readonly #slots: Slot[] = []
  /** Two words a place: the hash, and the slot's index + 1; 0 where there is none. */
  #table: Int32Array
  #mask: number

  constructor(capacity = 1024) {
    this.#table = new Int32Array(capacity * 2)
    this.#mask = capacity - 1
  }

  get count(): number {
    return this.#slots.length
  }

  /** In the order in which they were added. */
  at(index: number): Slot {
    return this.#slots[index] as Slot
  }

  /** The slot of the entity whose id lies in `view`. */
  find(hash: number, view: DataView, offset: number, length: number): Slot | undefined {
    const table = this.#table
    const wanted = hash | 0
    for (let place = mix(hash) & this.#mask; ; place = (place + 1) & this.#mask) {
      const index = table[2 * place + 1] as number
      if (index === 0) return undefined
      if (table[2 * place] !== wanted) continue
      const slot = this.#slots[index - 1] as Slot
      if (slot.idLength === length && isSameKey(this.#memory.bytes, slot.idAt, view, offset, length)) return slot
    }
  }

  /** A passive slot for an id that has none yet. */
  add(id: string, idBytes: Uint8Array, hash: number, shard: number, model: EntityModel): Slot {
    const slot = new Slot(id, idBytes, hash, shard, model, this.#memory)
    this.#slots.push(slot)
    if (this.#slots.length * 2 > this.#mask) this.#grow()
    else this.#place(hash, this.#slots.length)
    return slot
  }

  values(): Iterable<Slot> {
    return this.#slots
  }

  #place(hash: number, index: number): void {
    let place = mix(hash) & this.#mask
    while (this.#table[2 * place + 1] !== 0) place = (place + 1) & this.#mask
    this.#table[2 * place] = hash
    this.#table[2 * place + 1] = index
  }

  #grow(): void {
    const former = this.#table
    this.#table = new Int32Array(former.length * 2)
    this.#mask = former.length - 1
    // The newest slot has no place yet; the others' hashes are read where they lie side by side.
    for (let at = 0; at < former.length; at += 2) if (former[at + 1] !== 0) this.#place(former[at] as number, former[at + 1] as number)
    this.#place((this.#slots.at(-1) as Slot).hash, this.#slots.length)
  }
}

function mix(hash: number): number {
  const spread = Math.imul(hash, 0x9e3779b1)
  return spread ^ (spread >>> 15)
}
