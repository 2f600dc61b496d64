import { isSameKey, keyHash } from './byte-key.js'
import { ByteWriter } from './bytes.js'

/** A piece of memory that frames lie in. */
export interface Memory {
  readonly bytes: Uint8Array
  readonly view: DataView
}

/** The distinct names of a group in order of appearance, already in the form of COLUMN_SOURCE_NAMES. Open addressing, linear probing. */
export class NameTable {
  readonly content = new ByteWriter(4096)
  count = 0
  #slots = new Uint32Array(1024)
  #starts = new Uint32Array(256)
  #lengths = new Uint32Array(256)
  #last = 0

  clear(): this {
    if (this.count > 0) this.#slots.fill(0)
    this.content.clear()
    this.count = 0
    this.#last = 0
    return this
  }

  /** From 1. */
  number(memory: Memory, offset: number, length: number): number {
    if (this.#last > 0 && this.#is(this.#last, memory, offset, length)) return this.#last
    if (this.count * 2 >= this.#slots.length) this.#grow()
    const mask = this.#slots.length - 1
    let slot = keyHash(memory.view, offset, length) & mask
    for (;;) {
      const number = this.#slots[slot] as number
      if (number === 0) break
      if (this.#is(number, memory, offset, length)) {
        this.#last = number
        return number
      }
      slot = (slot + 1) & mask
    }
    const number = ++this.count
    this.content.varint(length)
    this.#starts[number - 1] = this.content.length
    this.#lengths[number - 1] = length
    this.content.copy(memory.bytes, offset, offset + length)
    this.#slots[slot] = number
    this.#last = number
    return number
  }

  #is(number: number, memory: Memory, offset: number, length: number): boolean {
    return (
      this.#lengths[number - 1] === length && isSameKey(this.content.view, this.#starts[number - 1] as number, memory.view, offset, length)
    )
  }

  #grow(): void {
    const mask = this.#slots.length * 2 - 1
    this.#slots = new Uint32Array(mask + 1)
    const starts = new Uint32Array(mask + 1)
    starts.set(this.#starts)
    this.#starts = starts
    const lengths = new Uint32Array(mask + 1)
    lengths.set(this.#lengths)
    this.#lengths = lengths
    for (let number = 1; number <= this.count; number++) {
      let slot = keyHash(this.content.view, starts[number - 1] as number, lengths[number - 1] as number) & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = number
    }
  }
}
