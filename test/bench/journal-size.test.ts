import { describe, expect, test } from 'vitest'
import { describeJournalSize, JOURNAL_SIZE_SMOKE, measureJournalSize } from '../../bench/journal-size.js'
import { missingData } from '../ingest/data.js'

const missing = JOURNAL_SIZE_SMOKE.names.map(missingData).find((reason) => reason !== undefined)

describe('the benchmark of what a log takes on disk', () => {
  test.skipIf(missing !== undefined)(
    `seals the rows, reads them back and tells their bytes${missing === undefined ? '' : ` (${missing})`}`,
    async () => {
      const result = await measureJournalSize(JOURNAL_SIZE_SMOKE)

      expect(result.datasets.map(({ name, rows }) => [name, rows])).toEqual(
        JOURNAL_SIZE_SMOKE.names.map((name) => [name, JOURNAL_SIZE_SMOKE.rowsMax]),
      )
      expect(result.decoding.every(({ valuesPerSecond }) => valuesPerSecond > 0)).toBe(true)
      for (const { bytes, appendedBytes } of result.datasets) expect(bytes).toBeLessThan(appendedBytes / 2)
      expect(describeJournalSize(result).split('\n')).toHaveLength(3)
    },
  )

  test('leaves out what is not there, with the reason', async () => {
    const result = await measureJournalSize({ names: ['no-such-data'], rowsMax: 1, isCompared: false, decodeMs: 1 })

    expect(result).toEqual({
      bench: 'journal-size',
      datasets: [],
      decoding: [],
      skipped: [{ name: 'no-such-data', reason: 'there is no data set no-such-data' }],
    })
  })
})
