import { assert } from '#base/assert.js'
import { type EntityId, shardOf } from '#base/ids.js'
import { isSameKey, keyHash } from './byte-key.js'
import type { EntityLookups } from './entity-lookups.js'
import type { EntityHead } from './journal.js'

// An entity's row of words: a cache line of its own, as nearly every append is to another entity than the one before.
const HASH = 0
const NAME_START = 1
const NAME_BYTES = 2
const SHARD = 3
/** Within its shard. */
const NUMBER = 4
/** The newest row, that the next append must build on: version, writer term, append number. */
const NEXT_VERSION = 5
const NEXT_TERM = 6
const NEXT_NUMBER = 7
/** The newest durable row. */
const VERSION = 8
const TERM = 9
const APPEND_NUMBER = 10
const ROW_WORDS = 16

/**
 * All entities of a log: name, shard, number within it, and the newest row. Words in rows and one arena for the names, so a million entities cost some
 * 80 bytes each besides their names. There are two newest rows: the one that the next append must build on, and the durable one that readers see;
 * `settle` makes them one.
 */
export class EntityTable {
  readonly shardCount: number
  #count = 0
  #arena = Buffer.alloc(1 << 16)
  #arenaView = viewOf(this.#arena)
  #arenaEnd = 0
  #rows = new Uint32Array(256 * ROW_WORDS)
  /** Two words a place: hash, and index + 1; 0 where there is none. */
  #places = new Int32Array(2 << 10)
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
    const places = this.#places
    const mask = places.length - 1
    for (let place = (hash << 1) & mask; ; place = (place + 2) & mask) {
      const index = (places[place + 1] as number) - 1
      if (index < 0) return -1
      if (places[place] === hash && this.#isNamed(index, view, offset, length)) return index
    }
  }

  /**
   * Finds many. One by one each would wait for memory by itself, three times over; step by step the waits of all are one (group prefetching, Chen et
   * al. 2004).
   */
  findAll(lookups: EntityLookups): void {
    const { count, views, offsets, lengths, hashes, found } = lookups
    for (let at = 0; at < count; at++) {
      hashes[at] = keyHash(views[at] as DataView, offsets[at] as number, lengths[at] as number)
    }
    const places = this.#places
    const mask = places.length - 1
    for (let at = 0; at < count; at++) {
      const place = ((hashes[at] as number) << 1) & mask
      found[at] = places[place] === hashes[at] ? (places[place + 1] as number) - 1 : -1
    }
    const rows = this.#rows
    for (let at = 0; at < count; at++) {
      const index = found[at] as number
      if (index >= 0 && rows[index * ROW_WORDS + NAME_BYTES] !== lengths[at]) found[at] = -1
    }
    for (let at = 0; at < count; at++) {
      const index = found[at] as number
      const view = views[at] as DataView
      const isThere = index >= 0 && this.#isNamed(index, view, offsets[at] as number, lengths[at] as number)
      // Another may have the place that would be its first.
      if (!isThere) found[at] = this.find(view, offsets[at] as number, lengths[at] as number)
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
    if ((this.#count + 1) * ROW_WORDS > this.#rows.length) this.#growRows()
    if (this.#count * 4 >= this.#places.length) this.#growPlaces()
    const shard = shardOf(bytes, this.shardCount, offset, offset + length)
    const index = this.#count++
    const own = this.#byNumber[shard] as number[]
    while (this.#arenaEnd + length > this.#arena.length) this.#growArena()
    const start = this.#arenaEnd
    for (let at = 0; at < length; at++) this.#arena[start + at] = bytes[offset + at] as number
    this.#arenaEnd += length
    const rows = this.#rows
    const row = index * ROW_WORDS
    rows[row + HASH] = keyHash(this.#arenaView, start, length)
    rows[row + NAME_START] = start
    rows[row + NAME_BYTES] = length
    rows[row + SHARD] = shard
    rows[row + NUMBER] = own.length
    own.push(index)
    this.#enter(index)
    return index
  }

  /** Index of the entity that blocks call by this number, or -1. */
  at(shard: number, number: number): number {
    return this.#byNumber[shard]?.[number] ?? -1
  }

  shardOf(index: number): number {
    return this.#rows[index * ROW_WORDS + SHARD] as number
  }

  numberOf(index: number): number {
    return this.#rows[index * ROW_WORDS + NUMBER] as number
  }

  name(index: number): EntityId {
    const start = this.#rows[index * ROW_WORDS + NAME_START] as number
    return this.#arena.toString('utf8', start, start + this.#nameLength(index)) as EntityId
  }

  nameBytes(index: number): Uint8Array {
    const start = this.#rows[index * ROW_WORDS + NAME_START] as number
    return this.#arena.subarray(start, start + this.#nameLength(index))
  }

  /** Version of the row that the next append must build on, 0 when the entity has none. */
  nextVersion(index: number): number {
    return this.#rows[index * ROW_WORDS + NEXT_VERSION] as number
  }

  /** Whether that row has this version and was written by this append. */
  isNext(index: number, version: number, term: number, appendNumber: number): boolean {
    const rows = this.#rows
    const row = index * ROW_WORDS
    return rows[row + NEXT_VERSION] === version && rows[row + NEXT_TERM] === term && rows[row + NEXT_NUMBER] === appendNumber
  }

  /** Makes a row the one that the next append must build on. */
  advance(index: number, version: number, term: number, appendNumber: number): void {
    const rows = this.#rows
    const row = index * ROW_WORDS
    rows[row + NEXT_VERSION] = version
    rows[row + NEXT_TERM] = term
    rows[row + NEXT_NUMBER] = appendNumber
  }

  /** Makes a row the newest durable one. */
  settle(index: number, version: number, term: number, appendNumber: number): void {
    const rows = this.#rows
    const row = index * ROW_WORDS
    rows[row + VERSION] = version
    rows[row + TERM] = term
    rows[row + APPEND_NUMBER] = appendNumber
  }

  /** Sets both, when a log is read. */
  set(index: number, version: number, term: number, appendNumber: number): void {
    this.advance(index, version, term, appendNumber)
    this.settle(index, version, term, appendNumber)
  }

  /** The newest durable row, or undefined when the entity has none. */
  head(index: number): EntityHead | undefined {
    const rows = this.#rows
    const row = index * ROW_WORDS
    const version = rows[row + VERSION] as number
    if (version === 0) return undefined
    return {
      entity: this.name(index),
      shard: rows[row + SHARD] as number,
      number: rows[row + NUMBER] as number,
      version,
      term: rows[row + TERM] as number,
      appendNumber: rows[row + APPEND_NUMBER] as number,
    }
  }

  /** How many entities of a shard have a number. */
  countOf(shard: number): number {
    return (this.#byNumber[shard] as number[]).length
  }

  /** Version, writer term and append number of the newest durable row; 0 without one. */
  version(index: number): number {
    return this.#rows[index * ROW_WORDS + VERSION] as number
  }
  term(index: number): number {
    return this.#rows[index * ROW_WORDS + TERM] as number
  }
  appendNumber(index: number): number {
    return this.#rows[index * ROW_WORDS + APPEND_NUMBER] as number
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

  #nameLength(index: number): number {
    return this.#rows[index * ROW_WORDS + NAME_BYTES] as number
  }

  #isNamed(index: number, view: DataView, offset: number, length: number): boolean {
    const rows = this.#rows
    const row = index * ROW_WORDS
    return rows[row + NAME_BYTES] === length && isSameKey(this.#arenaView, rows[row + NAME_START] as number, view, offset, length)
  }

  #growArena(): void {
    const grown = Buffer.alloc(this.#arena.length * 2)
    grown.set(this.#arena)
    this.#arena = grown
    this.#arenaView = viewOf(grown)
  }

  #enter(index: number): void {
    const places = this.#places
    const mask = places.length - 1
    const hash = (this.#rows[index * ROW_WORDS + HASH] as number) | 0
    let place = (hash << 1) & mask
    while (places[place + 1] !== 0) place = (place + 2) & mask
    places[place] = hash
    places[place + 1] = index + 1
  }

  #growPlaces(): void {
    this.#places = new Int32Array(this.#places.length * 4)
    for (let index = 0; index < this.#count; index++) this.#enter(index)
  }

  #growRows(): void {
    const grown = new Uint32Array(this.#rows.length * 2)
    grown.set(this.#rows)
    this.#rows = grown
  }
}

const utf8 = new TextEncoder()

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
}
