import { describe, expect, test } from 'vitest'
import { EventFeed } from '#recovery/event-feed.js'

describe('a feed of events', () => {
  test('gives each reader all events from its call on, in order', async () => {
    const feed = new EventFeed<number>()
    feed.publish(0)
    const early = feed.read(new AbortController().signal)
    feed.publish(1)
    const late = feed.read(new AbortController().signal)
    feed.publish(2)
    feed.close()

    expect(await collect(early)).toEqual([1, 2])
    expect(await collect(late)).toEqual([2])
  })

  test('wakes a reader that waits', async () => {
    const feed = new EventFeed<number>()
    const reader = feed.read(new AbortController().signal)
    const next = reader.next()

    feed.publish(7)

    expect(await next).toEqual({ value: 7, done: false })
  })

  test('tells a reader that was too slow how many it missed, and gives it the newest', async () => {
    const feed = new EventFeed<number>(3)
    const reader = feed.read(new AbortController().signal)

    for (let event = 1; event <= 10; event++) feed.publish(event)
    feed.close()

    expect(await collect(reader)).toEqual([{ kind: 'missed', count: 7 }, 8, 9, 10])
  })

  test('ends for a reader that aborts while it waits', async () => {
    const feed = new EventFeed<number>()
    const abort = new AbortController()
    const next = feed.read(abort.signal).next()

    abort.abort()

    expect(await next).toEqual({ value: undefined, done: true })
  })
})

async function collect(events: AsyncIterable<unknown>): Promise<unknown[]> {
  const all: unknown[] = []
  for await (const event of events) all.push(event)
  return all
}
