import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isMillraceError } from '#base/errors.js'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import { type Journal, type LogQuery, readRows } from '#journal/index.js'
import { askSlowly } from '../../models/log-query.js'
import { collect } from '../../contracts/journal.contract.js'
import { fill, logs, queries } from './random-log.js'

const RUNS = 100

describe('a query of a random log', () => {
  test('answers what a filter over all rows answers, or says what makes no sense', async () => {
    let [withRows, empty, refused] = [0, 0, 0]
    await fc.assert(
      fc.asyncProperty(logs, fc.array(queries, { minLength: 8, maxLength: 8 }), async (log, asked) => {
        const journal = createInMemoryJournal({ shardCount: 3 })
        await fill(journal, log)
        for (const query of asked) {
          const answer = await ask(journal, query)
          if (answer === undefined) refused++
          else {
            if (answer.length > 0) withRows++
            else empty++
            expect(answer).toEqual(askSlowly(await collect(readRows(journal, { from: 0 })), journal.eventTypes, query))
          }
        }
      }),
      { numRuns: RUNS },
    )
    expect(withRows).toBeGreaterThan(Math.max(empty, refused))
  })
})

async function ask(journal: Journal, query: LogQuery): Promise<unknown[] | undefined> {
  try {
    return await collect(journal.query(query))
  } catch (error) {
    if (isMillraceError(error, 'ERR_QUERY')) return undefined
    throw error
  }
}
