/** How many of the newest appends are remembered unless said otherwise: more than all append rings of a plant can hold unreleased. */
export const RECENT_APPENDS_DEFAULT = 262_144

/** Entries added since the index was built are searched one by one, up to so many. */
const UNINDEXED_MAX = 1024

/**
 * The newest appends, in a ring of fixed size: which rows a frame that comes a second time may find itself stored as. Adding costs four
 * stores. Looking up happens only after the journal was replaced, so the index over the ring is built at the first look and patched up
 * as it goes out of date.
 */
export class RecentAppends {
  readonly #capacity: number
  readonly #term: Uint32Array
  readonly #number: Uint32Array
  readonly #entity: Uint32Array
  readonly #version: Uint32Array
  #added = 0
  /** Where the next one goes: `#added` by the capacity, without dividing. */
  #next = 0
  #indexed = 0
  #slots: Int32Array | undefined
  /** Finds appends that are older than all that was added, when one is looked up that is not here. Asked once. */
  older: (() => RecentAppends) | undefined
  #older: RecentAppends | undefined

  constructor(capacity: number) {
    this.#capacity = capacity
    this.#term = new Uint32Array(capacity)
    this.#number = new Uint32Array(capacity)
    this.#entity = new Uint32Array(capacity)
    this.#version = new Uint32Array(capacity)
  }

  get capacity(): number {
    return this.#capacity
  }

  /** `entity` is an index of EntityTable, `version` that of the append's first row. The oldest entry makes room. */
  add(term: number, number: number, entity: number, version: number): void {
    const at = this.#next
    this.#next = at + 1 === this.#capacity ? 0 : at + 1
    this.#added++
    this.#term[at] = term
    this.#number[at] = number
    this.#entity[at] = entity
    this.#version[at] = version
  }

  has(term: number, number: number, entity: number, version: number): boolean {
    if (this.#slots === undefined || this.#added - this.#indexed > UNINDEXED_MAX) this.#index()
    const slots = this.#slots as Int32Array
    const mask = slots.length - 1
    for (let slot = mix(term, number) & mask; (slots[slot] as number) >= 0; slot = (slot + 1) & mask) {
      if (this.#is(slots[slot] as number, term, number, entity, version)) return true
    }
    for (let added = this.#indexed; added < this.#added; added++) {
      if (this.#is(added % this.#capacity, term, number, entity, version)) return true
    }
    this.#older ??= this.older?.()
    return this.#older?.has(term, number, entity, version) ?? false
  }

  #is(at: number, term: number, number: number, entity: number, version: number): boolean {
    return this.#number[at] === number && this.#term[at] === term && this.#entity[at] === entity && this.#version[at] === version
  }

  /** Entries that are overwritten later stay in the index; the comparison with the ring finds them out. */
  #index(): void {
    const count = Math.min(this.#added, this.#capacity)
    const slots = new Int32Array(Math.max(16, 2 ** Math.ceil(Math.log2(count * 2 + 1)))).fill(-1)
    const mask = slots.length - 1
    for (let at = 0; at < count; at++) {
      let slot = mix(this.#term[at] as number, this.#number[at] as number) & mask
      while ((slots[slot] as number) >= 0) slot = (slot + 1) & mask
      slots[slot] = at
    }
    this.#slots = slots
    this.#indexed = this.#added
  }
}

function mix(term: number, number: number): number {
  const spread = Math.imul(number ^ Math.imul(term, 0x85ebca6b), 0x9e3779b1)
  return spread ^ (spread >>> 15)
}
