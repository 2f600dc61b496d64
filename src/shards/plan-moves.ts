import { assert } from '#base/assert.js'
import type { Placement } from './placement.js'

/** One step of a change of the placement: the shard leaves a slot for another. */
export interface ShardMove {
  readonly shard: number
  readonly from: number
  readonly to: number
}

/** A slot that gives shards away, the last one first. */
interface Giver {
  readonly slot: number
  readonly shards: number[]
  /** Of those, so many stay. */
  readonly kept: number
}

/** A slot that gets some. */
interface Taker {
  readonly slot: number
  count: number
  /** So many it is to have in the end. */
  readonly wanted: number
}

/**
 * The fewest moves after which these slots, and no others, have all shards, and as many each as far as that can be. In an order in which the load stays even: the slot that has
 * the most gives next, that with the fewest takes. Slots that are to have none give last, and one after the other from the highest on, so that each is of use as long
 * as can be and empty as soon as can be.
 */
export function planMoves(placement: Pick<Placement, 'shardCount' | 'slotOf'>, slots: readonly number[]): readonly ShardMove[] {
  assert(slots.length > 0 && new Set(slots).size === slots.length, 'somebody has the shards, and is named once')
  const { shardCount } = placement
  const shardsBy = new Map<number, number[]>(slots.map((slot) => [slot, []]))
  for (let shard = 0; shard < shardCount; shard++) {
    const slot = placement.slotOf(shard)
    const shards = shardsBy.get(slot)
    if (shards === undefined) shardsBy.set(slot, [shard])
    else shards.push(shard)
  }
  const countOf = (slot: number): number => shardsBy.get(slot)?.length ?? 0
  // Those with the most keep the odd ones, which is fewer moves.
  const byCount = [...slots].sort((a, b) => countOf(b) - countOf(a) || a - b)
  const wanted = new Map(
    byCount.map((slot, rank) => [slot, Math.floor(shardCount / slots.length) + (rank < shardCount % slots.length ? 1 : 0)]),
  )

  const giving: Giver[] = []
  const taking: Taker[] = []
  for (const [slot, shards] of shardsBy) {
    const kept = wanted.get(slot) ?? 0
    if (shards.length > kept) giving.push({ slot, shards, kept })
    else if (shards.length < kept) taking.push({ slot, count: shards.length, wanted: kept })
  }
  const moves: ShardMove[] = []
  for (;;) {
    const giver = mostLoaded(giving.filter(({ slot }) => wanted.has(slot))) ?? highest(giving.filter(({ slot }) => !wanted.has(slot)))
    if (giver === undefined) break
    const taker = leastLoaded(taking)
    assert(taker !== undefined, 'every shard that is given is taken')
    moves.push({ shard: giver.shards.pop() as number, from: giver.slot, to: taker.slot })
    taker.count++
  }
  return moves
}

function mostLoaded(givers: readonly Giver[]): Giver | undefined {
  return first(givers.filter(hasMore), (a, b) => b.shards.length - a.shards.length || a.slot - b.slot)
}

function highest(givers: readonly Giver[]): Giver | undefined {
  return first(givers.filter(hasMore), (a, b) => b.slot - a.slot)
}

function leastLoaded(takers: readonly Taker[]): Taker | undefined {
  return first(
    takers.filter(({ count, wanted }) => count < wanted),
    (a, b) => a.count - b.count || a.slot - b.slot,
  )
}

function hasMore({ shards, kept }: Giver): boolean {
  return shards.length > kept
}

function first<T>(some: readonly T[], order: (a: T, b: T) => number): T | undefined {
  return [...some].sort(order)[0]
}
