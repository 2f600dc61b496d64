import { describe, expect, test } from 'vitest'
import { type RowRange, readRows } from '#journal/index.js'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import { shardOfId } from '#base/ids.js'
import { collect } from '../contracts/journal-adapter.js'
import { ALARM_RAISED, batchOf, SAMPLED, TestWriter } from './writer.js'

async function filled() {
  const journal = createInMemoryJournal()
  const writer = new TestWriter(await journal.register([SAMPLED, ALARM_RAISED]))
  for (let block = 0; block < 3; block++) {
    const sample = writer.sample('press/a', block)
    const alarm = writer.append({ entity: 'press/b', rows: [{ event: 'AlarmRaised', data: { code: 'HOT', value: block } }] })
    await journal.append(batchOf([sample, alarm, writer.append({ entity: 'press/c', rows: [] })]))
  }
  const read = (range: RowRange) => collect(readRows(journal, range))
  return { journal, read }
}

describe('reading rows', () => {
  test('gives those for which all conditions hold, in order of position', async () => {
    const { journal, read } = await filled()
    const all = await read({ from: 0 })
    const at = (rows: readonly { position: number }[]) => rows.map((row) => row.position)

    const ofB = all.filter((row) => row.entity === 'press/b')
    const ofShard = all.filter((row) => shardOfId(row.entity, journal.shardCount) === shardOfId('press/a', journal.shardCount))
    expect(at(all)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(at(await read({ from: 2, to: 5 }))).toEqual([2, 3, 4])
    expect(await read({ from: 0, entity: 'press/b' })).toEqual(ofB)
    expect(await read({ from: 3, entity: 'press/b', event: 'AlarmRaised' })).toEqual(ofB.slice(1))
    expect(await read({ from: 0, event: 'Sampled' })).toEqual(all.filter((row) => row.event === 'Sampled'))
    expect(await read({ from: 0, event: ['press.Sampled', 'pump.AlarmRaised'] })).toEqual(all.filter((row) => row.event === 'Sampled'))
    expect(await read({ from: 0, shards: new Set([shardOfId('press/a', journal.shardCount)]) })).toEqual(ofShard)
    expect([await read({ from: 9 }), await read({ from: 0, entity: 'press/unknown' }), await read({ from: 0, event: 'Unheard' })]).toEqual([
      [],
      [],
      [],
    ])
  })

  test('refuses what is not an entity id', async () => {
    const { read } = await filled()

    await expect(read({ from: 0, entity: 'press/' })).rejects.toMatchObject({ code: 'ERR_ENTITY_ID' })
  })

  test('ends where the log ended when it began', async () => {
    const { journal } = await filled()
    const writer = new TestWriter(journal.eventTypes, { term: 2 })
    const positions: number[] = []

    for await (const row of readRows(journal, { from: 0 })) {
      positions.push(row.position)
      await journal.append(batchOf([writer.sample('press/late', row.position)]))
    }

    expect(positions).toHaveLength(9)
    expect(journal.endPosition).toBe(18)
  })
})
