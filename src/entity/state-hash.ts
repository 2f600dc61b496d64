import { assert } from '#base/assert.js'
import { sha256 } from '#base/hash.js'
import { encodeCanonical } from './canonical.js'
import type { Outbox } from './outbox.js'

export const STATE_HASH_BYTES = 32

/**
 * SHA-256 over id, version, state and outbox in canonical encoding. Equal exactly when all of them are. An entity that never told anything has no outbox. Throws
 * ERR_STATE_NOT_PLAIN naming the path.
 */
export function entityHash(id: string, version: number, state: unknown, outbox?: Outbox): Uint8Array {
  const parts = outbox === undefined ? [id, version, state] : [id, version, state, outbox.toPlain()]
  return new Uint8Array(sha256(encodeCanonical(parts)))
}

/**
 * One hash over the states of many entities, taken in any order and in several processes: the XOR of their hashes. XOR forgets the order, which is
 * what lets workers hash in parallel; it would also forget an entity added twice, but ids are unique, and each hash covers its id. It finds
 * accidents: somebody who may choose states could forge it.
 */
export class PlantHash {
  readonly #digest = new Uint8Array(STATE_HASH_BYTES)

  /** Adds one entity. Adding it once more, with the same version and state, takes it out again. */
  add(id: string, version: number, state: unknown, outbox?: Outbox): void {
    this.#xor(entityHash(id, version, state, outbox))
  }

  /** Adds the entities of another, which may come from another process as hex digits. Each entity belongs to one of the two. */
  merge(other: PlantHash | string): void {
    const bytes = typeof other === 'string' ? Buffer.from(other, 'hex') : other.#digest
    assert(bytes.length === STATE_HASH_BYTES, 'a plant hash has 64 hex digits')
    this.#xor(bytes)
  }

  /** 64 digits; all zero without entities. */
  hex(): string {
    return Buffer.from(this.#digest).toString('hex')
  }

  #xor(bytes: Uint8Array): void {
    for (let index = 0; index < STATE_HASH_BYTES; index++) this.#digest[index] = (this.#digest[index] as number) ^ (bytes[index] as number)
  }
}
