import type { EntityTable } from './entity-table.js'
import type { Snapshot } from './journal.js'

interface Doubt {
  /** Up to this version there are rows. */
  sure: number
  /** Whether there may be more. */
  isOpen: boolean
}

/** The writer of a row that cannot be read: no append can name it, since terms begin at 1. */
const UNKNOWN = 0

/**
 * Entities whose newest row is not known, since it stands or may stand in a block that cannot be read. Nothing may be appended to them: which row they would build on is
 * not known. In the table their newest row is one by an unknown writer: the one that is known to be there, or else the first one that there may be. So whoever
 * rebuilds such an entity finds that it lacks a row, and fences it. A row of it that is found behind the damage ends the doubt: it tells how many came before.
 */
export class DoubtfulHeads {
  readonly #entities: EntityTable
  readonly #doubts = new Map<number, Doubt>()
  /** How many are of each shard. */
  readonly #counts = new Map<number, number>()

  constructor(entities: EntityTable) {
    this.#entities = entities
  }

  get count(): number {
    return this.#doubts.size
  }

  has(entity: number): boolean {
    return this.#doubts.size > 0 && this.#doubts.has(entity)
  }

  /** Whether one of the shard's is among them. */
  hasOf(shard: number): boolean {
    return (this.#counts.get(shard) ?? 0) > 0
  }

  /** Rows of the entity up to this version are there; who wrote it is not known. */
  hit(entity: number, version: number): void {
    this.#doubt(entity, { sure: version, isOpen: false })
  }

  /** So many rows of the entity come behind those that are known. */
  hitBy(entity: number, rowCount: number): void {
    this.#doubt(entity, { sure: this.sureVersion(entity) + rowCount, isOpen: this.#doubts.get(entity)?.isOpen === true })
  }

  /** Any number of rows of the entity may be there, behind the ones that are known. */
  mayHit(entity: number): void {
    this.#doubt(entity, { sure: this.sureVersion(entity), isOpen: true })
  }

  /** Up to which version there are rows of the entity for certain. */
  sureVersion(entity: number): number {
    return this.#doubts.get(entity)?.sure ?? this.#entities.nextVersion(entity)
  }

  /** Whether a row of this version can be the one that comes behind those that are known. */
  isNext(entity: number, version: number): boolean {
    const doubt = this.#doubts.get(entity)
    const sure = this.sureVersion(entity)
    return doubt?.isOpen === true ? version > sure : version === sure + 1
  }

  /** A row that can be read is the newest one. */
  settle(entity: number): void {
    if (this.#doubts.delete(entity)) this.#count(entity, -1)
  }

  /** Looks for snapshots that say more: an entity has the rows that its snapshot covers, and is as it says where these are all. */
  compare(snapshotOf: (entity: number) => Snapshot | undefined): void {
    for (const [entity, { sure, isOpen }] of [...this.#doubts]) {
      const snapshot = snapshotOf(entity)
      if (snapshot === undefined || snapshot.version < sure) continue
      if (isOpen) this.#doubt(entity, { sure: snapshot.version, isOpen })
      else if (snapshot.version === sure) {
        this.#entities.set(entity, sure, snapshot.term, snapshot.appendNumber)
        this.settle(entity)
      }
    }
  }

  #doubt(entity: number, doubt: Doubt): void {
    if (!this.#doubts.has(entity)) this.#count(entity, 1)
    this.#doubts.set(entity, doubt)
    this.#entities.set(entity, doubt.isOpen ? doubt.sure + 1 : doubt.sure, UNKNOWN, UNKNOWN)
  }

  #count(entity: number, change: number): void {
    const shard = this.#entities.shardOf(entity)
    this.#counts.set(shard, (this.#counts.get(shard) ?? 0) + change)
  }
}
