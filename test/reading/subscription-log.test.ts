import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import type { Journal } from '#journal/index.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { subscriptionsOf } from '#reading/subscription-registry.js'
import { type SubscribeOptions, subscribe } from '#reading/subscription.js'
import { GrowingLog } from './log-of.js'

const ROWS_PER_SEGMENT = 1000
const upTo = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

async function open(directory = mkdtempSync(join(tmpdir(), 'millrace-feed-'))) {
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const journal = await openLmdbJournal({ directory, segmentRowsMax: ROWS_PER_SEGMENT })
  return { directory, journal, log: await GrowingLog.over(journal) }
}

async function positionsOf(journal: Journal, options: SubscribeOptions): Promise<number[]> {
  const positions: number[] = []
  for await (const row of subscribe(journal, { isLive: false, ...options })) positions.push(row.position)
  return positions
}

/** Processes that hold a read transaction of an LMDB environment, as another process sees them, which holds one itself. */
function readersOf(directory: string): { readonly own: number; readonly holding: readonly number[] } {
  const script = `
    import { open } from 'lmdb'
    const database = open({ path: process.argv[1], readOnly: true, noSubdir: false })
    const transaction = database.useReadTransaction()
    const keys = [...database.getKeys({ transaction, limit: 1 })]
    console.log(process.pid)
    console.log(database.readerList())
    transaction.done()
    await database.close()`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script, directory], {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    encoding: 'utf8',
  })
  const [own, ...lines] = stdout.split('\n')
  // A line each: process, thread, and the transaction or a dash.
  const holding = lines.flatMap((line) => {
    const [pid, , transaction] = line.trim().split(/\s+/)
    return /^\d+$/.test(transaction ?? '') ? [Number(pid)] : []
  })
  return { own: Number(own), holding }
}

/** Files of sealed segments that this process has open. */
function openSegments(): string[] {
  return readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      const path = readlinkSync(`/proc/self/fd/${descriptor}`)
      return path.includes('.segment') ? [path] : []
    } catch {
      return []
    }
  })
}

describe('a subscription of a log on disk', () => {
  test('goes through sealed segments and the active one in order, while more are sealed', async () => {
    const { journal, log } = await open()
    await log.grow(2500, 50)
    await journal.seal()
    const subscription = subscribe(journal, { name: 'mes' })
    const positions: number[] = []

    for (let grown = 0; positions.length < 6500; ) {
      const batch = await subscription.next()
      for (const { position } of batch?.rows ?? []) positions.push(position)
      if (grown >= 4000) continue
      await log.grow(500, 50)
      grown += 500
      if (grown % 2000 === 0) await journal.seal()
    }
    await subscription.close()

    expect(journal.sealedSegments().length).toBeGreaterThan(4)
    expect(positions).toEqual(upTo(0, 6500))
    expect(await positionsOf(journal, { entity: ['press/1', 'press/2'] })).toEqual(await positionsOfTwo(journal))
    await journal.close()
  })

  test('holds no reader of LMDB, no file and no place of the journal while it pauses', async () => {
    const { directory, journal, log } = await open()
    await log.grow(1500, 50)
    await journal.seal()
    await log.grow(600, 50)
    // The journal keeps the files open that it has read from.
    await positionsOf(journal, {})
    const before = openSegments().length
    const clock = new FakeClock()
    const subscriptions = upTo(0, 20).map((index) => subscribe(journal, { from: index * 100, clock }))
    for (const subscription of subscriptions) await subscription.next()

    clock.advance(10_000)
    await new Promise((resolve) => setTimeout(resolve, 20))

    const active = readdirSync(join(directory, 'log')).filter((name) => name.endsWith('.active'))
    expect(active).toHaveLength(1)
    const { own, holding } = readersOf(join(directory, 'log', active[0] as string))
    expect(holding).toEqual([own])
    expect(openSegments()).toHaveLength(before)
    // And the oldest segment can go.
    await journal.dropOldest(journal.sealedSegments()[0]?.name as string)
    expect(openSegments().filter((path) => path.includes('(deleted)'))).toEqual([])
    const next = await subscriptions[12]?.next()
    expect(next?.rows[0]?.position).toBe(1712)
    for (const subscription of subscriptions) await subscription.close()
    await journal.close()
  })

  test('that needs rows which retention dropped says so, and goes on where it is reset', async () => {
    const { journal, log } = await open()
    const first = subscribe(journal, { name: 'mes' })
    await log.grow(2200, 50)
    await journal.seal()
    await first.next()
    first.settle(512)
    await first.close()

    await journal.dropOldest(journal.sealedSegments()[0]?.name as string)

    const error = { code: 'ERR_SUBSCRIPTION_BEHIND', values: { position: 512, firstPosition: 1000 } }
    await expect(positionsOf(journal, { name: 'mes' })).rejects.toMatchObject(error)
    await expect(positionsOf(journal, { from: 0 })).rejects.toMatchObject({ code: 'ERR_SUBSCRIPTION_BEHIND' })
    expect(await positionsOf(journal, {})).toEqual(upTo(1000, 2200))
    expect(await subscriptionsOf(journal).reset('mes', 'beginning')).toBe(1000)
    expect(await positionsOf(journal, { name: 'mes' })).toEqual(upTo(1000, 2200))
    await journal.close()
  })

  test('keeps checkpoint and fence when the log is opened again', async () => {
    const { directory, journal, log } = await open()
    await log.grow(300, 50)
    await positionsOf(journal, { name: 'done' })
    await positionsOf(journal, { name: 'lagging', from: 100 })
    await subscriptionsOf(journal).fence('lagging', 'it held 2 GB')
    await positionsOf(journal, { name: 'gone' })
    await subscriptionsOf(journal).remove('gone')
    await journal.close()

    const again = await open(directory)

    expect(subscriptionsOf(again.journal).list()).toMatchObject([
      { name: 'done', position: 300, isFenced: false },
      { name: 'lagging', position: 300, isFenced: true, reason: 'it held 2 GB' },
    ])
    await again.journal.close()
  })
})

/** The same by hand. */
async function positionsOfTwo(journal: Journal): Promise<number[]> {
  const positions: number[] = []
  for await (const row of journal.read({ from: 0 })) if (row.entity === 'press/1' || row.entity === 'press/2') positions.push(row.position)
  return positions
}
