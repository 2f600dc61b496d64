import { assert } from '#base/assert.js'

/** The worker slot that owns a shard. The same for doors, workers and the supervisor: a plant's worker count is fixed while it runs. */
export function slotOfShard(shard: number, workerCount: number): number {
  return shard % workerCount
}

/** The shards of a worker slot, ascending. */
export function shardsOfSlot(slot: number, workerCount: number, shardCount: number): readonly number[] {
  assert(slot >= 0 && slot < workerCount, 'a worker slot is below the worker count')
  const shards: number[] = []
  for (let shard = slot; shard < shardCount; shard += workerCount) shards.push(shard)
  return shards
}
