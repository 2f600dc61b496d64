import { describe, expect, test } from 'vitest'
import { PLACEMENT_BYTES, Placement } from '#shards/placement.js'

function shardsBySlot(placement: Placement, slots: number): (readonly number[])[] {
  return Array.from({ length: slots }, (_, slot) => placement.shardsOf(slot))
}

describe('shards spread over worker slots', () => {
  test.each([
    [1, 64],
    [2, 64],
    [3, 64],
    [64, 64],
    [5, 3],
  ])('%i workers own each of %i shards once, as doors see it too', (workerCount, shardCount) => {
    const placement = Placement.even(shardCount, workerCount)
    const owners = shardsBySlot(placement, workerCount).flatMap((shards, slot) => shards.map((shard) => [shard, slot] as const))

    expect(new Map(owners).size).toBe(shardCount)
    expect(owners).toHaveLength(shardCount)
    for (const [shard, slot] of owners) expect(placement.slotOf(shard)).toBe(slot)
  })

  test('differ in number by one at most', () => {
    const counts = shardsBySlot(Placement.even(64, 3), 3).map(({ length }) => length)

    expect(Math.max(...counts) - Math.min(...counts)).toBe(1)
  })

  test('are none before that', () => {
    const placement = new Placement(new SharedArrayBuffer(PLACEMENT_BYTES))

    expect([placement.shardCount, placement.shardsOf(0)]).toEqual([0, []])
  })
})

describe('a shard that moves', () => {
  test('is held until it is free, and still has one owner whom all can see', () => {
    const placement = Placement.even(8, 2)
    placement.hold([3, 5])
    const held = [3, 4, 5].map((shard) => [placement.slotOf(shard), placement.isHeld(shard)])
    placement.move([3, 5], 0)
    const moved = [3, 4, 5].map((shard) => [placement.slotOf(shard), placement.isHeld(shard)])
    placement.free([3, 5])

    expect(held).toEqual([
      [1, true],
      [0, false],
      [1, true],
    ])
    expect(moved).toEqual([
      [0, true],
      [0, false],
      [0, true],
    ])
    expect([placement.isHeld(3), placement.isHeld(5)]).toEqual([false, false])
    expect(shardsBySlot(placement, 2)).toEqual([
      [0, 2, 3, 4, 5, 6],
      [1, 7],
    ])
  })

  test('is seen over the same memory by others, who can tell that something has changed', () => {
    const memory = new SharedArrayBuffer(PLACEMENT_BYTES)
    const writer = new Placement(memory)
    const reader = new Placement(memory)
    writer.spread(4, 2)
    const before = reader.changes
    writer.hold([2])

    expect(reader.changes).toBeGreaterThan(before)
    expect([reader.shardCount, reader.slotOf(2), reader.isHeld(2)]).toEqual([4, 0, true])
  })

  test('does not move while somebody may send to it', () => {
    const placement = Placement.even(8, 2)

    expect(() => placement.move([1], 0)).toThrow('broken: a shard is held while it moves')
  })
})
