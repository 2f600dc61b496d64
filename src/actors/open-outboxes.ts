import { decodeSnapshot, hasOutbox } from '#entity/index.js'
import type { ReplayRow } from '#journal/block-replay.js'
import { LIFECYCLE_EVENT, MESSAGE_EVENT } from '#schema/index.js'
import type { EventNumbers } from './event-numbers.js'
import type { SlotTable } from './slot-table.js'

/** Stands for messages of which nothing but that there may be some is known. */
const UNKNOWN = 0

/**
 * Finds, among entities that a load passes by and leaves passive, those that have told something that is not over, from the snapshots and rows that come anyhow: they have to be live for
 * it to go on. Folds no state, and has entities by their indexes, since they need no slot.
 */
export class OpenOutboxes {
  readonly #numbers: EventNumbers
  readonly #slots: SlotTable
  /** By shard, then by number there. */
  readonly #passive = new Map<number, (number | undefined)[]>()
  readonly #open = new Map<number, Set<number>>()

  constructor(numbers: EventNumbers, slots: SlotTable) {
    this.#numbers = numbers
    this.#slots = slots
  }

  clear(): void {
    this.#passive.clear()
    this.#open.clear()
  }

  watch(shard: number, number: number, entity: number): void {
    const entities = this.#passive.get(shard) ?? []
    entities[number] = entity
    this.#passive.set(shard, entities)
  }

  isWatching(shard: number): boolean {
    return this.#passive.has(shard)
  }

  takeSnapshot(shard: number, number: number, bytes: Uint8Array): void {
    const entity = this.#passive.get(shard)?.[number]
    if (entity === undefined || !hasOutbox(bytes)) return
    const snapshot = decodeSnapshot(this.#slots.modelAt(entity), bytes)
    if (snapshot.kind === 'ok') snapshot.outbox?.forEach((message) => this.#openOf(entity).add(message.number))
    else this.#openOf(entity).add(UNKNOWN)
  }

  /** Rows of an entity come in order. */
  takeRow(shard: number, row: ReplayRow): void {
    const entity = this.#passive.get(shard)?.[row.entityNumber]
    const event = entity === undefined ? undefined : this.#numbers.outboxEvent(row.typeNumber)
    if (entity === undefined || event === undefined || event === LIFECYCLE_EVENT) return
    const { number, outcome, due } = row.data() as { readonly number: number; readonly outcome?: string; readonly due?: number }
    if (event === MESSAGE_EVENT) this.#openOf(entity).add(number)
    else if (due === undefined && outcome !== 'timed-out') this.#open.get(entity)?.delete(number)
  }

  /** Those that are passive still. */
  found(): number[] {
    return [...this.#open].flatMap(([entity, numbers]) => (numbers.size > 0 && this.#slots.isPassive(entity) ? [entity] : []))
  }

  #openOf(entity: number): Set<number> {
    const open = this.#open.get(entity) ?? new Set()
    this.#open.set(entity, open)
    return open
  }
}
