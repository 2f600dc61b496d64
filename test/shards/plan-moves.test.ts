import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Placement } from '#shards/placement.js'
import { planMoves, type ShardMove } from '#shards/plan-moves.js'

/** A placement in which shard n is with the n-th slot of the list. */
function placed(slots: readonly number[]): Placement {
  const placement = Placement.even(slots.length, 1)
  for (const [shard, slot] of slots.entries()) move(placement, { shard, from: 0, to: slot })
  return placement
}

function move(placement: Placement, { shard, to }: ShardMove): void {
  placement.hold([shard])
  placement.move([shard], to)
  placement.free([shard])
}

function counts(placement: Placement, slots: Iterable<number>): number[] {
  return [...slots].map((slot) => placement.shardsOf(slot).length)
}

describe('a plan of moves', () => {
  test('to one more worker takes from the others in turns, so that none has much more than its share on the way', () => {
    const placement = Placement.even(64, 2)
    const moves = planMoves(placement, [0, 1, 2])
    const spreads = moves.map((step) => {
      move(placement, step)
      const [a = 0, b = 0] = counts(placement, [0, 1])
      return Math.abs(a - b)
    })

    expect(moves.length).toBe(21)
    expect(Math.max(...spreads)).toBe(1)
    expect(counts(placement, [0, 1, 2])).toEqual([22, 21, 21])
  })

  test('away from the last workers empties the highest one first, and gives to whoever has the fewest', () => {
    const placement = Placement.even(12, 4)
    const moves = planMoves(placement, [0, 1])

    expect(moves.map(({ from }) => from)).toEqual([3, 3, 3, 2, 2, 2])
    expect(moves.map(({ to }) => to)).toEqual([0, 1, 0, 1, 0, 1])
  })

  test('is empty when everybody has a share already', () => {
    expect(planMoves(Placement.even(64, 3), [0, 1, 2])).toEqual([])
  })

  test('lets those keep the odd shards that have the most', () => {
    expect(planMoves(placed([1, 1, 1, 0, 0]), [0, 1])).toEqual([])
  })

  test('leads to an even placement with the fewest moves, loses no shard and moves none twice', () => {
    const slots = fc.uniqueArray(fc.nat({ max: 7 }), { minLength: 1, maxLength: 8 })
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 7 }), { minLength: 1, maxLength: 40 }), slots, (before, wanted) => {
        const placement = placed(before)
        const moves = planMoves(placement, wanted)
        for (const step of moves) {
          expect(placement.slotOf(step.shard)).toBe(step.from)
          move(placement, step)
        }

        const after = counts(placement, wanted)
        expect(after.reduce((sum, count) => sum + count, 0)).toBe(before.length)
        expect(Math.max(...after) - Math.min(...after)).toBeLessThanOrEqual(1)
        expect(new Set(moves.map(({ shard }) => shard)).size).toBe(moves.length)
        expect(moves.length).toBe(fewestMoves(before, wanted))
      }),
      { numRuns: 300 },
    )
  })
})

/** Over all ways to say which slots have the odd shards: those above their share give, the slots that go give all. */
function fewestMoves(before: readonly number[], wanted: readonly number[]): number {
  const share = Math.floor(before.length / wanted.length)
  const odd = before.length % wanted.length
  const held = wanted.map((slot) => before.filter((one) => one === slot).length)
  const going = before.filter((slot) => !wanted.includes(slot)).length
  let fewest = Number.POSITIVE_INFINITY
  for (let mask = 0; mask < 2 ** wanted.length; mask++) {
    const has = held.map((_, index) => (mask >> index) & 1)
    if (has.reduce((sum, one) => sum + one, 0) !== odd) continue
    const given = held.reduce((sum, count, index) => sum + Math.max(0, count - share - (has[index] as number)), 0)
    fewest = Math.min(fewest, going + given)
  }
  return fewest
}
