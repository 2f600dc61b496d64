import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { isMillraceError } from '#base/errors.js'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import { type Journal, type LogQuery, readRows } from '#journal/index.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import { runQuery } from '#journal/query/index.js'
import { askSlowly } from '../../models/log-query.js'
import { collect } from '../../contracts/journal-adapter.js'
import { soakSeed, soakTimes } from '../../soak.js'
import { fill, logs, queries } from './random-log.js'

const root = mkdtempSync(join(tmpdir(), 'millrace-query-'))
let logCount = 0

afterAll(() => rmSync(root, { recursive: true, force: true }))

const asked = fc.array(queries, { minLength: 12, maxLength: 12 })

describe('a query of a random log', () => {
  test('answers what a filter over all rows answers, or says what makes no sense', async () => {
    const seen = new Seen()
    await fc.assert(
      fc.asyncProperty(logs, asked, async (log, some) => {
        const journal = createInMemoryJournal({ shardCount: 3 })
        await fill(journal, log)
        await seen.checkAll(journal, some)
      }),
      params({ smoke: 30, full: 20_000 }),
    )
    seen.check()
  })

  test('answers the same of sealed segments, and of sealed ones behind which the log went on', async () => {
    const seen = new Seen()
    await fc.assert(
      fc.asyncProperty(logs, asked, fc.infiniteStream(fc.nat(2)), fc.constantFrom(1, 2, 5, 32_768), async (log, some, seals, rowsHeld) => {
        const journal = await openLmdbJournal({ directory: join(root, `${logCount++}`), shardCount: 3 })
        await fill(journal, log, async () => {
          if (seals.next().value === 0) await journal.seal()
        })
        await seen.checkAll(journal, some, rowsHeld)
        await journal.close()
      }),
      params({ smoke: 8, full: 2000 }),
    )
    seen.check()
  })
})

/** A few logs of one seed, which have enough to answer; any seed will do for many. */
function params(counts: { readonly smoke: number; readonly full: number }): { readonly numRuns: number; readonly seed: number } {
  return { numRuns: soakTimes(counts), seed: soakSeed(20_26) }
}

/** Compares answers, and counts them, so that a test of nothing but empty answers fails. */
class Seen {
  #withRows = 0
  #empty = 0
  #refused = 0

  async checkAll(journal: Journal, some: readonly LogQuery[], rowsHeld = 32_768): Promise<void> {
    const rows = await collect(readRows(journal, { from: 0 }))
    for (const query of some) {
      const answer = await ask(journal, query, rowsHeld)
      if (answer === undefined) this.#refused++
      else {
        if (answer.length > 0) this.#withRows++
        else this.#empty++
        expect(answer).toEqual(askSlowly(rows, journal.eventTypes, query))
      }
    }
  }

  check(): void {
    expect(this.#withRows).toBeGreaterThan(Math.max(this.#empty, this.#refused))
  }
}

async function ask(journal: Journal, query: LogQuery, rowsHeld: number): Promise<unknown[] | undefined> {
  try {
    return await collect(runQuery(journal, query, {}, rowsHeld))
  } catch (error) {
    if (isMillraceError(error, 'ERR_QUERY')) return undefined
    throw error
  }
}
