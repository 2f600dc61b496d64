import { assert } from '#base/assert.js'
import type { EntityModel } from '#entity/index.js'
import { KnownEntities } from './known-entities.js'
import { Slot } from './slot.js'
import { NO_ROW } from './slot-layout.js'
import { SlotMemory } from './slot-memory.js'

const utf8 = new TextDecoder()

/**
 * The entities that a worker knows, and the slots of those that have one. An entity is a number, its index, for ever; a slot is there only while something of its entity is in memory. It is made when a
 * known entity is wanted, and let go when the entity is passive and nobody counts on it, so that an entity that is only known costs its id.
 *
 * What must always hold: an entity has one slot that is not gone at most, the one that stands in its record. So a slot is never made beside another one (`#make` alone makes them, where the record has
 * none), and one that is let go never comes back: its row is NO_ROW, it is passive for ever, and to make it anything else, or mark it, is a bug that ends the process.
 *
 * Who may hold a slot for longer than a turn, and why that one is not gone, or may be:
 *   - the load that it is in, and volatile commands that wait for that: it is loading, so it stays; the sweep of passivation: it is watched, and goes when the sweep has done with it; commands
 *     and readers that wait for it: they stand in it
 *   - lanes, commands held back by a full outbox, messages, reads and volatile commands that wait until something is durable: an entity with any of those is not passivated; where its state
 *     is dropped instead they are told, or find another outbox or state in it than theirs, which a slot that is gone never has again
 *   - targets of volatile commands, who sent them and who asked: may be gone, which they look for, and then find the entity anew; its id stays
 * Everything else that outlasts a turn (timers, what a load passes by, the hand of the snapshots) has the index.
 */
export class SlotTable {
  readonly #known = new KnownEntities()
  readonly #memory: SlotMemory
  /** By row, without gaps; none at NO_ROW. */
  readonly #slots: (Slot | undefined)[] = [undefined]
  /** By the number of the type. */
  readonly #models: EntityModel[] = []
  /** How many are known, by shard. */
  readonly #knownOf: number[]

  constructor(shardCount: number) {
    this.#memory = new SlotMemory(this.#known, shardCount)
    this.#knownOf = new Array<number>(shardCount).fill(0)
  }

  /** Of known entities: their indexes are the numbers below. */
  get count(): number {
    return this.#known.count
  }

  /** Of those that have a slot. */
  get slotCount(): number {
    return this.#slots.length - 1
  }

  knownOf(shard: number): number {
    return this.#knownOf[shard] as number
  }

  /** The slot of the entity whose id lies in `view`, where it has one. */
  peek(hash: number, view: DataView, offset: number, length: number): Slot | undefined {
    const index = this.#known.find(hash, view, offset, length)
    return index < 0 ? undefined : this.#slots[this.#known.rowAt(index)]
  }

  /** The same for any known entity: one that has no slot gets one. */
  find(hash: number, view: DataView, offset: number, length: number): Slot | undefined {
    const index = this.#known.find(hash, view, offset, length)
    return index < 0 ? undefined : this.at(index)
  }

  /** -1 where nobody knows the entity. */
  indexOf(id: Uint8Array, hash: number): number {
    return this.#known.find(hash, new DataView(id.buffer, id.byteOffset, id.length), 0, id.length)
  }

  /** A passive entity from now on; returns its index. Its id must not be known yet. */
  add(id: Uint8Array, hash: number, model: EntityModel): number {
    let type = this.#models.indexOf(model)
    if (type < 0) type = this.#models.push(model) - 1
    const shard = hash % this.#memory.shardCount
    this.#knownOf[shard] = this.knownOf(shard) + 1
    return this.#known.add(id, hash, type)
  }

  /** Where it has one. */
  peekAt(index: number): Slot | undefined {
    return this.#slots[this.#known.rowAt(index)]
  }

  at(index: number): Slot {
    return this.peekAt(index) ?? this.#make(index)
  }

  isPassive(index: number): boolean {
    const status = this.peekAt(index)?.status ?? 'passive'
    return status === 'passive'
  }

  modelAt(index: number): EntityModel {
    return this.#models[this.#known.typeAt(index)] as EntityModel
  }

  shardAt(index: number): number {
    return this.peekAt(index)?.shard ?? this.#known.hashAt(index) % this.#memory.shardCount
  }

  /** Each slot, which may be let go while it is looked at. */
  *all(): IterableIterator<Slot> {
    // From the last one on: where one goes, one that was looked at takes its place.
    for (let row = this.slotCount; row > 0; row--) yield this.#slots[row] as Slot
  }

  /** What the worker knows of its timers may be out of date. */
  forgetTimersOf(index: number): void {
    this.#known.setTimersKnown(index, false)
  }

  /** The same of all entities of these shards, also of those without a slot. */
  forgetTimers(shards: ReadonlySet<number>): void {
    const known = this.#known
    for (let index = 0; index < known.count; index++) {
      if (known.areTimersKnown(index) && shards.has(this.shardAt(index))) known.setTimersKnown(index, false)
    }
  }

  /** Lets go of a passive entity's slot, unless somebody counts on it. */
  tryLetGo(slot: Slot): void {
    if (slot.isGone || slot.isHeld) return
    const { row, index } = slot
    const last = this.#slots.pop() as Slot
    assert(this.#slots.length === row || this.#slots[row] === slot, 'a slot is where its record says')
    slot.letGo()
    this.#known.setRow(index, NO_ROW)
    this.#memory.removeRow(row)
    if (last === slot) return
    this.#slots[row] = last
    last.moveTo(row)
    this.#known.setRow(last.index, row)
  }

  #make(index: number): Slot {
    const known = this.#known
    const row = this.#memory.addRow()
    const slot = new Slot(utf8.decode(known.idAt(index)), index, known.hashAt(index), row, this.modelAt(index), this.#memory)
    assert(row === this.#slots.push(slot) - 1, 'slots lie as their rows do')
    known.setRow(index, row)
    return slot
  }
}
