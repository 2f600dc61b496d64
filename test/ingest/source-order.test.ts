import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { SourceOrder } from '#ingest/source-order.js'

function orderOf(options: { sourcesMax?: number } = {}) {
  const clock = new FakeClock()
  return { clock, order: new SourceOrder({ clock, awaitMs: 1000, ...options }) }
}

describe('turns of one source', () => {
  test('come in the order in which they were entered, each behind the end of the one before', async () => {
    const { order } = orderOf()
    const log: number[] = []
    const turns = [1, 2, 3].map((number) => ({ number, turn: order.enter('plc') }))
    const others = [turns[2], turns[1]].map(async (one) => {
      await one?.turn.come
      log.push(one?.number ?? 0)
      one?.turn.end()
    })
    await turns[0]?.turn.come
    log.push(1)

    turns[0]?.turn.end()
    await Promise.all(others)

    expect(log).toEqual([1, 2, 3])
    expect(order.busyCount).toBe(0)
  })

  test('do not wait for those of another', async () => {
    const { order } = orderOf()
    order.enter('plc')

    await order.enter('other').come

    expect(order.busyCount).toBe(2)
  })
})

describe('a number that there was no room for', () => {
  test('comes first: later ones are refused until it was taken or its time is over', () => {
    const { clock, order } = orderOf()
    order.notTaken('plc', 5, 'retry')
    const turn = order.enter('plc')

    expect(order.awaitedBefore('plc', 5, turn)).toBeUndefined()
    expect(order.awaitedBefore('plc', 3, turn)).toBeUndefined()
    expect(order.awaitedBefore('plc', 6, turn)).toBe(5)
    expect(order.awaitedBefore('other', 6, turn)).toBeUndefined()
    clock.advance(999)
    expect(order.awaitedBefore('plc', 6, turn)).toBe(5)
    clock.advance(1)
    expect(order.awaitedBefore('plc', 6, turn)).toBeUndefined()
    expect(order.awaitedCount).toBe(0)
  })

  test('is closed by a request that reaches it, not by one that ends before it', () => {
    const { order } = orderOf()
    order.notTaken('plc', 5, 'retry')
    const turn = order.enter('plc')
    order.taken('plc', 5)
    expect(order.awaitedBefore('plc', 9, turn)).toBe(5)

    order.taken('plc', 6)

    expect(order.awaitedBefore('plc', 9, turn)).toBeUndefined()
  })

  test('moves on with the part of a request that was taken', () => {
    const { order } = orderOf()
    order.notTaken('plc', 5, 'retry')

    order.notTaken('plc', 8, 'retry')

    expect(order.awaitedBefore('plc', 9, order.enter('plc'))).toBe(8)
  })
})

describe('a number that was wrong', () => {
  test('keeps out what was under way with it, and nothing that comes after', () => {
    const { clock, order } = orderOf()
    const before = order.enter('plc')
    order.notTaken('plc', 5, 'final')
    const after = order.enter('plc')
    clock.advance(10_000)

    expect(order.awaitedBefore('plc', 6, before)).toBe(5)
    expect(order.awaitedBefore('plc', 6, after)).toBeUndefined()
  })
})

describe('more sources than are remembered', () => {
  test('push out the oldest', () => {
    const { order } = orderOf({ sourcesMax: 2 })
    for (const source of ['a', 'b', 'a', 'c']) order.notTaken(source, 1, 'retry')
    const turn = order.enter('x')

    expect(order.awaitedCount).toBe(2)
    expect(['a', 'b', 'c'].map((source) => order.awaitedBefore(source, 2, turn))).toEqual([1, undefined, 1])
  })
})
