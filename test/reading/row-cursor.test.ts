import { describe, expect, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import { BATCH_ROWS_MAX, HOLD_MS, PLACES_MAX, RowCursor } from '#reading/row-cursor.js'
import { compileSelection } from '#reading/row-selection.js'
import { GrowingLog } from './log-of.js'

/** A log of 2000 rows that counts the ways through it that are begun and neither at their end nor let go. */
async function watchedLog() {
  const log = await GrowingLog.inMemory()
  const { journal } = log
  await log.grow(2000)
  const open = { count: 0 }
  const ordered = journal.orderedBlocks.bind(journal)
  journal.orderedBlocks = async function* (range) {
    open.count++
    try {
      yield* ordered(range)
    } finally {
      open.count--
    }
  }
  return { journal, open, grow: (rows: number) => log.grow(rows) }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('cursors that pause', () => {
  test('keep their places for a while, at most some of them, and find them again', async () => {
    const { journal, open } = await watchedLog()
    const clock = new FakeClock()
    const cursors = Array.from({ length: 10 }, () => new RowCursor({ journal, selection: compileSelection({}), from: 0, clock }))

    for (const cursor of cursors) await cursor.next()
    await turn()
    expect(open.count).toBe(PLACES_MAX)
    clock.advance(HOLD_MS)
    await turn()
    expect(open.count).toBe(0)

    for (const cursor of cursors) {
      const { rows, next } = await cursor.next()
      expect([rows[0]?.position, rows.length, next]).toEqual([BATCH_ROWS_MAX, BATCH_ROWS_MAX, 2 * BATCH_ROWS_MAX])
    }
  })

  test('do not begin anew with every batch when they are merely slow', async () => {
    const { journal, open } = await watchedLog()
    const clock = new FakeClock()
    const cursor = new RowCursor({ journal, selection: compileSelection({}), from: 0, clock })
    let begun = 0
    const ordered = journal.orderedBlocks.bind(journal)
    journal.orderedBlocks = async function* (range) {
      begun++
      yield* ordered(range)
    }

    for (let batch = 0; batch < 4; batch++) {
      await cursor.next()
      clock.advance(HOLD_MS - 1)
    }

    expect([begun, cursor.position, open.count]).toEqual([1, 2000, 0])
  })

  test('let a closed one go at once', async () => {
    const { journal, open } = await watchedLog()
    const cursor = new RowCursor({ journal, selection: compileSelection({}), from: 0, clock: new FakeClock() })
    await cursor.next()

    cursor.close()
    await turn()

    expect(open.count).toBe(0)
  })
})

describe('a cursor at the end of the log', () => {
  test('has looked at all of it, and goes on with what comes', async () => {
    const { journal, grow } = await watchedLog()
    const cursor = new RowCursor({ journal, selection: compileSelection({ entity: 'press/9' }), from: 0, clock: new FakeClock() })

    const first = await cursor.next()
    const none = await cursor.next()
    await grow(10)
    const second = await cursor.next()

    expect([first.rows.length, first.next, first.end]).toEqual([200, 2000, 2000])
    expect(none).toEqual({ rows: [], next: 2000, end: 2000 })
    expect([second.rows.length, second.next]).toEqual([1, 2010])
  })
})
