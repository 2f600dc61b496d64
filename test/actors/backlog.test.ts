import { describe, expect, test } from 'vitest'
import { Backlog } from '#actors/backlog.js'
import { InFlight } from '#actors/in-flight.js'

const SHARD = 3

function entryOf(shard: number): InFlight {
  const entry = new InFlight()
  entry.shard = shard
  return entry
}

describe('a shard that leaves', () => {
  test('keeps nobody waiting who was about to go on, since it may never come back', () => {
    const backlog = new Backlog()
    const [own, other] = [entryOf(SHARD), entryOf(SHARD + 1)]
    for (const entry of [own, other]) backlog.goOn(entry)

    backlog.leave(SHARD, 100)

    expect(backlog.isClosed(SHARD)).toBe(true)
    expect(backlog.loadingCount).toBe(0)
    expect(new Set(backlog.take())).toEqual(new Set([own, other]))
  })

  test('has those who wait for it when it comes back, and has been loaded', () => {
    const backlog = new Backlog()
    backlog.leave(SHARD, 100)
    const entry = entryOf(SHARD)
    expect(backlog.tryWaitForShard(entry)).toBe(true)

    backlog.close(SHARD, 200)
    expect([backlog.loadingCount, backlog.readyCount, backlog.wasClosedAfter(SHARD, 150)]).toEqual([1, 0, true])
    backlog.open(SHARD)

    expect(backlog.take()).toEqual([entry])
    expect(backlog.isClosed(SHARD)).toBe(false)
  })
})
