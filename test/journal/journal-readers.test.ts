import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { shardOfId } from '#base/ids.js'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import type { Journal } from '#journal/index.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { ALARM_RAISED, batchOf, SAMPLED, TestWriter } from './writer.js'

const ADAPTERS: readonly [string, () => Promise<Journal>][] = [
  ['in memory', async () => createInMemoryJournal()],
  [
    'on disk',
    async () => {
      const directory = mkdtempSync(join(tmpdir(), 'millrace-readers-'))
      onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
      return openLmdbJournal({ directory })
    },
  ],
]

describe.each(ADAPTERS)('what readers need of a journal %s', (_kind, open) => {
  const start = async () => {
    const journal = await open()
    onTestFinished(() => journal.close())
    return { journal, writer: new TestWriter(await journal.register([SAMPLED, ALARM_RAISED])) }
  }

  test('calls back after each append that stored rows, once they can be read, until it is told not to', async () => {
    const { journal, writer } = await start()
    const ends: number[] = []
    const stop = journal.onAppend(() => ends.push(journal.endPosition))
    journal.onAppend(() => stop())

    await journal.append(batchOf([writer.sample('press/a', 1), writer.sample('press/b', 1)]))
    await journal.append(batchOf([writer.sample('press/a', 2)]))

    expect(ends).toEqual([2])
  })

  test('does not call back for an append that stored nothing', async () => {
    const { journal, writer } = await start()
    let count = 0
    journal.onAppend(() => count++)
    const sample = writer.sample('press/a', 1)
    await journal.append(batchOf([sample]))

    const again = await journal.append(batchOf([sample]))

    expect(again).toMatchObject({ rowCount: 0, known: 1 })
    expect(count).toBe(1)
  })

  test('names the entity that blocks call by a number', async () => {
    const { journal, writer } = await start()
    await journal.append(batchOf([writer.sample('press/a', 1)]))
    const head = journal.head('press/a')

    expect(journal.entityName(head?.shard ?? -1, head?.number ?? -1)).toBe('press/a')
    expect(journal.entityName(shardOfId('press/a', journal.shardCount), 7)).toBeUndefined()
  })

  test('lists checkpoints by the beginning of their names, and forgets them', async () => {
    const { journal } = await start()
    for (const name of ['a/1', 'a/ü', 'b/1', 'a']) await journal.saveCheckpoint(name, Uint8Array.of(1))

    await journal.removeCheckpoint('a/1')
    await journal.removeCheckpoint('never there')

    expect([...journal.checkpointNames('a/')].toSorted()).toEqual(['a/ü'])
    expect([...journal.checkpointNames('')].toSorted()).toEqual(['a', 'a/ü', 'b/1'])
    expect(journal.checkpoint('a/1')).toBeUndefined()
  })

  test('reads rows of several events and of chosen entities in order', async () => {
    const { journal, writer } = await start()
    for (let n = 0; n < 5; n++)
      await journal.append(
        batchOf([
          writer.sample('press/a', n),
          writer.append({ entity: 'press/b', rows: [{ event: 'AlarmRaised', data: { code: 'HOT', value: n } }] }),
        ]),
      )
    const read = async (range: Parameters<Journal['read']>[0]) => {
      const rows = []
      for await (const { position, entity, version } of journal.read(range)) rows.push({ position, entity, version })
      return rows
    }

    const all = await read({ from: 0, event: ['Sampled', 'AlarmRaised'] })
    expect(all.map(({ position }) => position)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    expect(await read({ from: 3, entities: (entity) => entity === 'press/b' })).toEqual(
      all.filter(({ position, entity }) => position >= 3 && entity === 'press/b'),
    )
    expect(await read({ from: 0, event: [] })).toEqual([])
  })
})
