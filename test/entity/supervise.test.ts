import { describe, expect, test } from 'vitest'
import { defineEntity, i32, label, signal } from '#entity/index.js'
import { given } from '#entity/given.js'
import { backOffMs, wholeSupervision } from '#entity/supervise.js'
import { cellType, Press } from '../actors/press-cell.js'

const Cell = cellType()

/** What is wrong with a definition of which nothing else is. */
function whyNot(supervise: unknown): string {
  try {
    defineEntity({
      name: 'cell',
      events: {},
      commands: { hear: signal(), other: { n: i32() } },
      initial: () => ({}),
      supervise: supervise as never,
      decide: { hear() {}, other() {} },
      apply: {},
    })
    return 'nothing'
  } catch (error) {
    return (error as Error).message
  }
}

describe('the supervision of a type', () => {
  test('may be left out in all its parts', () => {
    expect(
      [undefined, {}, { restarts: 0 }, { restarts: Number.POSITIVE_INFINITY, backOff: { minMs: 1 } }, { backOff: { minMs: 1 } }].map(
        whyNot,
      ),
    ).toEqual(new Array(5).fill('nothing'))
  })

  test.each([
    ['one-for-one', 'supervise', 'give an object'],
    [{ strategy: 'one-for-two' }, 'supervise.strategy', 'one-for-one, one-for-all, rest-for-one'],
    [{ onError: 'retry' }, 'supervise.onError', 'restart, resume, stop, escalate'],
    [{ restarts: 1.5 }, 'supervise.restarts', 'from 0 to 100, or Infinity'],
    [{ restarts: Number.POSITIVE_INFINITY }, 'supervise.restarts', 'give a backOff too'],
    [{ withinMs: 0 }, 'supervise.withinMs', 'whole milliseconds from 1'],
    [{ signal: 'other' }, 'supervise.signal', 'fields are signal()'],
    [{ signal: 'nobody' }, 'supervise.signal', 'fields are signal()'],
    [{ backOff: 100 }, 'supervise.backOff', 'give an object'],
    [{ backOff: { minMs: 0 } }, 'supervise.backOff.minMs', 'whole milliseconds from 1'],
    [{ backOff: { minMs: 10, maxMs: 9 } }, 'supervise.backOff.maxMs', 'from minMs'],
    [{ backOff: { minMs: 10, factor: 0.5 } }, 'supervise.backOff.factor', 'from 1 to 100'],
    [{ backOff: { minMs: 10, jitter: 2 } }, 'supervise.backOff.jitter', 'from 0 to 1'],
    [{ backOff: { minMs: 10, jitters: 0 } }, 'supervise.backOff.jitters', 'there is no such part'],
    [{ intensity: 3 }, 'supervise.intensity', 'there is no such part'],
  ])('is refused where it is %j', (supervise, path, what) => {
    expect(whyNot(supervise)).toContain(`path=cell.${path}: `)
    expect(whyNot(supervise)).toContain(what)
  })
})

describe('a wait before a restart', () => {
  const waits = (jitter: number, seed: (streak: number) => string) => {
    const whole = wholeSupervision({ backOff: { minMs: 100, maxMs: 1000, factor: 3, jitter } })
    return [1, 2, 3, 4, 1000].map((streak) => backOffMs(whole, streak, seed(streak)))
  }

  test('grows up to its bound', () => {
    expect(waits(0, String)).toEqual([100, 300, 900, 1000, 1000])
    expect(backOffMs(wholeSupervision(undefined), 1, '')).toBe(0)
  })

  test('is another one for another seed, within the jitter, and the same for the same', () => {
    const all = Array.from({ length: 200 }, (_, run) => waits(0.5, (streak) => `${run} ${streak}`))
    const first = all.map(([ms]) => ms as number)

    expect(Math.min(...first)).toBeGreaterThanOrEqual(50)
    expect(Math.max(...first)).toBeLessThanOrEqual(150)
    expect(new Set(first).size).toBeGreaterThan(50)
    expect(Math.max(...all.flat())).toBe(1000)
    expect(waits(0.5, String)).toEqual(waits(0.5, String))
  })
})

describe('a command that spawns, watches or leaves', () => {
  test('is shown so by given', () => {
    given(Cell)
      .when.spawn({ press: 'a' })
      .then([])
      .thenTold([{ spawn: 'press/a' }, { tell: 'press/a', command: 'work', data: { amount: 1 } }])
    given(Cell)
      .when.watch({ press: 'a' })
      .then([])
      .thenTold([{ watch: 'press/a' }])
    given(Press)
      .when.leave({})
      .then([])
      .thenTold([{ exit: 'DONE' }])
  })

  test.each([
    [{ onError: 'retry' }, 'onError is one of restart, resume, stop, escalate'],
    [{ onErrors: 'restart' }, 'there is no option onErrors'],
    [{ signal: 'list' }, 'one declared with signal()'],
    [{ pulseMs: 10 }, 'pulseMs is not whole milliseconds, 100 at least'],
    [{ begin: { command: 'sleep', data: {} } }, 'begin is a command of press'],
    [{ begin: { command: 'work', data: { amount: 'much' } } }, 'begin: amount'],
    [{ begin: { command: 'fail', data: { why: 'x'.repeat(600) } } }, 'more than 512 bytes'],
  ])('fails where the options are %j', (options, what) => {
    given(Cell).when.spawn({ press: 'a', options }).thenFailed(what)
  })

  test('fails for an entity itself, a type that is not there, and more children than are allowed', () => {
    const Odd = defineEntity({
      name: 'odd',
      events: {},
      commands: { self: { name: label() }, many: { count: i32() }, code: {} },
      initial: () => ({}),
      decide: {
        self(_, { name }, { spawn }) {
          spawn(Odd, name)
        },
        many(_, { count }, { spawn }) {
          for (let child = 0; child < count; child++) spawn(Press, String(child))
        },
        code: (_, __, { exit }) => exit(''),
      },
      apply: {},
    })

    given(Odd).when.self({ name: 'a' }, { entity: 'odd/a' }).thenFailed('neither its own child')
    given(Odd).when.self({ name: '' }).thenFailed('its name is empty')
    given(Odd).when.many({ count: 128 }).then([])
    given(Odd).when.many({ count: 129 }).thenFailed('an entity has 128 children at most')
    given(Odd).when.code({}).thenFailed('its code is not text')
  })
})
