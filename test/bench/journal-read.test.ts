import { expect, test } from 'vitest'
import { describeJournalRead, JOURNAL_READ_SMOKE, measureJournalRead } from '../../bench/journal-read.js'

test('the reading benchmark reads what it wrote, from logs of two sizes', async () => {
  const result = await measureJournalRead(JOURNAL_READ_SMOKE)

  expect(result).toMatchObject({ bench: 'journal-read', isCold: false, events: 6000, entities: 20 })
  for (const key of ['columnValuesPerSecond', 'replayEventsPerSecond', 'lastHundredMs', 'coldOpenMs'] as const)
    expect(result[key]).toBeGreaterThan(0)
  expect(result.growth.map(({ events }) => events)).toEqual([2000, 6000])
  expect(result.growth.every(({ openMs, lastHundredMs, memoryMiB }) => openMs > 0 && lastHundredMs > 0 && memoryMiB > 0)).toBe(true)
  expect(describeJournalRead(result).split('\n')).toHaveLength(7)
})
