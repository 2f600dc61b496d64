import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import { type ControlServer, serveControl } from '#processes/control-socket.js'
import { dataPaths } from '#runtime/data-directory.js'
import { openSubscription } from '#runtime/open-subscription.js'
import { subscriptionMethods } from '#runtime/subscription-service.js'
import { GrowingLog } from '../reading/log-of.js'

/** A data directory whose journal comes and goes: in memory, behind the socket that the journal of a plant has. */
class ComingAndGoing {
  readonly data = mkdtempSync(join(tmpdir(), 'millrace-open-'))
  readonly log: GrowingLog
  #server: ControlServer | undefined

  static async start(): Promise<ComingAndGoing> {
    return new ComingAndGoing(await GrowingLog.over(createInMemoryJournal()))
  }

  private constructor(log: GrowingLog) {
    this.log = log
    const { journal, run } = dataPaths(this.data)
    for (const path of [journal, run]) mkdirSync(path)
    onTestFinished(async () => {
      await this.go()
      rmSync(this.data, { recursive: true, force: true })
    })
  }

  async come(): Promise<void> {
    this.#server = await serveControl(dataPaths(this.data).journalSocket, subscriptionMethods(this.log.journal))
  }

  async go(): Promise<void> {
    await this.#server?.close()
    this.#server = undefined
  }
}

const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

describe('a subscription of a data directory', () => {
  test('waits for the journal, and goes on whenever it comes again', async () => {
    const place = await ComingAndGoing.start()
    await place.log.grow(700)
    const opening = openSubscription({ data: place.data, name: 'mes' })
    await place.come()
    const subscription = await opening
    const positions: number[] = []
    const take = async (count: number) => {
      while (positions.length < count) for (const { position } of (await subscription.next())?.rows ?? []) positions.push(position)
    }

    await take(700)
    for (let time = 1; time <= 3; time++) {
      const next = take(700 + time * 100)
      await place.go()
      await place.come()
      await place.log.grow(100)
      await next
    }
    subscription.settle(1000)
    await subscription.close()

    expect(positions).toEqual(upTo(0, 1000))
    expect(subscription.stats).toMatchObject({ delivered: 1000, saved: 1000, reconnects: 3 })
  })

  test('ends while it waits for a journal when its signal says so', async () => {
    const place = await ComingAndGoing.start()
    const stop = new AbortController()
    const opening = openSubscription({ data: place.data, name: 'mes', signal: stop.signal })

    stop.abort()

    const subscription = await opening
    expect(await subscription.next()).toBeUndefined()
  })

  test('ends while it waits for rows when its signal says so, and has saved what was settled', async () => {
    const place = await ComingAndGoing.start()
    await place.come()
    await place.log.grow(10)
    const stop = new AbortController()
    const subscription = await openSubscription({ data: place.data, name: 'mes', signal: stop.signal })
    const positions: number[] = []

    await subscription.forEach((row) => {
      if (positions.push(row.position) === 10) setTimeout(() => stop.abort(), 10)
    })

    expect(positions).toEqual(upTo(0, 10))
    expect(subscription.stats.saved).toBe(10)
  })

  test('is refused for what is no data directory, and for what the journal refuses', async () => {
    const place = await ComingAndGoing.start()
    await place.come()

    await expect(openSubscription({ data: join(place.data, 'nowhere') })).rejects.toMatchObject({ code: 'ERR_NO_JOURNAL' })
    await expect(openSubscription({ data: place.data, name: 'a/b' })).rejects.toMatchObject({ code: 'ERR_SUBSCRIPTION_OPTIONS' })
    await expect(openSubscription({ data: place.data, from: 5 })).rejects.toMatchObject({ code: 'ERR_SUBSCRIPTION_AHEAD' })
  })
})
