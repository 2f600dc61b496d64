import { describe, expect, test } from 'vitest'
import type { LoggedRow } from '#drills/plant-under-test.js'
import { TimerBook } from '#drills/timer-book.js'

const BELL = 'bell/a'
const SENT = 1_000_000_000
const MS = 1000
const NONE = { missing: 0, repeated: 0, unwanted: 0, early: 0, outOfOrder: 0 }

describe('a log of timers, held against the book', () => {
  test('has each once, at its time or later, and how late is counted', async () => {
    const verdict = await check([rang(1, 100), rang(2, 200, 250), every(50), every(100), every(150, 151)])

    expect(verdict).toEqual({
      report: { set: 4, cancelled: 2, wentOff: 5, ...NONE, lateMs: { p50: 0, p99: expect.closeTo(48, 0), max: 50 } },
      examples: [],
    })
  })

  test.each<[string, Ring[], object, string]>([
    ['never', [rang(1, 100)], { missing: 1 }, 'never went off: timer 2'],
    ['twice', [rang(1, 100), rang(2, 200), rang(1, 100, 210)], { repeated: 1 }, 'went off twice: timer 1'],
    ['too early', [rang(1, 100, 85), rang(2, 200)], { early: 1 }, 'went off too early: timer 1'],
    ['behind a later one', [rang(2, 200, 300), rang(1, 100, 300)], { outOfOrder: 1 }, 'went off behind a later one: timer 1'],
    ['though cancelled', [rang(1, 100), rang(3, 150), rang(2, 200)], { unwanted: 1 }, 'went off though nobody wanted it any more: timer 3'],
    [
      'and nobody set it',
      [rang(1, 100), rang(9, 150), rang(2, 200)],
      { unwanted: 1 },
      'went off though nobody wanted it any more: timer 9',
    ],
  ])('has one that went off %s', async (_, once, wrong, said) => {
    const verdict = await check([...once, every(50)])

    expect(verdict.report).toMatchObject({ ...NONE, ...wrong })
    expect(verdict.examples).toEqual([`${said} of ${BELL}`])
  })

  test.each<[string, Ring[], object]>([
    ['leaves out what has passed by', [every(50, 170), every(200)], {}],
    ['leaves out what has not', [every(50), every(150)], { missing: 1 }],
    ['goes off twice for one time', [every(50), every(50, 60), every(100)], { repeated: 1 }],
    ['goes off before its time', [every(50), every(100, 80)], { early: 1 }],
    ['goes off between its times', [every(50), every(75)], { early: 1 }],
    ['never goes off', [], { missing: 1 }],
    ['goes off when it was cancelled', [every(50), { ...every(100), isBehindCancel: true }], { unwanted: 1 }],
  ])('has one that goes off again and again, and %s', async (_, again, wrong) => {
    const verdict = await check([rang(1, 100), rang(2, 200), ...again])

    expect(verdict.report).toMatchObject({ ...NONE, ...wrong })
  })

  test('says when the timers were set, but is not believed more than the sender allows', async () => {
    const late = await check([rang(1, 100), rang(2, 200), every(50)], SENT + 60 * MS)

    expect(late.report).toMatchObject({ missing: 0, early: 3 })
  })
})

interface Ring {
  readonly event: 'Rang' | 'RangAgain'
  readonly timer: number
  readonly dueMs: number
  readonly wentOffMs: number
  readonly isBehindCancel?: boolean
}

function rang(timer: number, dueMs: number, wentOffMs = dueMs): Ring {
  return { event: 'Rang', timer, dueMs, wentOffMs }
}

/** Of the timer 4. */
function every(dueMs: number, wentOffMs = dueMs): Ring {
  return { event: 'RangAgain', timer: 4, dueMs, wentOffMs }
}

/** Timers 1 and 2 after 100 and 200 ms, 3 after 150 and cancelled, 4 every 50 ms until it was cancelled. */
function check(rings: readonly Ring[], setAt = SENT + MS) {
  const once = [1, 2, 3].map((timer) => ({ timer, ms: timer === 3 ? 150 : 100 * timer, isEvery: false }))
  const book = new TimerBook()
  book.recordSet(BELL, [...once, { timer: 4, ms: 50, isEvery: true }], SENT, SENT + 2 * MS)
  book.recordCancelled(BELL, 3, 3)
  book.recordCancelled(BELL, 4, 99)
  const set = { event: 'Set', data: {}, version: 1, at: setAt, accepted: setAt }
  const rows = rings.map(({ event, timer, dueMs, wentOffMs, isBehindCancel = false }, index) => ({
    event,
    data: { timer },
    version: isBehindCancel ? 100 + index : 4 + index,
    at: SENT + MS + dueMs * MS,
    accepted: SENT + MS + wentOffMs * MS,
  }))
  return book.check(logOf([set, ...rows]))
}

async function* logOf(rows: readonly Omit<LoggedRow, 'entity'>[]): AsyncGenerator<LoggedRow> {
  for (const row of rows) yield { entity: BELL, ...row }
}
