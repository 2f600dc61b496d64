import { sha256 } from '#base/hash.js'
import { BlockBuilder } from './block-builder.js'
import type { BlockEntities } from './block-format.js'
import type { EntityTable } from './entity-table.js'
import type { EventTypes } from './event-types.js'
import type { RejectedAppend } from './journal.js'
import { Marks } from './marks.js'

/** One batch from when its frames are judged until its block is durable. Used again and again. */
export class TakenBatch {
  readonly builder: BlockBuilder
  readonly marks = new Marks()
  /** Entities that the log did not know before. */
  readonly created: number[] = []
  basePosition = 0
  rowCount = 0
  known = 0
  rejected: RejectedAppend[] = []
  #block: Buffer = Buffer.alloc(0)
  #hash: Uint8Array | undefined
  // The newest rows that it makes, one per append, in order.
  #touchedCount = 0
  #entity = new Uint32Array(0)
  #version = new Uint32Array(0)
  #term = new Uint32Array(0)
  #number = new Uint32Array(0)

  constructor(types: EventTypes) {
    this.builder = new BlockBuilder(types)
  }

  begin(basePosition: number): this {
    this.basePosition = basePosition
    this.rowCount = 0
    this.known = 0
    this.rejected = []
    this.marks.clear()
    this.created.length = 0
    this.#touchedCount = 0
    this.#hash = undefined
    this.builder.rows.clear()
    return this
  }

  get endPosition(): number {
    return this.basePosition + this.rowCount
  }

  /** As it is stored; stays as it is until `begin`. */
  get block(): Buffer {
    return this.#block
  }

  /** Of the block; undefined when it has none. Worked out when it is first asked for: while the disk is busy with the block, or for the next one. */
  get hash(): Uint8Array | undefined {
    if (this.rowCount > 0) this.#hash ??= sha256(this.#block)
    return this.#hash
  }

  touch(entity: number, version: number, term: number, number: number): void {
    const index = this.#touchedCount++
    if (index === this.#entity.length) this.#grow()
    this.#entity[index] = entity
    this.#version[index] = version
    this.#term[index] = term
    this.#number[index] = number
  }

  encode(previousHash: Uint8Array, newEntities: readonly BlockEntities[]): void {
    const { builder, basePosition } = this
    const { rowCount } = builder.rows
    this.#block = builder.finish({ basePosition, previousHash, marks: [...this.marks], newEntities })
    this.rowCount = rowCount
  }

  /** Its rows are durable: they become the newest ones that readers see. */
  settle(entities: EntityTable): void {
    for (let index = 0; index < this.#touchedCount; index++) {
      entities.settle(
        this.#entity[index] as number,
        this.#version[index] as number,
        this.#term[index] as number,
        this.#number[index] as number,
      )
    }
  }

  #grow(): void {
    const grown = (from: Uint32Array) => {
      const to = new Uint32Array(Math.max(256, from.length * 2))
      to.set(from)
      return to
    }
    this.#entity = grown(this.#entity)
    this.#version = grown(this.#version)
    this.#term = grown(this.#term)
    this.#number = grown(this.#number)
  }
}
