import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import type { Row } from '#journal/index.js'
import { subscriptionsOf } from '#reading/subscription-registry.js'
import { type SubscribeOptions, subscribe } from '#reading/subscription.js'
import { GrowingLog } from './log-of.js'

/** Rows until there are so many, or to the end. */
async function take(log: GrowingLog, options: SubscribeOptions, count = Infinity): Promise<Row[]> {
  const rows: Row[] = []
  for await (const row of subscribe(log.journal, options)) if (rows.push(row) >= count) break
  return rows
}

const positions = (rows: readonly Row[]) => rows.map((row) => row.position)
const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

async function logOf(rows: number): Promise<GrowingLog> {
  const log = await GrowingLog.inMemory()
  await log.grow(rows)
  return log
}

describe('a subscription without a name', () => {
  test('gives every row in order from where it is told to begin', async () => {
    const log = await logOf(1500)

    expect(positions(await take(log, { isLive: false }))).toEqual(upTo(0, 1500))
    expect(positions(await take(log, { isLive: false, from: 1234 }))).toEqual(upTo(1234, 1500))
    expect(positions(await take(log, { isLive: false, from: 'end' }))).toEqual([])
  })

  test('gives only what is selected, by entity, pattern and event', async () => {
    const log = await logOf(100)
    const of = async (options: SubscribeOptions) => positions(await take(log, { ...options, isLive: false }))

    const all = await take(log, { isLive: false })
    const where = (condition: (row: Row) => boolean) => positions(all.filter(condition))
    expect(await of({ entity: 'press/3' })).toEqual(where(({ entity }) => entity === 'press/3'))
    expect(await of({ entity: ['press/3', 'press/9'], event: 'Sampled' })).toEqual(where(({ entity }) => entity === 'press/3'))
    expect(await of({ entity: 'press/*', event: ['AlarmRaised'] })).toEqual(where(({ event }) => event === 'AlarmRaised'))
    expect(await of({ entity: 'mill/*' })).toEqual([])
    expect(await of({ entity: 'mill/1' })).toEqual([])
  })

  test('waits for rows to come, and gives them as they become durable', async () => {
    const log = await logOf(10)
    const seen = take(log, { from: 5 }, 30)

    await log.grow(15, 4)
    await log.grow(15, 4)

    expect(positions(await seen)).toEqual(upTo(5, 35))
  })

  test('ends when it is closed while it waits', async () => {
    const log = await logOf(3)
    const subscription = subscribe(log.journal)
    const rows: Row[] = []
    const reading = subscription.forEach((row) => rows.push(row))

    await until(() => rows.length === 3)
    await subscription.close()

    await reading
    expect(rows).toHaveLength(3)
  })
})

describe('a named subscription', () => {
  test('goes on behind the last row that was settled', async () => {
    const log = await logOf(1000)

    const first = await take(log, { name: 'mes' }, 700)
    await log.grow(10)
    const second = await take(log, { name: 'mes', isLive: false })

    // The row at which the loop was left was not settled, so it comes again.
    expect(positions(first)).toEqual(upTo(0, 700))
    expect(positions(second)).toEqual(upTo(699, 1010))
    expect(subscriptionsOf(log.journal).list()).toMatchObject([{ name: 'mes', position: 1010, isFenced: false }])
  })

  test('gives the row again whose handler failed, and rejects with what it threw', async () => {
    const log = await logOf(10)
    const fail = subscribe(log.journal, { name: 'mes' }).forEach(async (row) => {
      await Promise.resolve()
      if (row.position === 4) throw new Error('no room at the table')
    })

    await expect(fail).rejects.toThrow('no room at the table')

    expect(positions(await take(log, { name: 'mes', isLive: false }))).toEqual(upTo(4, 10))
  })

  test('begins where it is told the first time, and there alone', async () => {
    const log = await logOf(10)

    const first = await take(log, { name: 'mes', initial: 'end', isLive: false })
    await log.grow(5)
    const second = await take(log, { name: 'mes', initial: 'end', isLive: false })
    const again = await take(log, { name: 'mes', from: 'beginning', isLive: false })

    expect([first, second, again].map(positions)).toEqual([[], upTo(10, 15), upTo(0, 15)])
  })

  test('moves its checkpoint over rows that are not selected', async () => {
    const log = await logOf(1000)

    await take(log, { name: 'mes', entity: 'mill/*', isLive: false })

    expect(subscriptionsOf(log.journal).list()).toMatchObject([{ position: 1000 }])
  })

  test('saves its checkpoint after so many rows, and after so long', async () => {
    const log = await logOf(500)
    const clock = new FakeClock()
    const saved = () => subscriptionsOf(log.journal).list()[0]?.position
    const subscription = subscribe(log.journal, { name: 'mes', clock, checkpointEveryRows: 200, checkpointEveryMs: 1000 })
    await subscription.next()

    subscription.settle(199)
    await Promise.resolve()
    expect(saved()).toBe(0)
    clock.advance(1000)
    await until(() => saved() === 199)
    subscription.settle(399)
    await until(() => saved() === 399)
    subscription.settle(300)
    await subscription.close()

    expect(saved()).toBe(399)
    expect(subscription.stats).toMatchObject({ position: 399, saved: 399, delivered: 500, lag: 101 })
  })

  test('is taken over by whoever opens it next', async () => {
    const log = await logOf(5)
    const first = subscribe(log.journal, { name: 'mes' })
    await first.next()
    await subscribe(log.journal, { name: 'mes' }).opened

    await log.grow(5)

    await expect(first.next()).rejects.toMatchObject({ code: 'ERR_SUBSCRIPTION_TAKEN' })
  })

  test('that is fenced says why, until it is reset', async () => {
    const log = await logOf(20)
    const registry = subscriptionsOf(log.journal)
    const subscription = subscribe(log.journal, { name: 'mes' })
    await subscription.next()
    subscription.settle(5)

    await registry.fence('mes', 'it held 2 GB of segments')

    await log.grow(1)
    const error = { code: 'ERR_SUBSCRIPTION_FENCED', message: expect.stringContaining('it held 2 GB of segments') as string }
    await expect(subscription.next()).rejects.toMatchObject(error)
    await expect(subscribe(log.journal, { name: 'mes' }).next()).rejects.toMatchObject(error)
    expect(registry.list()).toMatchObject([{ name: 'mes', isFenced: true, reason: 'it held 2 GB of segments' }])
    expect(await registry.reset('mes', 3)).toBe(3)
    expect(positions(await take(log, { name: 'mes', isLive: false }))).toEqual(upTo(3, 21))
  })

  test('that is reset while it waits hears of it at once', async () => {
    const log = await logOf(20)
    const subscription = subscribe(log.journal, { name: 'mes', from: 'end' })
    const next = subscription.next()
    await subscription.opened

    await subscriptionsOf(log.journal).reset('mes', 5)

    await expect(next).rejects.toMatchObject({ code: 'ERR_SUBSCRIPTION_RESET' })
    expect(positions(await take(log, { name: 'mes', isLive: false }))).toEqual(upTo(5, 20))
  })

  test('that is ahead of the log says so', async () => {
    const log = await logOf(20)

    await expect(take(log, { from: 21 })).rejects.toMatchObject({ code: 'ERR_SUBSCRIPTION_AHEAD' })
    await expect(take(log, { name: 'mes', from: 21 })).rejects.toMatchObject({ code: 'ERR_SUBSCRIPTION_AHEAD' })
  })

  test.each(['', 'a/b', 'x'.repeat(101)])('is not called %j', async (name) => {
    const log = await logOf(1)

    await expect(take(log, { name })).rejects.toMatchObject({ code: 'ERR_SUBSCRIPTION_OPTIONS' })
  })
})

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 20_000
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('not in time')
    await new Promise((resolve) => setImmediate(resolve))
  }
}
