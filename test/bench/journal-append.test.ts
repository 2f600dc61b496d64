import { expect, test } from 'vitest'
import { describeJournalAppend, JOURNAL_APPEND_SMOKE, measureJournalAppend } from '../../bench/journal-append.js'

test('the append benchmark reads back what it appended, and measures a reference', async () => {
  const result = await measureJournalAppend(JOURNAL_APPEND_SMOKE)

  expect(result.eventsPerSecond).toBeGreaterThan(0)
  expect(result.fsyncs).toBeGreaterThanOrEqual(JOURNAL_APPEND_SMOKE.batches)
  expect(result.fsyncs).toBeLessThan(2 * JOURNAL_APPEND_SMOKE.batches)
  expect(result.ackP99Ms).toBeGreaterThanOrEqual(result.ackP50Ms)
  expect(result.bytesPerEvent).toBeGreaterThan(0)
  expect(result.oneAtATime.rawPutP50Ms).toBeGreaterThan(0)
  expect(result.reference).toMatchObject({ name: 'raw-lmdb', eventsPerSecond: expect.any(Number) as number })
  expect(describeJournalAppend(result)).toMatch(/events read back$/)
})
