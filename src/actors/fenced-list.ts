import { fenceOf } from './fence.js'
import type { Slot } from './slot.js'
import type { FencedEntity } from './worker-options.js'

/** Entities of a worker that take no commands since they cannot be rebuilt. */
export class FencedList {
  /** By entity; stays while the entity is passive. */
  readonly #fenced = new Map<string, FencedEntity>()
  /** By entity. */
  readonly #shards = new Map<string, number>()
  readonly #told = new Set<string>()

  get count(): number {
    return this.#fenced.size
  }

  /** As far as they were loaded, in no order. */
  get entities(): readonly FencedEntity[] {
    return [...this.#fenced.values()]
  }

  /** Looks whether an entity that was loaded is fenced. */
  loaded(slot: Slot): void {
    const fence = slot.lostVersion === 0 ? undefined : fenceOf(slot)
    if (fence !== undefined) {
      this.#fenced.set(slot.id, { entity: slot.id, version: slot.lostVersion, code: fence.code })
      this.#shards.set(slot.id, slot.shard)
    } else if (this.#fenced.size > 0) this.#fenced.delete(slot.id)
  }

  /** These shards have left for another worker. */
  left(shards: ReadonlySet<number>): void {
    for (const [entity, shard] of this.#shards) if (shards.has(shard)) this.#fenced.delete(entity)
  }

  /** Those that were not taken before. */
  takeNew(): readonly FencedEntity[] {
    const entities = this.entities.filter(({ entity }) => !this.#told.has(entity))
    for (const { entity } of entities) this.#told.add(entity)
    return entities
  }
}
