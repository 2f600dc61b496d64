import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import { InMemoryJournal } from '#journal/in-memory/in-memory-journal.js'
import type { BlockEntry, Journal, LogQuery } from '#journal/index.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { collect } from '../../contracts/journal-adapter.js'
import { ALARM_RAISED, batchOf, SAMPLED, TestWriter } from '../writer.js'

const root = mkdtempSync(join(tmpdir(), 'millrace-query-'))
let logCount = 0

afterAll(() => rmSync(root, { recursive: true, force: true }))

/** Blocks of samples of presses 0 to 9, temperature counting up over all of them. */
async function fill(journal: Journal, blocks: number, perBlock: number, between: () => Promise<void> = async () => {}): Promise<void> {
  const writer = new TestWriter(await journal.register([SAMPLED, ALARM_RAISED]), { shardCount: journal.shardCount })
  for (let block = 0; block < blocks; block++) {
    const frames = Array.from({ length: perBlock }, (_, row) => writer.sample(`press/press-${row % 10}`, block * perBlock + row))
    await journal.append(batchOf(frames))
    await between()
  }
}

async function filled(blocks: number, perBlock: number): Promise<InMemoryJournal> {
  const journal = createInMemoryJournal()
  await fill(journal, blocks, perBlock)
  return journal
}

function openLog(): Promise<Journal> {
  return openLmdbJournal({ directory: join(root, `${logCount++}`), shardCount: 4 })
}

describe('a long query', () => {
  test('lets others work in between', async () => {
    const journal = await filled(25, 1000)
    let turns = 0
    let isOver = false
    const count = (): void => {
      turns++
      if (!isOver) setImmediate(count)
    }
    setImmediate(count)
    const startedMs = performance.now()

    const [row] = await collect(journal.query({ aggregates: ['sum(temperature)', 'first(force)'], by: ['temperature'], limit: 1 }))

    const ms = performance.now() - startedMs
    isOver = true
    expect(row).toMatchObject({ temperature: 0 })
    expect(turns).toBeGreaterThan(Math.min(5, ms / 100))
  })

  test('ends with the reason of its signal', async () => {
    const journal = await filled(25, 1000)
    const stop = new AbortController()
    const run = journal.query({ aggregates: ['count(temperature)'], by: ['temperature'] }, { signal: stop.signal })
    setImmediate(() => stop.abort(new Error('enough')))

    await expect(collect(run)).rejects.toThrow('enough')
    expect(run.counts.blocksRead).toBeLessThan(25)
    await expect(collect(journal.query({}, { signal: stop.signal }))).rejects.toThrow('enough')
  })

  test('reads no further than its reader goes', async () => {
    const journal = await filled(20, 50)
    const run = journal.query({ columns: ['position'] })

    for await (const row of run) if (row['position'] === 70) break

    expect(run.counts.blocksRead).toBe(2)
    expect((await collect(journal.query({ limit: 0 }))).length).toBe(0)
  })
})

describe('a query for the newest rows of an entity that has few', () => {
  test.each([
    ['in memory', async () => createInMemoryJournal()],
    ['on disk', openLog],
  ])('reads the blocks that have them, and not all others: %s', async (_where, open) => {
    const journal: Journal = await open()
    const writer = new TestWriter(await journal.register([SAMPLED, ALARM_RAISED]), { shardCount: journal.shardCount })
    for (let block = 0; block < 60; block++) {
      const names = ['press/a', 'press/b', ...(block % 20 === 0 ? ['press/rare'] : []), 'press/c']
      await journal.append(batchOf(names.map((name) => writer.sample(name as EntityId, block))))
      if (block === 10) await journal.seal()
    }

    const run = journal.query({ entity: 'press/rare', columns: ['temperature', 'version'], newest: 3 })
    const rows = await collect(run)

    expect(rows).toEqual([0, 20, 40].map((temperature, index) => ({ temperature, version: index + 1 })))
    expect(run.plan).toMatchObject({ order: 'newest first' })
    expect(run.counts.blocksRead).toBeLessThan(12)
    await journal.close()
  })
})

describe('a query of a log that changes', () => {
  test('ends where the log ended when it began', async () => {
    const journal = await filled(3, 10)
    const run = journal.query({ columns: ['position'] })
    const writer = new TestWriter(journal.eventTypes, { term: 2 })
    await journal.append(batchOf([writer.sample('press/late', 1)]))

    expect((await collect(run)).length).toBe(30)
    expect((await collect(journal.query({ columns: ['position'] }))).length).toBe(31)
  })

  test.each<[string, LogQuery]>([
    ['rows', { columns: ['position'] }],
    ['newest rows', { columns: ['position'], newest: 25 }],
    ['aggregates', { aggregates: ['count()', 'sum(temperature)', 'last(position)'] }],
  ])('gives every one of its %s once when segments are sealed under it', async (_what, query) => {
    const journal = await openLog()
    await fill(journal, 6, 10)
    const expected = await collect(journal.query(query))
    const run = journal.query(query)[Symbol.asyncIterator]()
    const found: unknown[] = []
    // Rows come block by block, so that the first one leaves most blocks unread.
    if (query.aggregates === undefined && query.newest === undefined) found.push((await run.next()).value)

    await journal.seal()
    for (let next = await run.next(); next.done !== true; next = await run.next()) found.push(next.value)

    expect(found).toEqual(expected)
    await journal.close()
  })

  test('finds rows in global order over sealed segments and the active one', async () => {
    const journal = await openLog()
    await fill(journal, 6, 10, async () => {
      if (journal.endPosition === 40) await journal.seal()
    })

    const rows = await collect(journal.query({ columns: ['position', 'temperature'] }))

    expect(new Set(journal.directory().map(({ isClustered }) => isClustered))).toEqual(new Set([true, false]))
    expect(rows.map((row) => row['position'])).toEqual(Array.from({ length: 60 }, (_, position) => position))
    expect(rows.map((row) => row['temperature']).sort((a, b) => (a as number) - (b as number))).toEqual(
      Array.from({ length: 60 }, (_, index) => index),
    )
    await journal.close()
  })
})

describe('a query of a segment that is dropped under it', () => {
  /** Says that its blocks are those of one sealed segment, and has all but the first no more. */
  class Dropping extends InMemoryJournal {
    override directory(): readonly BlockEntry[] {
      return super.directory().map((entry) => ({ ...entry, isClustered: true }))
    }

    override async readBlock(entry: BlockEntry): Promise<Uint8Array | undefined> {
      return entry.id === 0 ? super.readBlock(entry) : undefined
    }
  }

  test.each<LogQuery>([{ aggregates: ['count()'] }, { columns: ['position'] }, { newest: 5 }])(
    'says so, and gives no part of an answer: %o',
    async (query) => {
      const journal = new Dropping({})
      await fill(journal, 3, 10)

      const run = collect(journal.query(query))

      await expect(run).rejects.toMatchObject({ code: 'ERR_SEGMENT_GONE', action: 'retry' })
    },
  )
})

describe('a query that meets damage', () => {
  test('names the block in memory, and never leaves its rows out', async () => {
    const journal = await filled(3, 50)
    const block = journal.stored.blocks[1] as Uint8Array
    block[block.length - 9] = (block[block.length - 9] as number) ^ 4

    await expect(collect(journal.query({ aggregates: ['count()'] }))).rejects.toMatchObject({
      code: 'ERR_BLOCK_DAMAGED',
      values: { segment: 'memory', block: 50 },
    })
    expect(await collect(journal.query({ aggregates: ['count()'], to: 49 }))).toEqual([{ 'count()': 50 }])
  })

  test('names segment and block of a sealed file', async () => {
    const directory = join(root, `${logCount++}`)
    const journal = await openLmdbJournal({ directory, shardCount: 4 })
    await fill(journal, 3, 50)
    await journal.seal()
    await journal.close()
    const name = readdirSync(join(directory, 'log')).find((one) => one.endsWith('.segment')) as string
    const bytes = readFileSync(join(directory, 'log', name))
    const middle = bytes.length >> 2
    bytes[middle] = (bytes[middle] as number) ^ 1
    writeFileSync(join(directory, 'log', name), bytes)

    const again = await openLmdbJournal({ directory, isReadOnly: true })

    await expect(collect(again.query({}))).rejects.toMatchObject({ code: expect.stringMatching(/^ERR_(BLOCK|SEGMENT)_DAMAGED$/) as string })
    await again.close()
  })
})

describe('a query of a log that was repaired', () => {
  test('tells how many rows are gone where it looked, or gives what stands in their place', async () => {
    const journal = createInMemoryJournal()
    const writer = new TestWriter(await journal.register([SAMPLED, { entity: 'press', event: '#fenced', fields: [] }]))
    const fenced = (entity: EntityId) => writer.append({ entity, rows: [{ event: '#fenced', data: {} }] })
    await journal.append(batchOf([writer.sample('press/a', 1), writer.sample('press/b', 2)]))
    await journal.append(batchOf([fenced('press/a'), fenced('press/b'), fenced('press/b')]))
    const gone = async (query: LogQuery) => {
      const run = journal.query(query)
      await collect(run)
      return run.counts.rowsFenced
    }

    expect(await gone({ where: ['temperature > 9'] })).toBe(3)
    expect(await gone({ aggregates: ['mean(temperature)'], entity: 'press/b' })).toBe(2)
    expect(await gone({ event: 'Sampled', from: 4 })).toBe(1)
    expect(await gone({ event: 'Sampled', to: 1 })).toBe(0)
    expect(await gone({})).toBe(0)
    expect((await collect(journal.query({ columns: ['event'], newest: 1 })))[0]).toEqual({ event: '#fenced' })
  })
})

describe('what a query tells of itself', () => {
  test('are its columns with kinds and units, and what it read', async () => {
    const journal = await filled(4, 25)

    const run = journal.query({ where: ['temperature >= 80'], columns: ['entity', 'at', 'temperature'] })
    const rows = await collect(run)

    expect(run.columns).toEqual([
      { name: 'entity', kind: 'text' },
      { name: 'at', kind: 'time' },
      { name: 'temperature', kind: 'f64' },
    ])
    expect(rows.length).toBe(20)
    expect(run.plan).toMatchObject({ blocks: 4, blocksToRead: 4, rowsToRead: 100, order: 'position' })
    expect(run.counts).toEqual({
      blocksRead: 4,
      groupsRead: 1,
      groupsSkipped: 3,
      valuesScanned: 25 * 3,
      rowsScanned: 25,
      rowsMatched: 20,
      rowsFenced: 0,
    })
  })

  test('are aggregates with kinds of their own', async () => {
    const journal = await filled(1, 10)

    const run = journal.query({
      aggregates: ['count()', 'mean(at)', 'first(entity)', 'sum(temperature)'],
      by: ['event'],
      everyMicros: 60_000_000,
    })

    expect(run.columns).toEqual([
      { name: 'time', kind: 'time' },
      { name: 'event', kind: 'label' },
      { name: 'count()', kind: 'i64' },
      { name: 'mean(at)', kind: 'time' },
      { name: 'first(entity)', kind: 'text' },
      { name: 'sum(temperature)', kind: 'f64' },
    ])
    expect(await collect(run)).toHaveLength(1)
  })

  test('is nothing but counts of nothing where there is no row', async () => {
    const journal = createInMemoryJournal()
    await journal.register([SAMPLED])

    expect(await collect(journal.query({}))).toEqual([])
    expect(
      await collect(journal.query({ aggregates: ['count()', 'sum(temperature)', 'mean(temperature)', 'first(temperature)'] })),
    ).toEqual([{ 'count()': 0, 'sum(temperature)': 0, 'mean(temperature)': null, 'first(temperature)': null }])
    expect(await collect(journal.query({ aggregates: ['count()'], by: ['entity'] }))).toEqual([])
  })
})
