import { describe, expect, onTestFinished, test } from 'vitest'
import { FakeClock } from '#base/clock.js'
import type { TrialSabotage } from '#drills/sabotage.js'
import { Trials } from '#drills/trials.js'
import { TrialPlant } from './trial-plant.js'

const NONE = { missing: 0, repeated: 0, unwanted: 0, early: 0, outOfOrder: 0 }
const TIMERS = { set: 102, cancelled: 30, ...NONE }
const STEP_MS = 5

describe('timers that are tried out on a plant that does right', () => {
  test('go off as they were set, with time to break the plant before the first is due', async () => {
    const { verdict, msToFirst } = await tried('timers')

    expect(verdict.reports).toEqual({ timers: { ...TIMERS, wentOff: expect.any(Number), lateMs: expect.any(Object) } })
    expect(verdict.reports.timers?.wentOff).toBeGreaterThan(6 * (12 + 4))
    expect(verdict.reports.timers?.lateMs.max).toBeLessThanOrEqual(STEP_MS)
    expect(verdict.examples).toEqual([])
    expect(msToFirst).toBeGreaterThan(100)
  })

  test.each<[TrialSabotage, object, RegExp]>([
    ['lose-timer', { missing: 1 }, /^never went off: timer 0 of bell/],
    ['repeat-timer', { repeated: 1 }, /^went off twice: timer 0 of bell/],
    ['keep-timer', { unwanted: 1 }, /^went off though nobody wanted it any more: timer \d+ of bell/],
    ['hurry-timer', { early: 1 }, /^went off too early: timer 0 of bell/],
    ['delay-timer', { outOfOrder: 1 }, /^went off behind a later one: timer 0 of bell/],
  ])('but for one, by %s: the check finds that one', async (sabotage, found, said) => {
    const { verdict } = await tried('timers', sabotage)

    expect(verdict.reports.timers).toMatchObject({ ...TIMERS, ...found })
    expect(verdict.examples).toEqual([expect.stringMatching(said)])
  })

  test('and given up say nothing, and leave none that goes off any more', async () => {
    const { verdict, plant, clock } = await tried('timers', undefined, async () => {
      throw new Error('the disk is gone')
    })
    const rang = async () => {
      let count = 0
      for await (const { event } of plant.rows('bell/*')) if (event === 'Rang' || event === 'RangAgain') count++
      return count
    }
    const before = await rang()
    clock.advance(2000)

    expect(verdict.reports).toEqual({})
    expect(await rang()).toBe(before)
  })
})

describe('children that err on a plant that does right', () => {
  test('begin anew, go on and stop as each strategy says, whichever of them errs', async () => {
    const { verdict, amidCount } = await tried('trees', undefined, undefined, 3)

    // Seven errors a tree: of a strategy's group, four times and, by the line, all of them once.
    const restarted = [0, 1, 2].reduce((sum, worn) => sum + 4 * (1 + 4 + (4 - worn)) + 3 * 4, 0)
    expect(verdict.reports).toEqual({ supervision: { trees: 9, errors: 63, restarted, resumed: 9, escalated: 18, wrong: 0 } })
    expect(verdict.examples).toEqual([])
    expect(amidCount).toBe(3)
  })

  test.each<[TrialSabotage, RegExp]>([
    ['spare-child', /^tool\/\S+-0 of \S+ shows fitted with 1 and 1 strokes instead of fitted with 1 and 0 strokes$/],
    [
      'restart-sibling',
      /^tool\/\S+-1 of cell-one-for-one\/\S+ shows fitted with [02] and 0 strokes instead of fitted with 2 and 2 strokes$/,
    ],
    ['forget-error', /^tool\/\S+-0 of \S+ shows fitted with 1 and \d+ strokes instead of STOPPED$/],
  ])('but for one tree, by %s: the check finds that one', async (sabotage, said) => {
    const { verdict } = await tried('trees', sabotage)

    expect(verdict.reports.supervision).toMatchObject({ trees: 3, wrong: 1 })
    expect(verdict.examples).toEqual([expect.stringMatching(said)])
  })
})

/** On a clock that runs as fast as it can. */
async function tried(what: 'timers' | 'trees', sabotage?: TrialSabotage, meanwhile?: () => Promise<void>, times = 1) {
  const clock = new FakeClock()
  const plant = new TrialPlant(clock)
  onTestFinished(() => plant.close())
  const trials = new Trials({ plant, clock, sabotage })
  let amidCount = 0
  let msToFirst = 0
  const act = async () => {
    for (let count = 0; count < times; count++) {
      if (what === 'trees') await trials.tryTrees(() => amidCount++)
      else {
        await trials.tryTimers(async (ms) => {
          msToFirst = ms
          await meanwhile?.()
        })
      }
    }
  }
  let isOver = false
  const acting = act()
    .catch(() => trials.abandon())
    .finally(() => {
      isOver = true
    })
  while (!isOver) {
    clock.advance(STEP_MS)
    await new Promise(setImmediate)
  }
  await acting
  expect(trials.openSabotage).toBeUndefined()
  return { verdict: await trials.check(), plant, clock, amidCount, msToFirst }
}
