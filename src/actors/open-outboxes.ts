import { decodeSnapshot, hasOutbox } from '#entity/index.js'
import type { ReplayRow } from '#journal/block-replay.js'
import { LIFECYCLE_EVENT, MESSAGE_EVENT } from '#schema/index.js'
import type { EventNumbers } from './event-numbers.js'
import type { Slot } from './slot.js'

/** Stands for messages of which nothing but that there may be some is known. */
const UNKNOWN = 0

/**
 * Finds, among entities that a load passes by and leaves passive, those that have told something that is not over, from the snapshots and rows that come anyhow: they have to be live for
 * it to go on. Folds no state.
 */
export class OpenOutboxes {
  readonly #numbers: EventNumbers
  /** By shard, then by number there. */
  readonly #passive = new Map<number, (Slot | undefined)[]>()
  readonly #open = new Map<Slot, Set<number>>()

  constructor(numbers: EventNumbers) {
    this.#numbers = numbers
  }

  clear(): void {
    this.#passive.clear()
    this.#open.clear()
  }

  watch(shard: number, number: number, slot: Slot): void {
    const slots = this.#passive.get(shard) ?? []
    slots[number] = slot
    this.#passive.set(shard, slots)
  }

  isWatching(shard: number): boolean {
    return this.#passive.has(shard)
  }

  takeSnapshot(shard: number, number: number, bytes: Uint8Array): void {
    const slot = this.#passive.get(shard)?.[number]
    if (slot === undefined || !hasOutbox(bytes)) return
    const snapshot = decodeSnapshot(slot.model, bytes)
    if (snapshot.kind === 'ok') snapshot.outbox?.forEach((message) => this.#openOf(slot).add(message.number))
    else this.#openOf(slot).add(UNKNOWN)
  }

  /** Rows of an entity come in order. */
  takeRow(shard: number, row: ReplayRow): void {
    const slot = this.#passive.get(shard)?.[row.entityNumber]
    const event = slot === undefined ? undefined : this.#numbers.outboxEvent(row.typeNumber)
    if (slot === undefined || event === undefined || event === LIFECYCLE_EVENT) return
    const { number, outcome, due } = row.data() as { readonly number: number; readonly outcome?: string; readonly due?: number }
    if (event === MESSAGE_EVENT) this.#openOf(slot).add(number)
    else if (due === undefined && outcome !== 'timed-out') this.#open.get(slot)?.delete(number)
  }

  /** Those that are passive still. */
  found(): Slot[] {
    return [...this.#open].flatMap(([slot, numbers]) => (numbers.size > 0 && slot.status === 'passive' ? [slot] : []))
  }

  #openOf(slot: Slot): Set<number> {
    const open = this.#open.get(slot) ?? new Set()
    this.#open.set(slot, open)
    return open
  }
}
