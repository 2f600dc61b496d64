import { describe, expect, test } from 'vitest'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import { InMemoryJournal } from '#journal/in-memory/in-memory-journal.js'
import type { BlockEntry, Journal } from '#journal/index.js'
import { unpackExact } from '#runtime/exact-pack.js'
import { type QueryItem, queryItems } from '#runtime/query-service.js'
import { collect } from '../contracts/journal-adapter.js'
import { batchOf, field, SAMPLED, TestWriter } from '../journal/writer.js'

const NOTED = { entity: 'press', event: 'Noted', fields: [field('text', 'text')] }

async function fill(journal: Journal, count: number): Promise<void> {
  const writer = new TestWriter(await journal.register([SAMPLED, NOTED]))
  for (let block = 0; block < 3; block++)
    await journal.append(batchOf(Array.from({ length: count }, (_, row) => writer.sample('press/a', block * count + row))))
}

function rowsOf(items: readonly QueryItem[]): unknown[][] {
  return items.flatMap((item) => (item.kind === 'rows' ? unpackExact<unknown[][]>(item.rows) : []))
}

describe('a query over a socket', () => {
  test('answers its plan, rows some hundred at a time, and what it read', async () => {
    const journal = createInMemoryJournal()
    await fill(journal, 600)

    const items = await collect(
      queryItems(journal, { where: ['temperature < 700'], columns: ['temperature'] }, new AbortController().signal),
    )

    expect(items[0]).toMatchObject({ kind: 'plan', columns: [{ name: 'temperature', kind: 'f64' }], plan: { blocksToRead: 3 } })
    expect(items.at(-1)).toMatchObject({ kind: 'end', counts: { blocksRead: 3, rowsMatched: 700 } })
    expect(rowsOf(items)).toEqual(Array.from({ length: 700 }, (_, row) => [row]))
    expect(items.filter(({ kind }) => kind === 'rows').length).toBe(3)
  })

  test('cuts rows of long texts into items that fit a line', async () => {
    const journal = createInMemoryJournal()
    const writer = new TestWriter(await journal.register([NOTED]))
    const text = 'x'.repeat(250_000)
    await journal.append(
      batchOf(Array.from({ length: 60 }, () => writer.append({ entity: 'press/a', rows: [{ event: 'Noted', data: { text } }] }))),
    )

    const items = await collect(queryItems(journal, { columns: ['position', 'text'] }, new AbortController().signal))

    const lengths = items.flatMap((item) => (item.kind === 'rows' ? [item.rows.length] : []))
    expect(Math.max(...lengths)).toBeLessThanOrEqual(8 << 20)
    expect(rowsOf(items).map(([position]) => position)).toEqual(Array.from({ length: 60 }, (_, position) => position))
  })

  test('tells how far it is while no row comes', async () => {
    class SlowJournal extends InMemoryJournal {
      override async readBlock(entry: BlockEntry): Promise<Uint8Array | undefined> {
        await new Promise((resolve) => setTimeout(resolve, 250))
        return super.readBlock(entry)
      }
    }
    const journal = new SlowJournal({})
    await fill(journal, 1)

    const items = await collect(queryItems(journal, { aggregates: ['count()'] }, new AbortController().signal))

    expect(items.map(({ kind }) => kind)).toEqual(['plan', ...items.slice(1, -2).map(() => 'progress'), 'rows', 'end'])
    expect(items.length).toBeGreaterThan(4)
  })

  test('ends when nobody listens any more', async () => {
    const journal = createInMemoryJournal()
    await fill(journal, 600)
    const stop = new AbortController()
    stop.abort()

    await expect(collect(queryItems(journal, {}, stop.signal))).rejects.toThrow('aborted')
  })
})
