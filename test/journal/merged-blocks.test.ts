import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import { Prng } from '#base/prng.js'
import { BlockReplay } from '#journal/block-replay.js'
import { EventTypes } from '#journal/event-types.js'
import type { BlockRange, Journal } from '#journal/journal.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { MergedBlocks } from '#journal/merged-blocks.js'
import { PendingRows } from '#journal/pending-rows.js'
import { collect } from '../contracts/journal-adapter.js'
import { ALARM_RAISED, batchOf, SAMPLED, TestWriter } from './writer.js'

const root = mkdtempSync(join(tmpdir(), 'millrace-merged-'))
const SHARDS = 4
const RUNS = 6
let count = 0

afterAll(() => rmSync(root, { recursive: true, force: true }))

async function opened(directory = join(root, `log-${count++}`)) {
  const merged = { smallRowsMax: 9, mergedRowsMin: 24, bytesMax: 4096 }
  const journal = await openLmdbJournal({ directory, shardCount: SHARDS, merged })
  const writer = new TestWriter(await journal.register([SAMPLED, ALARM_RAISED]), { shardCount: SHARDS })
  return { directory, journal, writer }
}

/** All that a fold looks at, of all rows from `from` on that a range of shards has; those of an entity in the order in which they come. */
async function rowsIn(journal: Journal, range: BlockRange): Promise<{ readonly blocks: number; readonly rows: Map<string, unknown[]> }> {
  const rows = new Map<string, unknown[]>()
  const blocks = await collect(journal.blocks(range))
  for (const block of blocks) {
    const replay = new BlockReplay(block, journal.eventTypes)
    replay.forEachRowOfShards((shard) => {
      if (range.shards?.has(shard) === false) return undefined
      return (row) => {
        const { version, typeNumber, at, accepted, term, appendNumber, source, sequence, outcomeKind, outcome, correlation, isLate } = row
        const facts = { version, typeNumber, at, accepted, term, appendNumber, source, sequence, outcomeKind, outcome, correlation, isLate }
        const key = `${shard}/${row.entityNumber}`
        const own = rows.get(key) ?? []
        rows.set(key, [...own, { ...facts, data: row.data() }])
      }
    })
  }
  return { blocks: blocks.length, rows }
}

/** A batch of up to fourteen appends: of samples, of alarms, of two rows, and receipts with all that a row can have. */
function someBatch(prng: Prng, writer: TestWriter) {
  const frames = Array.from({ length: 1 + prng.below(prng.below(3) === 0 ? 14 : 4) }, () => {
    const entity = `press/press-${prng.below(11)}` as EntityId
    const code = `CODE-${prng.below(5)}`
    if (prng.below(3) > 0) return writer.sample(entity, prng.below(100), { source: `line-${prng.below(3)}`, sequence: prng.below(1000) })
    const alarm = { event: 'AlarmRaised', data: { code, value: prng.below(9) } }
    const rows = prng.below(2) === 0 ? [] : [alarm, alarm]
    return writer.append({ entity, rows, correlation: code, outcomeKind: 1, outcome: Uint8Array.of(prng.below(256)), flags: prng.below(2) })
  })
  return batchOf(frames)
}

describe('blocks that were merged', () => {
  test(`have the rows of those that were stored, whatever came between, ${RUNS} times`, async () => {
    let [merged, stored] = [0, 0]
    for (let seed = 1; seed <= RUNS; seed++) {
      const prng = new Prng(seed)
      const { journal, writer, directory } = await opened()
      for (let batch = 0; batch < 40; batch++) {
        await journal.append(someBatch(prng, writer))
        if (prng.below(25) === 0) await journal.seal()
        if (prng.below(8) > 0) continue
        const range = { from: prng.below(journal.endPosition), shards: new Set([prng.below(SHARDS), prng.below(SHARDS)]) }
        const plain = await rowsIn(journal, range)
        const found = await rowsIn(journal, { ...range, isMerged: true })
        expect.soft({ seed, batch, rows: afterFrom(found.rows, plain.rows) }).toEqual({ seed, batch, rows: plain.rows })
        merged += found.blocks
        stored += plain.blocks
      }
      const before = await rowsIn(journal, { from: 0 })
      await journal.close()
      const again = (await opened(directory)).journal
      expect((await rowsIn(again, { from: 0, isMerged: true })).rows).toEqual(before.rows)
      await again.close()
    }
    expect(merged).toBeLessThan(stored * 0.75)
  })

  test('are not given before all of their rows are durable, and make room for newer ones', () => {
    const types = new EventTypes([{ ...SAMPLED, number: 1 }])
    const merged = new MergedBlocks(types, { mergedRowsMin: 4, bytesMax: 1000 })
    const writer = new TestWriter(types.all, { shardCount: SHARDS })
    const add = (base: number) => {
      const { memories, offsets, lengths } = batchOf([writer.sample('press/a', base), writer.sample('press/b', base)])
      const rows = new PendingRows()
      rows.memories = memories
      for (const index of [0, 1]) rows.add(0, offsets[index] as number, lengths[index] as number, 1, 1, index)
      merged.add(base, rows)
      merged.mergeWhenDue()
    }
    for (let base = 0; base < 8; base += 2) add(base)

    const endsOf = (from: number, end: number) => merged.between(from, end).map(({ endPosition }) => endPosition)
    expect([endsOf(0, 3), endsOf(0, 4), endsOf(0, 7), endsOf(3, 8), endsOf(4, 8)]).toEqual([[], [4], [4], [4, 8], [8]])
    for (let base = 8; base < 80; base += 2) add(base)
    expect(merged.byteCount).toBeLessThan(1000)
    expect(endsOf(0, 80).at(-1)).toBe(80)
    merged.forget(80)
    expect([endsOf(0, 80), merged.byteCount]).toEqual([[], 0])
  })
})

/** What merged blocks have, without the rows before `from` that come with a run: those of which the stored blocks have none. */
function afterFrom(merged: Map<string, unknown[]>, stored: Map<string, unknown[]>): Map<string, unknown[]> {
  const versionsOf = (rows: unknown[] = []) => new Set(rows.map((row) => (row as { version: number }).version))
  const kept = [...merged].map(([key, rows]) => {
    const versions = versionsOf(stored.get(key))
    return [key, rows.filter((row) => versions.has((row as { version: number }).version))] as const
  })
  return new Map(kept.filter(([, rows]) => rows.length > 0))
}
