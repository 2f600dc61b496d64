import { describe, expect, test } from 'vitest'
import { batchOf, TestWriter } from '../journal/writer.js'
import { type JournalAdapter, of, OTHER, PRESS, rowsOf, started } from './journal-adapter.js'

/** What the Journal port claims of appends that are not simply taken, for every adapter. */
export function describeAppends(kind: string, adapter: JournalAdapter): void {
  const start = () => started(adapter)

  describe(`${kind}: an append that does not fit`, () => {
    test('is in conflict at another version, and the rest of its batch is stored', async () => {
      const { journal, writer } = await start()
      await journal.append(batchOf([writer.sample(PRESS, 1)]))
      const frames = [writer.sample(PRESS, 2, { expectedVersion: 3 }), writer.sample(OTHER, 3)]

      const answer = await journal.append(batchOf(frames))

      expect(answer).toEqual({
        basePosition: 1,
        rowCount: 1,
        known: 0,
        rejected: [{ index: 0, kind: 'conflict', entity: PRESS, headVersion: 1 }],
      })
      expect((await rowsOf(journal)).map((row) => row.entity)).toEqual([PRESS, OTHER])
      await journal.close()
    })

    test('is in conflict on another base row of the same version', async () => {
      const { journal, writer } = await start()
      await journal.append(batchOf([writer.sample(PRESS, 1)]))

      const answer = await journal.append(batchOf([writer.sample(PRESS, 2, { baseNumber: 99 })]))

      expect(answer.rejected).toEqual([{ index: 0, kind: 'conflict', entity: PRESS, headVersion: 1 }])
      expect(answer.rowCount).toBe(0)
      await journal.close()
    })

    test('drags down those that build on it, however far behind', async () => {
      const { journal, writer } = await start()
      const frames = [writer.sample(PRESS, 1, { expectedVersion: 1 }), writer.sample(PRESS, 2), writer.sample(PRESS, 3)]

      const answer = await journal.append(batchOf(frames))

      expect(answer.rejected.map((one) => one.kind)).toEqual(['conflict', 'conflict', 'conflict'])
      expect(journal.head(PRESS)).toBeUndefined()
      await journal.close()
    })

    test('is fenced when its term is older than its slot has seen, also after a reopen', async () => {
      const { journal, types } = await started(adapter)
      const old = new TestWriter(types, { slot: 2, term: 4 })
      await journal.append(batchOf([new TestWriter(types, { slot: 2, term: 5 }).sample(PRESS, 1)], 2))

      const answer = await journal.append(batchOf([old.sample(OTHER, 1)], 2))
      const again = await adapter.reopen(journal)
      const later = await again.append(batchOf([old.sample(OTHER, 1)], 2))

      expect(answer.rejected).toEqual([{ index: 0, kind: 'fenced', entity: OTHER, headVersion: 0 }])
      expect(later.rejected).toEqual([{ index: 0, kind: 'fenced', entity: OTHER, headVersion: 0 }])
      await again.close()
    })

    test('is compared within its slot only', async () => {
      const { journal, types } = await started(adapter)
      await journal.append(batchOf([new TestWriter(types, { term: 5 }).sample(PRESS, 1)], 2))

      const answer = await journal.append(batchOf([new TestWriter(types, { term: 4 }).sample(OTHER, 1)], 3))

      expect(answer).toMatchObject({ rowCount: 1, rejected: [] })
      await journal.close()
    })

    test('builds on earlier appends of its batch', async () => {
      const { journal, writer } = await start()

      const answer = await journal.append(batchOf([writer.sample(PRESS, 1), writer.sample(PRESS, 2), writer.sample(PRESS, 3)]))

      expect(answer).toMatchObject({ rowCount: 3, rejected: [] })
      expect((await rowsOf(journal)).map((row) => [row.version, row.data.temperature])).toEqual([
        [1, 1],
        [2, 2],
        [3, 3],
      ])
      await journal.close()
    })
  })

  describe(`${kind}: an append that comes a second time`, () => {
    test('is known and stored once: in its batch, later, and after the journal died', async () => {
      const { journal, writer } = await start()
      const frames = [writer.sample(PRESS, 1), writer.sample(OTHER, 2), writer.sample(PRESS, 3)]

      const twice = await journal.append(batchOf([...frames, frames[0] as Uint8Array]))
      const later = await journal.append(batchOf(frames))
      const again = await adapter.crash(journal)
      const after = await again.append(batchOf([...frames, writer.sample(PRESS, 4)]))

      expect([twice.known, later.known, after.known]).toEqual([1, 3, 3])
      expect([twice.rowCount, later.rowCount, after.rowCount]).toEqual([3, 0, 1])
      expect([...twice.rejected, ...later.rejected, ...after.rejected]).toEqual([])
      expect(of(await rowsOf(again), PRESS).map((row) => row.data.temperature)).toEqual([1, 3, 4])
      await again.close()
    })

    test('is in conflict again when it was rejected before, though the mark has passed it', async () => {
      const { journal, writer } = await start()
      const rejected = writer.sample(PRESS, 1, { expectedVersion: 7 })
      await journal.append(batchOf([rejected, writer.sample(OTHER, 2)]))

      const answer = await journal.append(batchOf([rejected]))
      const again = await adapter.crash(journal)
      const later = await again.append(batchOf([rejected]))

      expect(answer.rejected.map((one) => one.kind)).toEqual(['conflict'])
      expect(later.rejected.map((one) => one.kind)).toEqual(['conflict'])
      await again.close()
    })

    test('is not taken for another of the same number and version on another entity', async () => {
      const { journal, types, writer } = await started(adapter)
      await journal.append(batchOf([writer.sample(PRESS, 1)]))
      const impostor = new TestWriter(types).sample(OTHER, 1)

      const answer = await journal.append(batchOf([impostor]))

      expect(answer).toMatchObject({ known: 0, rowCount: 0, rejected: [{ kind: 'conflict', entity: OTHER }] })
      await journal.close()
    })
  })
}
