import { describe, expect, test } from 'vitest'
import type { LoggedRow } from '#drills/plant-under-test.js'
import { STRATEGIES, type Strategy, TreeBook } from '#drills/tree-book.js'

describe('what a tree has to come to', () => {
  test.each<[Strategy, readonly number[]]>([
    ['one-for-one', [1]],
    ['one-for-all', [0, 1, 2, 3]],
    ['rest-for-one', [1, 2, 3]],
  ])('%s: these begin anew, twice; then all of them with their cell; and in the end all stop', (strategy, group) => {
    const page = new TreeBook().open(strategy, 'a', 4)
    const all = [0, 1, 2, 3]
    for (const tool of all) page.work(tool, 5)

    expect(page.err(1)).toEqual(group)
    expect(all.filter((tool) => page.look(tool) === `fitted with ${tool + 1} and 0 strokes`)).toEqual(group)
    expect([page.err(3), page.err(1), page.err(1)]).toEqual([[], group, all])
    expect([page.err(1), page.err(1), page.isStopped]).toEqual([group, group, false])
    expect([page.err(1), page.isStopped, page.look(0)]).toEqual([all, true, 'STOPPED'])
  })
})

describe('a log of trees, held against the book', () => {
  test('is as the book says', async () => {
    expect(await check(RIGHT)).toEqual({ report: { ...REPORT, wrong: 0 }, examples: [] })
  })

  test.each<[string, Log, string]>([
    ['of a child that was not restarted', { ...RIGHT, [TOOL]: ['started', 'errored'] }, `${TOOL} was started, errored instead of`],
    [
      'of a child that was restarted twice',
      { ...RIGHT, [TOOL]: ['started', 'errored', 'restarted', 'restarted'] },
      `${TOOL} was started, errored, restarted, restarted instead of`,
    ],
    ['of a sibling that was restarted, too', { ...RIGHT, [SIBLING]: ['started', 'restarted'] }, `${SIBLING} was started, restarted`],
    ['of a cell that took it upon itself to err', { ...RIGHT, [CELL]: ['started', 'errored'] }, `${CELL} was started, errored`],
    ['in which a tree is not at all', {}, `${CELL} was nothing instead of started`],
    [
      'of a cell that heard otherwise',
      { ...RIGHT, heard: ['resume'] },
      `errors of ${TOOL} that ${CELL} heard of came to resume instead of restart`,
    ],
  ])('finds one %s', async (_, log, said) => {
    const { report, examples } = await check(log)

    expect(report).toEqual({ ...REPORT, wrong: 1 })
    expect(examples).toEqual([expect.stringContaining(said)])
  })

  test.each(['before', 'behind'])('may have a cell that hears %s the others of an error that it cannot mend', async (when) => {
    const heard = when === 'before' ? ['escalate', 'restart'] : ['restart', 'escalate']

    expect((await check({ ...RIGHT, heard })).report.wrong).toBe(0)
  })

  test('leaves out those that were given up', async () => {
    const book = new TreeBook()
    for (const strategy of STRATEGIES) book.strike(book.open(strategy, 'a', 2))

    expect((await book.check(logOf({}))).report).toMatchObject({ trees: 0, wrong: 0 })
  })
})

type Log = Readonly<Record<string, readonly string[]>>

const CELL = 'cell-one-for-one/a-one-for-one'
const TOOL = 'tool/a-one-for-one-0'
const SIBLING = 'tool/a-one-for-one-1'
/** Of a tree in which one tool erred once. */
const RIGHT: Log = { [CELL]: ['started'], [TOOL]: ['started', 'errored', 'restarted'], [SIBLING]: ['started'], heard: ['restart'] }
const REPORT = { trees: 1, errors: 1, restarted: 1, resumed: 0, escalated: 0 }

function check(log: Log) {
  const book = new TreeBook()
  book.open('one-for-one', 'a', 2).err(0)
  return book.check(logOf(log))
}

/** What became of each entity, and what the cell heard of the tool. */
async function* logOf({ heard = [], ...lives }: Log): AsyncGenerator<LoggedRow> {
  const row = { version: 1, at: 0, accepted: 0 }
  for (const [entity, all] of Object.entries(lives))
    for (const what of all) yield { ...row, entity: entity as LoggedRow['entity'], event: '#lifecycle', data: { of: 'self', what } }
  for (const directive of heard) yield { ...row, entity: CELL, event: 'Heard', data: { from: TOOL, signal: 'errored', directive } }
}
