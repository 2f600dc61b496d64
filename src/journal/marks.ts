import type { BlockMark } from './block-format.js'

/** The highest term and append number per writer slot. Slots are small numbers. */
export class Marks {
  #term = new Uint32Array(64)
  #number = new Uint32Array(64)
  #isKnown = new Uint8Array(64)
  /** Behind the last slot with a mark. */
  #end = 0

  /** 0 when the slot has no mark: terms begin at 1. */
  term(slot: number): number {
    return this.#isKnown[slot] === 1 ? (this.#term[slot] as number) : 0
  }

  number(slot: number): number {
    return this.#isKnown[slot] === 1 ? (this.#number[slot] as number) : 0
  }

  set(slot: number, term: number, number: number): void {
    if (slot >= this.#term.length) this.#grow(slot)
    this.#term[slot] = term
    this.#number[slot] = number
    this.#isKnown[slot] = 1
    if (slot >= this.#end) this.#end = slot + 1
  }

  /** Raises a mark; never lowers one. */
  raise({ slot, term, number }: BlockMark): void {
    if (term > this.term(slot) || (term === this.term(slot) && number > this.number(slot))) this.set(slot, term, number)
  }

  /** All marks, by slot. */
  *[Symbol.iterator](): Generator<BlockMark> {
    for (let slot = 0; slot < this.#end; slot++) {
      if (this.#isKnown[slot] === 1) yield { slot, term: this.#term[slot] as number, number: this.#number[slot] as number }
    }
  }

  clear(): void {
    this.#isKnown.fill(0, 0, this.#end)
    this.#end = 0
  }

  #grow(slot: number): void {
    const count = 2 ** Math.ceil(Math.log2(slot + 1))
    const term = new Uint32Array(count)
    const number = new Uint32Array(count)
    const isKnown = new Uint8Array(count)
    term.set(this.#term)
    number.set(this.#number)
    isKnown.set(this.#isKnown)
    this.#term = term
    this.#number = number
    this.#isKnown = isKnown
  }
}
