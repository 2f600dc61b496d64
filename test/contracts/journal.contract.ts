import { describe, expect, test } from 'vitest'
import { shardOfId } from '#base/ids.js'
import { FLAG_LATE, OUTCOME_REFUSAL, OUTCOME_REPLY } from '#journal/append-frame.js'
import { ALARM_RAISED, batchOf, field, SAMPLED, TestWriter } from '../journal/writer.js'
import { describeAppends } from './append.contract.js'
import { collect, count, type JournalAdapter, of, OTHER, PRESS, rowsOf, started } from './journal-adapter.js'

/** The claims of the Journal port, for every adapter. */
export function describeJournal(kind: string, adapter: JournalAdapter): void {
  const start = () => started(adapter)

  describeAppends(kind, adapter)

  describe(`${kind}: a journal that takes a batch`, () => {
    test('gives every row back with all that came with it, bit for bit', async () => {
      const { journal, writer } = await start()
      const frames = [
        writer.append({
          entity: PRESS,
          rows: [
            { event: 'Sampled', data: { temperature: -0, force: Number.NEGATIVE_INFINITY } },
            { event: 'AlarmRaised', data: { code: 'ÜBER', value: 5e-324 } },
          ],
          at: 1_600_000_000_000_001,
          accepted: 1_700_000_000_000_002,
          source: 'line-3.csv',
          sequence: Number.MAX_SAFE_INTEGER,
          correlation: 'order 7',
          causation: 'press/press-9@4',
          outcomeKind: OUTCOME_REPLY,
          outcome: Uint8Array.of(1, 2, 3),
          flags: FLAG_LATE,
        }),
        writer.append({
          entity: OTHER,
          rows: [],
          accepted: 1_700_000_000_000_003,
          outcomeKind: OUTCOME_REFUSAL,
          outcome: Uint8Array.of(9),
        }),
      ]

      const answer = await journal.append(batchOf(frames))

      const found = await rowsOf(journal)
      expect(answer).toEqual({ basePosition: 0, rowCount: 3, rejected: [], known: 0 })
      const own = {
        at: 1_600_000_000_000_001,
        accepted: 1_700_000_000_000_002,
        isLate: true,
        source: 'line-3.csv',
        term: 1,
        appendNumber: 1,
      }
      const more = { sequence: Number.MAX_SAFE_INTEGER, correlation: 'order 7', causation: 'press/press-9@4' }
      expect(of(found, PRESS)).toEqual([
        expect.objectContaining({
          ...own,
          ...more,
          entity: PRESS,
          version: 1,
          event: 'Sampled',
          outcomeKind: 0,
          outcome: new Uint8Array(0),
        }),
        expect.objectContaining({
          ...own,
          ...more,
          entity: PRESS,
          version: 2,
          event: 'AlarmRaised',
          outcomeKind: 1,
          outcome: Uint8Array.of(1, 2, 3),
        }),
      ])
      expect(of(found, PRESS).map((row) => row.data)).toEqual([
        { temperature: -0, force: Number.NEGATIVE_INFINITY },
        { code: 'ÜBER', value: 5e-324 },
      ])
      expect(of(found, OTHER)).toEqual([
        expect.objectContaining({
          version: 1,
          event: undefined,
          typeNumber: 0,
          outcomeKind: 2,
          outcome: Uint8Array.of(9),
          source: '',
          sequence: undefined,
          isLate: false,
          data: {},
        }),
      ])
      await journal.close()
    })

    test('gives positions from 0 without gaps, and keeps them over a reopen', async () => {
      const { journal, writer } = await start()
      for (let batch = 0; batch < 5; batch++) {
        const frames = Array.from({ length: batch * 3 + 1 }, (_, index) => writer.sample(`press/press-${index}`, batch))
        await journal.append(batchOf(frames))
      }
      const before = await rowsOf(journal)

      const again = await adapter.reopen(journal)

      expect(before.map((row) => row.position)).toEqual(before.map((_, index) => index))
      expect(again.endPosition).toBe(before.length)
      expect(await rowsOf(again)).toEqual(before)
      await again.close()
    })

    test('serves from any position and skips blocks that cannot matter', async () => {
      const { journal, writer } = await start()
      for (let block = 0; block < 4; block++) await journal.append(batchOf([writer.sample(block < 2 ? PRESS : OTHER, block)]))

      const late = await rowsOf(journal, 3)
      const ofOther = await count(journal.blocks({ from: 0, entity: OTHER }))
      const ofShard = await count(journal.blocks({ from: 0, shards: new Set([shardOfId(PRESS, journal.shardCount)]) }))
      const ofNobody = await count(journal.blocks({ from: 0, entity: 'press/unheard-of' }))

      expect(late.map((row) => row.position)).toEqual([3])
      expect([ofOther, ofShard, ofNobody]).toEqual([2, 2, 0])
      await journal.close()
    })

    test('grows with it, however large it is', async () => {
      const journal = await adapter.open()
      const types = await journal.register([{ entity: 'press', event: 'Noted', fields: [field('note', 'text'), field('more', 'json')] }])
      const writer = new TestWriter(types)
      const note = (row: number) => `${row}-${'abcdefghij'.repeat((row * 37) % 300)}`
      const frames = Array.from({ length: 3000 }, (_, row) =>
        writer.append({
          entity: `press/press-${row}`,
          rows: [{ event: 'Noted', data: { note: note(row), more: { row } } }],
          source: `device-${row}`,
        }),
      )

      await journal.append(batchOf(frames))

      const again = await adapter.reopen(journal)
      const found = await rowsOf(again)
      expect(found.map((row) => row.position)).toEqual(found.map((_, index) => index))
      expect(new Map(found.map((row) => [row.source, row.data]))).toEqual(
        new Map(frames.map((_, row) => [`device-${row}`, { note: note(row), more: { row } }])),
      )
      await again.close()
    })

    test('gives blocks that are the caller’s to change', async () => {
      const { journal, writer } = await start()
      await journal.append(batchOf([writer.sample(PRESS, 1)]))

      for await (const block of journal.blocks({ from: 0 })) block.fill(0)

      expect(await rowsOf(journal)).toHaveLength(1)
      await journal.close()
    })

    test('stores nothing and stays at its end when there is nothing to store', async () => {
      const { journal } = await start()

      const answer = await journal.append(batchOf([]))

      expect(answer).toEqual({ basePosition: 0, rowCount: 0, rejected: [], known: 0 })
      expect(await count(journal.blocks({ from: 0 }))).toBe(0)
      await journal.close()
    })

    test('shows heads and marks of what is durable only', async () => {
      const { journal, writer } = await start()
      const pending = journal.append(batchOf([writer.sample(PRESS, 1), writer.sample(PRESS, 2)], 5))
      const during = { head: journal.head(PRESS), mark: journal.mark(5), end: journal.endPosition }

      await pending

      expect(during).toEqual({ head: undefined, mark: undefined, end: 0 })
      const shard = shardOfId(PRESS, journal.shardCount)
      const head = { entity: PRESS, shard, number: 0, version: 2, term: 1, appendNumber: 2 }
      expect(journal.head(PRESS)).toEqual(head)
      expect([...journal.heads(shard)]).toEqual([head])
      expect(journal.mark(5)).toEqual({ term: 1, number: 2 })
      expect(journal.head(OTHER)).toBeUndefined()
      await journal.close()
    })
  })

  describe(`${kind}: a journal opened again`, () => {
    test('goes on where it was: heads, marks, numbers of entities, and the chain', async () => {
      const { journal, writer } = await start()
      const shards = Array.from({ length: journal.shardCount }, (_, shard) => shard)
      for (let batch = 0; batch < 3; batch++) {
        await journal.append(
          batchOf(
            Array.from({ length: 40 }, (_, index) => writer.sample(`press/press-${(index * (batch + 1)) % 50}`, batch)),
            batch,
          ),
        )
      }
      const before = shards.flatMap((shard) => [...journal.heads(shard)])
      const marks = [0, 1, 2].map((slot) => journal.mark(slot))

      const again = await adapter.reopen(journal)
      const crashed = await adapter.crash(again)

      expect(shards.flatMap((shard) => [...crashed.heads(shard)])).toEqual(before)
      expect([0, 1, 2].map((slot) => crashed.mark(slot))).toEqual(marks)
      expect(await crashed.append(batchOf([writer.sample('press/press-0', 9)], 2))).toMatchObject({ rowCount: 1, basePosition: 120 })
      expect(await collect(crashed.verify())).toEqual([])
      await crashed.close()
    })
  })

  describe(`${kind}: event types`, () => {
    test('keep their numbers, and new ones get the next', async () => {
      const { journal, types } = await started(adapter)
      const again = await adapter.reopen(journal)

      const more = await again.register([{ entity: 'oven', event: 'Heated', fields: [field('on', 'bool')] }, SAMPLED])

      expect(types.map((type) => type.number)).toEqual([1, 2])
      expect(more.map((type) => [type.event, type.number])).toEqual([
        ['Heated', 3],
        ['Sampled', 1],
      ])
      expect(again.eventTypes.map((type) => type.event)).toEqual(['Sampled', 'AlarmRaised', 'Heated'])
      await again.close()
    })

    test('have a number for each shape that an event had, and rows come back in the shape that they were stored in', async () => {
      const { journal, writer } = await start()
      await journal.append(batchOf([writer.sample(PRESS, 1)]))
      const renamed = { ...SAMPLED, fields: [field('heat', 'f32', { unit: '°F' }), field('mode', 'label', { defaultValue: 'auto' })] }

      const types = await journal.register([renamed, ALARM_RAISED])
      const again = await adapter.reopen(journal)
      const next = new TestWriter(types, { term: 2 })
      const base = { expectedVersion: 1, baseTerm: 1, baseNumber: 1 }
      await again.append(
        batchOf([next.append({ entity: PRESS, ...base, rows: [{ event: 'Sampled', data: { heat: 2, mode: 'manual' } }] })]),
      )
      const back = await again.register([SAMPLED])

      expect(types.map(({ number }) => number)).toEqual([3, 2])
      expect(back.map(({ number }) => number)).toEqual([1])
      expect((await rowsOf(again)).map((row) => [row.event, row.typeNumber, row.data])).toEqual([
        ['Sampled', 1, { temperature: 1, force: 0.5 }],
        ['Sampled', 3, { heat: 2, mode: 'manual' }],
      ])
      await again.close()
    })
  })

  describe(`${kind}: snapshots and checkpoints`, () => {
    test('come back, newest first, the last two of an entity, none above the version asked for', async () => {
      const { journal, writer } = await start()
      await journal.append(batchOf([1, 2, 3, 4].map((value) => writer.sample(PRESS, value))))
      const at = (version: number) => ({
        entity: PRESS,
        version,
        term: 1,
        appendNumber: version,
        position: version,
        bytes: Uint8Array.of(version),
      })

      for (const version of [1, 2, 3]) await journal.saveSnapshots([at(version)])
      const again = await adapter.reopen(journal)

      expect(again.snapshot(PRESS)).toEqual(at(3))
      expect(again.snapshot(PRESS, 2)).toEqual(at(2))
      expect(again.snapshot(PRESS, 1)).toBeUndefined()
      expect(again.snapshot(OTHER)).toBeUndefined()
      const { entity: _, ...newest } = at(3)
      expect([...again.snapshots(shardOfId(PRESS, again.shardCount))]).toMatchObject([{ ...newest, number: 0, headVersion: 4 }])
      await again.close()
    })

    test('of versions that the log does not have are passed over', async () => {
      const { journal, writer } = await start()
      await journal.append(batchOf([writer.sample(PRESS, 1)]))
      const ahead = { entity: PRESS, version: 2, term: 1, appendNumber: 2, position: 2, bytes: Uint8Array.of(2) }

      await journal.saveSnapshots([ahead])

      expect(journal.snapshot(PRESS)).toBeUndefined()
      expect([...journal.snapshots(shardOfId(PRESS, journal.shardCount))]).toEqual([])
      await journal.close()
    })

    test('keep a checkpoint under its name', async () => {
      const { journal } = await start()
      await journal.saveCheckpoint('orders', Uint8Array.of(1))
      await journal.saveCheckpoint('orders', Uint8Array.of(2, 3))

      const again = await adapter.reopen(journal)

      expect(again.checkpoint('orders')).toEqual(Uint8Array.of(2, 3))
      expect(again.checkpoint('other')).toBeUndefined()
      await again.close()
    })
  })
}
