import { hash32 } from '#base/hash.js'
import { isSameKey } from '#journal/byte-key.js'

/** In an entity's record. */
const ID_AT = 0
/** The length of the id in its lowest byte, then a bit, and the number of the type in the upper half. */
const ABOUT = 1
/** The row of its Slot; 0 while it has none. */
const ROW = 2
const RECORD_WORDS = 3

const ID_LENGTH = 0xff
const ARE_TIMERS_KNOWN = 0x100
const TYPE_SHIFT = 16

const RECORDS_MIN = 1024
const PLACES_MIN = 1024
const ID_BYTES_MIN = 1 << 16

/**
 * What a worker keeps of each entity that it knows, also of those of which it has nothing else: the id's bytes, and a record of 12 bytes. Entities have numbers from 0 on, in the order in which they came;
 * they are never removed, since a known entity stays known. Looked up by the id's bytes as they lie in a frame, so that no string is made per command: open addressing with linear
 * probing over the id's hash32, which stands in the table so that only the right record is touched; at most half full. The hash is mixed first: its remainder chose the shard and
 * so the worker, and what is left of its low bits is the same for many. A million of them with ids of 11 bytes take some 41 bytes each, with all room to grow (bench/actors.ts).
 */
export class KnownEntities {
  /** Replaced when they grow. */
  #records = new Uint32Array(RECORDS_MIN * RECORD_WORDS)
  /** Two words a place: the hash, and the entity's number + 1; 0 where there is none. */
  #table = new Int32Array(PLACES_MIN * 2)
  #mask = PLACES_MIN - 1
  /** Of all ids, one behind the other. Replaced when they grow. */
  #octets = new Uint8Array(ID_BYTES_MIN)
  #bytes = new DataView(this.#octets.buffer)
  #bytesEnd = 0
  #count = 0

  get count(): number {
    return this.#count
  }

  /** The number of the entity whose id lies in `view`; -1 where nobody knows it. */
  find(hash: number, view: DataView, offset: number, length: number): number {
    const table = this.#table
    const records = this.#records
    const wanted = hash | 0
    for (let place = mix(hash) & this.#mask; ; place = (place + 1) & this.#mask) {
      const index = (table[2 * place + 1] as number) - 1
      if (index < 0) return -1
      if (table[2 * place] !== wanted) continue
      const at = index * RECORD_WORDS
      const isAsLong = ((records[at + ABOUT] as number) & ID_LENGTH) === length
      if (isAsLong && isSameKey(this.#bytes, records[at + ID_AT] as number, view, offset, length)) return index
    }
  }

  /** The number of an entity that has none yet. `type`: any number below 65,536. */
  add(id: Uint8Array, hash: number, type: number): number {
    const index = this.#count++
    const at = index * RECORD_WORDS
    if (at === this.#records.length) this.#records = grown(this.#records, new Uint32Array(withRoom(RECORD_WORDS * index, RECORD_WORDS)))
    this.#records[at + ID_AT] = this.#keep(id)
    this.#records[at + ABOUT] = id.length | (type << TYPE_SHIFT)
    if (this.#count * 2 > this.#mask) this.#growTable()
    this.#place(hash, index + 1)
    return index
  }

  idLengthAt(index: number): number {
    return this.#about(index) & ID_LENGTH
  }

  /** Over memory that may be another one later. */
  idAt(index: number): Uint8Array {
    const start = this.#records[index * RECORD_WORDS + ID_AT] as number
    return this.#octets.subarray(start, start + this.idLengthAt(index))
  }

  /** Found out anew: for where nobody is in a hurry. */
  hashAt(index: number): number {
    const start = this.#records[index * RECORD_WORDS + ID_AT] as number
    return hash32(this.#octets, start, start + this.idLengthAt(index))
  }

  typeAt(index: number): number {
    return this.#about(index) >>> TYPE_SHIFT
  }

  rowAt(index: number): number {
    return this.#records[index * RECORD_WORDS + ROW] as number
  }

  setRow(index: number, row: number): void {
    this.#records[index * RECORD_WORDS + ROW] = row
  }

  areTimersKnown(index: number): boolean {
    return (this.#about(index) & ARE_TIMERS_KNOWN) !== 0
  }

  setTimersKnown(index: number, areKnown: boolean): void {
    const about = this.#about(index)
    this.#records[index * RECORD_WORDS + ABOUT] = areKnown ? about | ARE_TIMERS_KNOWN : about & ~ARE_TIMERS_KNOWN
  }

  #about(index: number): number {
    return this.#records[index * RECORD_WORDS + ABOUT] as number
  }

  #keep(id: Uint8Array): number {
    const at = this.#bytesEnd
    this.#bytesEnd += id.length
    if (this.#bytesEnd > this.#octets.length) {
      this.#octets = grown(this.#octets, new Uint8Array(withRoom(this.#octets.length, 1)))
      this.#bytes = new DataView(this.#octets.buffer)
    }
    this.#octets.set(id, at)
    return at
  }

  #place(hash: number, number: number): void {
    let place = mix(hash) & this.#mask
    while (this.#table[2 * place + 1] !== 0) place = (place + 1) & this.#mask
    this.#table[2 * place] = hash
    this.#table[2 * place + 1] = number
  }

  /** The hashes are read where they lie side by side. */
  #growTable(): void {
    const former = this.#table
    this.#table = new Int32Array(former.length * 2)
    this.#mask = former.length - 1
    for (let at = 0; at < former.length; at += 2) if (former[at + 1] !== 0) this.#place(former[at] as number, former[at + 1] as number)
  }
}

/** A quarter more: room that nobody uses costs each entity. In whole `units`. */
export function withRoom(length: number, unit: number): number {
  return length + Math.ceil(length / 4 / unit) * unit
}

export function grown<T extends Float64Array | Uint32Array | Uint8Array>(former: T, larger: T): T {
  larger.set(former)
  return larger
}

function mix(hash: number): number {
  const spread = Math.imul(hash, 0x9e3779b1)
  return spread ^ (spread >>> 15)
}
