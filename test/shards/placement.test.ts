import { describe, expect, test } from 'vitest'
import { shardsOfSlot, slotOfShard } from '#shards/placement.js'

describe('shards spread over worker slots', () => {
  test.each([
    [1, 64],
    [2, 64],
    [3, 64],
    [64, 64],
    [5, 3],
  ])('%i workers own each of %i shards once, as doors see it too', (workerCount, shardCount) => {
    const owners = new Map<number, number>()
    for (let slot = 0; slot < workerCount; slot++) {
      for (const shard of shardsOfSlot(slot, workerCount, shardCount)) {
        expect(owners.has(shard)).toBe(false)
        owners.set(shard, slot)
      }
    }

    expect(owners.size).toBe(shardCount)
    for (const [shard, slot] of owners) expect(slotOfShard(shard, workerCount)).toBe(slot)
  })

  test('differ in number by one at most', () => {
    const counts = [0, 1, 2].map((slot) => shardsOfSlot(slot, 3, 64).length)

    expect(Math.max(...counts) - Math.min(...counts)).toBe(1)
  })

  test('are not asked for by a slot that there is not', () => {
    expect(() => shardsOfSlot(2, 2, 64)).toThrow('broken: a worker slot is below the worker count')
  })
})
