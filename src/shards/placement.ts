import { assert } from '#base/assert.js'

/** A log has no more shards. */
const SHARDS_MAX = 65_536
const HEADER_WORDS = 2
const CHANGES = 0
const SHARD_COUNT = 1
/** Beside the worker slot. */
const HELD = 1 << 30

/** What the memory of a placement takes. */
export const PLACEMENT_BYTES = (HEADER_WORDS + SHARDS_MAX) * 4

/**
 * Which worker slot has which shard: one word a shard, in memory that all processes of a plant share and its supervisor alone writes. While a shard moves from one
 * worker to another it is held: nobody sends it anything new.
 */
export class Placement {
  readonly #words: Int32Array

  /** Over memory of PLACEMENT_BYTES at least, zeroed or laid out before. */
  constructor(buffer: ArrayBufferLike) {
    this.#words = new Int32Array(buffer)
  }

  /** In memory of its own. */
  static even(shardCount: number, workerCount: number): Placement {
    const placement = new Placement(new SharedArrayBuffer((HEADER_WORDS + shardCount) * 4))
    placement.spread(shardCount, workerCount)
    return placement
  }

  /** 0 before it was spread. */
  get shardCount(): number {
    return Atomics.load(this.#words, SHARD_COUNT)
  }

  /** Counts every change: another number means that something may have moved. */
  get changes(): number {
    return Atomics.load(this.#words, CHANGES)
  }

  /** The worker slot that has the shard. */
  slotOf(shard: number): number {
    return Atomics.load(this.#words, HEADER_WORDS + shard) & ~HELD
  }

  isHeld(shard: number): boolean {
    return (Atomics.load(this.#words, HEADER_WORDS + shard) & HELD) !== 0
  }

  /** Ascending. */
  shardsOf(slot: number): readonly number[] {
    const shards: number[] = []
    for (let shard = 0; shard < this.shardCount; shard++) if (this.slotOf(shard) === slot) shards.push(shard)
    return shards
  }

  /** The worker slots that have shards, ascending. */
  slots(): readonly number[] {
    const slots = new Set<number>()
    for (let shard = 0; shard < this.shardCount; shard++) slots.add(this.slotOf(shard))
    return [...slots].sort((a, b) => a - b)
  }

  /** Gives all shards to the first slots in turns, so that their numbers differ by one at most. For who starts a plant. */
  spread(shardCount: number, workerCount: number): void {
    assert(shardCount >= 1 && shardCount <= this.#words.length - HEADER_WORDS, 'the memory holds a word for each shard')
    assert(workerCount > 0, 'somebody has the shards')
    for (let shard = 0; shard < shardCount; shard++) Atomics.store(this.#words, HEADER_WORDS + shard, shard % workerCount)
    Atomics.store(this.#words, SHARD_COUNT, shardCount)
    this.#changed()
  }

  hold(shards: readonly number[]): void {
    for (const shard of shards) Atomics.or(this.#words, HEADER_WORDS + shard, HELD)
    this.#changed()
  }

  /** They stay held. */
  move(shards: readonly number[], slot: number): void {
    for (const shard of shards) {
      assert(this.isHeld(shard), 'a shard is held while it moves')
      Atomics.store(this.#words, HEADER_WORDS + shard, slot | HELD)
    }
    this.#changed()
  }

  /** Whoever has something for them may send it. */
  free(shards: readonly number[]): void {
    for (const shard of shards) Atomics.and(this.#words, HEADER_WORDS + shard, ~HELD)
    this.#changed()
  }

  #changed(): void {
    Atomics.add(this.#words, CHANGES, 1)
  }
}
