import { assert } from '#base/assert.js'
import { type EntityId, shardOf } from '#base/ids.js'
import { isSameKey, keyHash } from './byte-key.js'
import type { EntityHead } from './journal.js'

/**
 * All entities of a log: name, shard, number within it, and the newest row. Typed arrays and one arena for the names, so a million entities
 * cost some 60 bytes each besides their names. There are two newest rows: the one that the next append must build on (`next`), and the
 * durable one that readers see; `settle` makes them one.
 */
export class EntityTable {
  readonly shardCount: number
  #count = 0
  #arena = Buffer.alloc(1 << 16)
  #arenaView = viewOf(this.#arena)
  #arenaEnd = 0
  #slots = new Int32Array(1 << 10).fill(-1)
  #shard = new Uint16Array(0)
  #number = new Uint32Array(0)
  #hash = new Int32Array(0)
  #nameStart = new Uint32Array(0)
  #nameBytes = new Uint8Array(0)
  nextVersion = new Uint32Array(0)
  nextTerm = new Uint32Array(0)
  nextNumber = new Uint32Array(0)
  #version = new Uint32Array(0)
  #term = new Uint32Array(0)
  #appendNumber = new Uint32Array(0)
  /** Per shard the entities by number. */
  readonly #byNumber: number[][]

  constructor(shardCount: number) {
    this.shardCount = shardCount
    this.#byNumber = Array.from({ length: shardCount }, () => [])
  }

  get count(): number {
    return this.#count
  }

  /** Index of the entity named by these bytes, or -1. */
  find(view: DataView, offset: number, length: number): number {
    const hash = keyHash(view, offset, length)
    const mask = this.#slots.length - 1
    let slot = hash & mask
    for (;;) {
      const index = this.#slots[slot] as number
      if (index < 0) return -1
      if (this.#hash[index] === hash && this.#isNamed(index, view, offset, length)) return index
      slot = (slot + 1) & mask
    }
  }

  findBytes(bytes: Uint8Array): number {
    return this.find(viewOf(bytes), 0, bytes.length)
  }

  findId(id: string): number {
    return this.findBytes(utf8.encode(id))
  }

  /** Adds an entity that is not there yet and gives it the next number of its shard. */
  add(bytes: Uint8Array, offset: number, length: number): number {
    if (this.#count === this.#shard.length) this.#grow()
    if (this.#count * 2 >= this.#slots.length) this.#rehash()
    const shard = shardOf(bytes, this.shardCount, offset, offset + length)
    const index = this.#count++
    const own = this.#byNumber[shard] as number[]
    this.#shard[index] = shard
    this.#number[index] = own.length
    while (this.#arenaEnd + length > this.#arena.length) this.#growArena()
    const start = this.#arenaEnd
    this.#nameStart[index] = start
    this.#nameBytes[index] = length
    for (let at = 0; at < length; at++) this.#arena[start + at] = bytes[offset + at] as number
    this.#arenaEnd += length
    this.#hash[index] = keyHash(this.#arenaView, start, length)
    own.push(index)
    this.#enter(index)
    return index
  }

  /** Index of the entity that blocks call by this number, or -1. */
  at(shard: number, number: number): number {
    return this.#byNumber[shard]?.[number] ?? -1
  }

  shardOf(index: number): number {
    return this.#shard[index] as number
  }

  numberOf(index: number): number {
    return this.#number[index] as number
  }

  name(index: number): EntityId {
    const start = this.#nameStart[index] as number
    return this.#arena.toString('utf8', start, start + (this.#nameBytes[index] as number)) as EntityId
  }

  nameBytes(index: number): Uint8Array {
    const start = this.#nameStart[index] as number
    return this.#arena.subarray(start, start + (this.#nameBytes[index] as number))
  }

  /** Makes the next row of an entity the durable one. */
  settle(index: number): void {
    this.#version[index] = this.nextVersion[index] as number
    this.#term[index] = this.nextTerm[index] as number
    this.#appendNumber[index] = this.nextNumber[index] as number
  }

  /** Sets both, when a log is read. */
  set(index: number, version: number, term: number, appendNumber: number): void {
    this.nextVersion[index] = version
    this.nextTerm[index] = term
    this.nextNumber[index] = appendNumber
    this.settle(index)
  }

  /** The newest durable row, or undefined when the entity has none. */
  head(index: number): EntityHead | undefined {
    const version = this.#version[index] as number
    if (version === 0) return undefined
    return {
      entity: this.name(index),
      shard: this.#shard[index] as number,
      number: this.#number[index] as number,
      version,
      term: this.#term[index] as number,
      appendNumber: this.#appendNumber[index] as number,
    }
  }

  /** Durable heads of a shard in order of their numbers. */
  *heads(shard: number): Generator<EntityHead> {
    const own = this.#byNumber[shard]
    assert(own !== undefined, 'a shard is below the shard count')
    for (let number = 0; number < own.length; number++) {
      const head = this.head(own[number] as number)
      if (head !== undefined) yield head
    }
  }

  #isNamed(index: number, view: DataView, offset: number, length: number): boolean {
    return this.#nameBytes[index] === length && isSameKey(this.#arenaView, this.#nameStart[index] as number, view, offset, length)
  }

  #growArena(): void {
    const grown = Buffer.alloc(this.#arena.length * 2)
    grown.set(this.#arena)
    this.#arena = grown
    this.#arenaView = viewOf(grown)
  }

  #enter(index: number): void {
    const mask = this.#slots.length - 1
    let slot = (this.#hash[index] as number) & mask
    while ((this.#slots[slot] as number) >= 0) slot = (slot + 1) & mask
    this.#slots[slot] = index
  }

  #rehash(): void {
    this.#slots = new Int32Array(this.#slots.length * 4).fill(-1)
    for (let index = 0; index < this.#count; index++) this.#enter(index)
  }

  #grow(): void {
    const count = Math.max(256, this.#shard.length * 2)
    const grown = (from: Uint32Array): Uint32Array<ArrayBuffer> => {
      const to = new Uint32Array(count)
      to.set(from)
      return to
    }
    const shard = new Uint16Array(count)
    shard.set(this.#shard)
    this.#shard = shard
    const nameBytes = new Uint8Array(count)
    nameBytes.set(this.#nameBytes)
    this.#nameBytes = nameBytes
    this.#number = grown(this.#number)
    const hash = new Int32Array(count)
    hash.set(this.#hash)
    this.#hash = hash
    this.#nameStart = grown(this.#nameStart)
    this.nextVersion = grown(this.nextVersion)
    this.nextTerm = grown(this.nextTerm)
    this.nextNumber = grown(this.nextNumber)
    this.#version = grown(this.#version)
    this.#term = grown(this.#term)
    this.#appendNumber = grown(this.#appendNumber)
  }
}

const utf8 = new TextEncoder()

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
