import { describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import { shardOfId } from '#base/ids.js'
import { OUTCOME_REFUSAL } from '#journal/append-frame.js'
import type { BlockEntry } from '#journal/block-entry.js'
import { readHeader } from '#journal/block-format.js'
import { rowsOf as rowsOfBlock } from '#journal/block-rows.js'
import { type Journal, type Row, readRows } from '#journal/index.js'
import { batchOf, type TestWriter } from '../journal/writer.js'
import { collect, type JournalAdapter, of, rowsOf, started } from './journal-adapter.js'

const PRESS: EntityId = 'press/press-1'
const OTHER: EntityId = 'press/press-2'

/** What every adapter claims of `seal`: nothing that is read is another afterwards. */
export function describeSealedJournal(kind: string, adapter: JournalAdapter): void {
  const start = () => started(adapter)

  describe(`${kind}: a journal that is sealed`, () => {
    const presses = (length: number) => Array.from({ length }, (_, index): EntityId => `press/press-${index}`)
    const fill = async (journal: Journal, writer: TestWriter, batches: number) => {
      for (let batch = 0; batch < batches; batch++) {
        const frames = presses(30 + batch).flatMap((entity, index) => [
          writer.sample(entity, index % 5 === 0 ? Number.NaN : batch + index / 7, { source: `line-${index % 3}`, sequence: batch }),
          ...(index % 4 === 0 ? [writer.append({ entity, rows: [{ event: 'AlarmRaised', data: { code: `c${batch}`, value: -0 } }] })] : []),
          ...(index % 9 === 0 ? [writer.append({ entity, rows: [], outcomeKind: OUTCOME_REFUSAL, outcome: Uint8Array.of(batch) })] : []),
        ])
        await journal.append(batchOf(frames, batch % 3))
      }
    }
    const byEntity = (journal: Journal) => Promise.all(presses(40).map((entity) => collect(readRows(journal, { from: 0, entity }))))

    test('gives every row back bit for bit, in global order and by entity: sealed, opened again, sealed again', async () => {
      const { journal, writer } = await start()
      await fill(journal, writer, 6)
      const before = { all: await rowsOf(journal), some: await rowsOf(journal, 100), entities: await byEntity(journal) }

      await journal.seal()
      const sealed = { all: await rowsOf(journal), some: await rowsOf(journal, 100), entities: await byEntity(journal) }
      await fill(journal, writer, 2)
      const more = { all: await rowsOf(journal), some: await rowsOf(journal, 100), entities: await byEntity(journal) }
      const again = await adapter.crash(journal)
      const crashed = { all: await rowsOf(again), some: await rowsOf(again, 100), entities: await byEntity(again) }
      const newest = await again.lastRows('press/press-4', 5)
      await again.seal()
      await again.seal()
      const newestSealed = await Promise.all([5, 1, 1000].map((most) => again.lastRows('press/press-4', most)))
      const twice = { all: await rowsOf(again), some: await rowsOf(again, 100), entities: await byEntity(again) }

      expect(sealed).toEqual(before)
      expect(more.all.slice(0, before.all.length)).toEqual(before.all)
      expect(more.all.map((row) => row.position)).toEqual(more.all.map((_, index) => index))
      expect(crashed).toEqual(more)
      expect(twice).toEqual(more)
      const own = of(more.all, 'press/press-4')
      expect(newest).toEqual(own.slice(-5))
      expect(newestSealed).toEqual([own.slice(-5), own.slice(-1), own])
      expect(await again.lastRows('press/unheard-of', 5)).toEqual([])
      expect(await collect(again.verify())).toEqual([])
      await again.close()
    })

    test('goes on where it was: appends, heads, marks and what is known', async () => {
      const { journal, writer } = await start()
      const frames = [writer.sample(PRESS, 1), writer.sample(OTHER, 2), writer.sample(PRESS, 3)]
      await journal.append(batchOf(frames))
      const stale = writer.sample(OTHER, 9, { expectedVersion: 7, number: 50 })

      await journal.seal()
      const known = await journal.append(batchOf(frames))
      const again = await adapter.reopen(journal)
      const after = await again.append(batchOf([...frames, stale]))
      const next = await again.append(batchOf([writer.sample(PRESS, 4, { number: 51 })]))

      expect(known).toMatchObject({ known: 3, rowCount: 0 })
      expect(after).toMatchObject({ known: 3, rowCount: 0, rejected: [{ index: 3, kind: 'conflict' }] })
      expect(next).toMatchObject({ rowCount: 1, basePosition: 3 })
      expect(again.head(PRESS)).toMatchObject({ version: 3 })
      expect(of(await rowsOf(again), PRESS).map((row) => row.data.temperature)).toEqual([1, 3, 4])
      await again.close()
    })

    test('gives blocks in which no row comes twice and each entity’s rows ascend, of the shards asked for', async () => {
      const { journal, writer } = await start()
      await fill(journal, writer, 4)
      await journal.seal()
      await fill(journal, writer, 2)
      const shards = new Set([shardOfId('press/press-1', journal.shardCount), shardOfId('press/press-2', journal.shardCount)])

      const found = (await collect(journal.blocks({ from: 0, shards }))).flatMap((block) => rowsOfBlock(block, journal, { shards }))

      const expected = (await rowsOf(journal)).filter((row) => shards.has(shardOfId(row.entity, journal.shardCount)))
      expect(expected.length).toBeGreaterThan(10)
      expect([...found].sort((a, b) => a.position - b.position)).toEqual(expected)
      for (const { entity } of expected)
        expect(of(found, entity).map((row) => row.version)).toEqual(of(expected, entity).map((row) => row.version))
      await journal.close()
    })

    test('lets a reader go on that had begun before', async () => {
      const { journal, writer } = await start()
      await fill(journal, writer, 5)
      const expected = await rowsOf(journal)
      const reader = readRows(journal, { from: 0 })
      const found = [(await reader.next()).value as Row]

      await journal.seal()
      await fill(journal, writer, 1)
      await journal.seal()
      for await (const row of reader) found.push(row)

      expect(found).toEqual(expected)
      await journal.close()
    })

    test('has a directory whose blocks can be read, or are told to be gone', async () => {
      const { journal, writer } = await start()
      await fill(journal, writer, 3)
      const before = journal.directory()

      await journal.seal()
      const after = journal.directory()

      const rowCount = (entries: readonly BlockEntry[]) => entries.reduce((sum, entry) => sum + entry.rowCount, 0)
      expect([rowCount(before), rowCount(after)]).toEqual([journal.endPosition, journal.endPosition])
      for (const entry of after) expect(readHeader((await journal.readBlock(entry)) as Uint8Array).rowCount).toBe(entry.rowCount)
      for (const entry of before) {
        const bytes = await journal.readBlock(entry)
        if (bytes !== undefined) expect(readHeader(bytes).basePosition).toBe(entry.firstPosition)
      }
      await journal.close()
    })

    test('stays empty when it has no rows', async () => {
      const { journal, writer } = await start()

      await journal.seal()
      await journal.append(batchOf([writer.sample(PRESS, 1)]))
      await journal.seal()
      const again = await adapter.reopen(journal)

      expect(await rowsOf(again)).toHaveLength(1)
      expect(again.endPosition).toBe(1)
      await again.close()
    })
  })
}
