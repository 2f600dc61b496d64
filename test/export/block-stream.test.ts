import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { EntityId } from '#base/ids.js'
import { BlockScan } from '#export/block-scan.js'
import { type BlocksItem, type ExportQuery, streamBlocks } from '#export/block-stream.js'
import type { Journal } from '#journal/index.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { sharedColumn } from '#journal/query/columns.js'
import { batchOf, SAMPLED, TestWriter } from '../journal/writer.js'

let directory = ''
let journal: Journal
let writer: TestWriter

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'millrace-stream-'))
  journal = await openLmdbJournal({ directory, shardCount: 8 })
  writer = new TestWriter(await journal.register([SAMPLED]), { shardCount: 8 })
})

afterEach(async () => {
  await journal.close()
  rmSync(directory, { recursive: true })
})

async function fill(blocks: number): Promise<void> {
  for (let block = 0; block < blocks; block++) {
    const rows = Array.from({ length: 20 }, (_, index) => writer.sample(`press/p${index % 7}`, block))
    await journal.append(batchOf(rows))
  }
}

/** Takes the items in and gives position, entity and version of each row. */
async function rowsOf(items: AsyncIterable<BlocksItem>, query: ExportQuery = {}): Promise<[number, EntityId, number][]> {
  const rows: [number, EntityId, number][] = []
  let scan: BlockScan | undefined
  for await (const item of items) {
    if (item.kind === 'begin') scan = new BlockScan(query, item.begin)
    else if (item.kind === 'names') scan?.learn(item)
    else {
      await scan?.block(item.entry, item.bytes, item.from, item.to, (columns, picks, count) => {
        const [position, entity, version] = (['position', 'entity', 'version'] as const).map((name) => columns.reader(sharedColumn(name)))
        for (let index = 0; index < count; index++) {
          const pick = picks?.[index] ?? index
          rows.push([position?.(pick) as number, entity?.(pick) as EntityId, version?.(pick) as number])
        }
      })
    }
  }
  return rows
}

function expectAllOnce(rows: readonly [number, EntityId, number][], count: number): void {
  expect(rows.map(([position]) => position).sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, position) => position))
  const last = new Map<EntityId, number>()
  for (const [, entity, version] of rows) {
    expect(version, entity).toBe((last.get(entity) ?? 0) + 1)
    last.set(entity, version)
  }
}

describe('blocks that are streamed', () => {
  test('have every row once, those of an entity in order, over sealed segments and the active one', async () => {
    await fill(5)
    await journal.seal()
    await fill(5)
    await journal.seal()
    await fill(5)

    expectAllOnce(await rowsOf(streamBlocks(journal, {})), 300)
    const some = { from: 50, to: 250, entity: 'press/p3' }
    const rows = await rowsOf(streamBlocks(journal, some), some)
    expect(rows.map(([position, entity]) => [entity, position >= 50 && position <= 250])).toEqual(rows.map(() => ['press/p3', true]))
    expect(rows.length).toBeGreaterThan(20)
  })

  test.each([0, 3, 7])('have every row once when the segment is sealed under them, after %i blocks', async (blocks) => {
    await fill(4)
    await journal.seal()
    await fill(8)
    async function* sealedMeanwhile(): AsyncGenerator<BlocksItem> {
      let unsealed = 0
      for await (const item of streamBlocks(journal, {})) {
        yield item
        if (item.kind !== 'block' || item.entry.isClustered || unsealed++ !== blocks) continue
        await fill(3)
        await journal.seal()
      }
    }

    expectAllOnce(await rowsOf(sealedMeanwhile()), 240)
  })

  test('end with an error when what was to come is dropped', async () => {
    await fill(4)
    await journal.seal()
    await fill(4)
    await journal.seal()
    const [oldest, next] = journal.sealedSegments().map(({ name }) => name) as [string, string]
    const items = streamBlocks(journal, {})

    for (let item = await items.next(); item.value?.kind !== 'block'; item = await items.next()) expect(item.done).toBe(false)
    await journal.dropOldest(oldest)
    await journal.dropOldest(next)

    await expect(rowsOf(items)).rejects.toMatchObject({ code: 'ERR_SEGMENT_GONE' })
  })
})
