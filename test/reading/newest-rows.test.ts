import { describe, expect, test } from 'vitest'
import { systemClock } from '#base/clock.js'
import { JournalFeed } from '#reading/log-feed.js'
import { newestRows } from '#reading/newest-rows.js'
import type { RowSelection } from '#reading/row-selection.js'
import { GrowingLog } from './log-of.js'

async function newestOf(rows: number, selection: RowSelection, count: number) {
  const log = await GrowingLog.inMemory()
  await log.grow(rows)
  const newest = await newestRows(new JournalFeed(log.journal, systemClock), selection, count)
  return {
    positions: newest.rows.map(({ position }) => position),
    end: newest.end,
    entities: new Set(newest.rows.map(({ entity }) => entity)),
  }
}

describe('the newest rows', () => {
  test('are the last ones, in order', async () => {
    expect(await newestOf(500, {}, 3)).toMatchObject({ positions: [497, 498, 499], end: 500 })
  })

  test('are the last ones of what is selected, however far back', async () => {
    const { positions, entities } = await newestOf(500, { entity: 'press/3' }, 25)

    expect([...entities]).toEqual(['press/3'])
    expect(positions).toHaveLength(25)
    expect(positions).toEqual(positions.toSorted((a, b) => a - b))
    expect(positions[0]).toBeGreaterThanOrEqual(200)
  })

  test('are all there are where there are fewer', async () => {
    expect((await newestOf(20, { event: 'AlarmRaised' }, 5)).positions).toHaveLength(2)
    expect(await newestOf(20, { event: 'Unheard' }, 5)).toMatchObject({ positions: [], end: 20 })
    expect(await newestOf(0, {}, 5)).toMatchObject({ positions: [], end: 0 })
    expect(await newestOf(20, {}, 0)).toMatchObject({ positions: [], end: 20 })
  })
})
