import { describe, expect, test } from 'vitest'
import { FaultJudge } from '../../bench/harness/fault-judge.js'
import { type ConsumerRecord, frameId, type ProducerRecord } from '../../bench/harness/fault-ledger.js'

/** Numbers of frames that each producer published, in turn; with an intent where it died in the act. */
function judgeOf(...producers: readonly (number | ProducerRecord)[]): FaultJudge {
  return new FaultJudge((incarnation) => {
    const record = producers[incarnation - 1] ?? 0
    return typeof record === 'number' ? { intended: record, published: record } : record
  })
}

type Id = readonly [incarnation: number, number: number]

function got(runs: readonly (readonly [Id, Id])[], released: Id | null, intended: Id | null = released): ConsumerRecord {
  const id = (pair: Id | null) => (pair === null ? 0 : frameId(pair[0], pair[1]))
  return { runs: runs.map(([first, last]) => [id(first), id(last)]), released: id(released), releaseIntended: id(intended), torn: [] }
}

function found(judge: FaultJudge): Record<string, number> {
  const { lost, torn, duplicated, invented } = judge.verdict
  return { lost: lost.size, torn: torn.size, duplicated: duplicated.size, invented: invented.size }
}

const NOTHING = { lost: 0, torn: 0, duplicated: 0, invented: 0 }

describe('the judge of frames under fault', () => {
  test('finds nothing where every frame comes once', () => {
    const judge = judgeOf(10, 0, 5)

    judge.judge(
      got(
        [
          [
            [1, 1],
            [1, 10],
          ],
          [
            [3, 1],
            [3, 5],
          ],
        ],
        [3, 5],
      ),
    )
    judge.finish(3)

    expect(found(judge)).toEqual(NOTHING)
  })

  test('lets a successor begin behind the last release, or behind the one that its predecessor died in', () => {
    for (const first of [4, 7]) {
      const judge = judgeOf(10)
      judge.judge(
        got(
          [
            [
              [1, 1],
              [1, 8],
            ],
          ],
          [1, 3],
          [1, 6],
        ),
      )
      judge.judge(
        got(
          [
            [
              [1, first],
              [1, 10],
            ],
          ],
          [1, 10],
        ),
      )
      judge.finish(1)

      expect(found(judge)).toEqual(NOTHING)
    }
  })

  test('lets a successor come to the next producer behind a release that its predecessor died in', () => {
    const judge = judgeOf(10, 9)
    judge.judge(
      got(
        [
          [
            [1, 1],
            [1, 10],
          ],
          [
            [2, 1],
            [2, 8],
          ],
        ],
        [1, 8],
        [2, 7],
      ),
    )
    judge.judge(
      got(
        [
          [
            [1, 9],
            [1, 10],
          ],
          [
            [2, 1],
            [2, 9],
          ],
        ],
        [2, 9],
      ),
    )
    judge.finish(2)

    expect(found(judge)).toEqual(NOTHING)
  })

  test('lets the last publish of a producer have happened or not', () => {
    for (const last of [5, 8]) {
      const judge = judgeOf({ intended: 8, published: 5 }, 2)
      judge.judge(
        got(
          [
            [
              [1, 1],
              [1, last],
            ],
            [
              [2, 1],
              [2, 2],
            ],
          ],
          [2, 2],
        ),
      )
      judge.finish(2)

      expect(found(judge)).toEqual(NOTHING)
    }
  })

  test('counts what is left out, in the middle, between producers, behind a release and at the end', () => {
    const middle = judgeOf(10)
    middle.judge(
      got(
        [
          [
            [1, 1],
            [1, 4],
          ],
          [
            [1, 6],
            [1, 10],
          ],
        ],
        [1, 10],
      ),
    )
    const between = judgeOf(10, 3)
    between.judge(
      got(
        [
          [
            [1, 1],
            [1, 8],
          ],
          [
            [2, 2],
            [2, 3],
          ],
        ],
        [2, 3],
      ),
    )
    const behind = judgeOf(10)
    behind.judge(
      got(
        [
          [
            [1, 1],
            [1, 8],
          ],
        ],
        [1, 3],
      ),
    )
    behind.judge(
      got(
        [
          [
            [1, 5],
            [1, 10],
          ],
        ],
        [1, 10],
      ),
    )
    const end = judgeOf(10, 4)
    end.judge(
      got(
        [
          [
            [1, 1],
            [1, 10],
          ],
        ],
        [1, 10],
      ),
    )
    end.finish(2)

    expect([middle, between, behind, end].map(found)).toEqual([1, 3, 1, 4].map((lost) => ({ ...NOTHING, lost })))
  })

  test('counts what comes again after its release, or twice to one consumer', () => {
    const again = judgeOf(10)
    again.judge(
      got(
        [
          [
            [1, 1],
            [1, 8],
          ],
        ],
        [1, 6],
      ),
    )
    again.judge(
      got(
        [
          [
            [1, 5],
            [1, 10],
          ],
        ],
        [1, 10],
      ),
    )
    const twice = judgeOf(10)
    twice.judge(
      got(
        [
          [
            [1, 1],
            [1, 4],
          ],
          [
            [1, 4],
            [1, 10],
          ],
        ],
        [1, 10],
      ),
    )

    expect(found(again)).toEqual({ ...NOTHING, duplicated: 2 })
    expect(found(twice)).toEqual({ ...NOTHING, duplicated: 1 })
  })

  test('counts what nobody sent, and a torn frame once however often it is met', () => {
    const judge = judgeOf(10)
    const torn = [frameId(1, 2)]

    judge.judge({
      ...got(
        [
          [
            [1, 1],
            [1, 4],
          ],
        ],
        null,
      ),
      torn,
    })
    judge.judge({
      ...got(
        [
          [
            [1, 1],
            [1, 12],
          ],
        ],
        [1, 12],
      ),
      torn,
    })

    expect(found(judge)).toEqual({ ...NOTHING, torn: 1, invented: 2 })
  })
})
