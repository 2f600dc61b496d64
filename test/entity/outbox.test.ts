import { describe, expect, test } from 'vitest'
import { decodeCanonical, encodeCanonical, entityHash, MESSAGE_CODEC, Outbox, type OutboxRow, settledRow } from '#entity/index.js'
import { MESSAGE_EVENT } from '#schema/index.js'

function told(number: number, more: Readonly<Record<string, unknown>> = {}): OutboxRow {
  return {
    event: MESSAGE_EVENT,
    data: MESSAGE_CODEC.normalise({ number, kind: 'tell', to: 'press/b', command: 'sample', data: { force: 1 }, ...more }),
  }
}

function outboxOf(...rows: readonly OutboxRow[]): Outbox {
  const outbox = new Outbox()
  for (const row of rows) outbox.take(row, 5, 'why')
  return outbox
}

function numbersOf(outbox: Outbox): number[] {
  const numbers: number[] = []
  outbox.forEach(({ number }) => numbers.push(number))
  return numbers
}

describe('an outbox', () => {
  test('has what was told and is not settled, in order', () => {
    const outbox = outboxOf(told(1), told(2), told(3), settledRow({ number: 2, outcome: 'done' }))

    expect(numbersOf(outbox)).toEqual([1, 3])
    expect(outbox.get(2)).toBeUndefined()
    expect(outbox.get(3)).toMatchObject({ to: 'press/b', command: 'sample', data: { force: 1 }, at: 5, correlation: 'why' })
    expect([outbox.next, outbox.count, outbox.underWayCount]).toEqual([4, 2, 2])
  })

  test('goes on counting when all is settled', () => {
    const outbox = outboxOf(told(1), settledRow({ number: 1, outcome: 'refused' }), told(2))

    expect(numbersOf(outbox)).toEqual([2])
    expect(outbox.next).toBe(3)
  })

  test('finds what it has among thousands that are gone', () => {
    const outbox = new Outbox()
    for (let number = 1; number <= 5000; number++) {
      outbox.take(told(number), 0, '')
      if (number % 3 > 0) outbox.take(settledRow({ number, outcome: 'done' }), 0, '')
    }

    expect(outbox.count).toBe(1666)
    expect(numbersOf(outbox)).toEqual(Array.from({ length: 1666 }, (_, index) => (index + 1) * 3))
    expect(outbox.get(2997)?.number).toBe(2997)
    expect(outbox.get(2998)).toBeUndefined()
  })

  test('knows timers by key, and counts them apart', () => {
    const outbox = outboxOf(told(1), told(2, { kind: 'timer', due: 9, key: 'k' }), told(3, { kind: 'timer', due: 8 }))
    expect(outbox.timerOf('k')).toBe(2)
    expect([outbox.count, outbox.underWayCount]).toEqual([3, 1])

    outbox.take(settledRow({ number: 2, outcome: 'cancelled' }), 0, '')

    expect(outbox.timerOf('k')).toBeUndefined()
    expect([outbox.count, outbox.underWayCount]).toEqual([2, 1])
  })

  test.each([3, 40])('finds the timer of a key among %d of them, the newest where two had it', (count) => {
    const outbox = outboxOf(...Array.from({ length: count }, (_, index) => told(index + 1, { kind: 'timer', due: 9, key: `k${index}` })))
    outbox.take(settledRow({ number: 2, outcome: 'cancelled' }), 0, '')
    outbox.take(told(count + 1, { kind: 'timer', due: 9, key: 'k0' }), 0, '')

    const keys = Array.from({ length: count }, (_, index) => outbox.timerOf(`k${index}`))

    expect(keys).toEqual([count + 1, undefined, ...Array.from({ length: count - 2 }, (_, index) => index + 3)])
  })

  test('has a timer due again, and an ask that is too late until its answer came', () => {
    const outbox = outboxOf(
      told(1, { kind: 'timer', due: 9, every: 10 }),
      settledRow({ number: 1, outcome: 'done', due: 10_009 }),
      told(2, { kind: 'ask', due: 20, answerCommand: 'onAnswer' }),
      settledRow({ number: 2, outcome: 'timed-out' }),
    )

    expect(outbox.get(1)?.due).toBe(10_009)
    expect(outbox.get(2)).toMatchObject({ isLate: true, due: Number.NaN })
    outbox.take(settledRow({ number: 2, outcome: 'done' }), 0, '')
    expect(outbox.get(2)).toBeUndefined()
  })

  test('comes back from plain data as it was, numbers that JSON lacks included', () => {
    const outbox = outboxOf(
      told(1, { data: { force: Number.NaN, list: [Number.POSITIVE_INFINITY, 1.5] } }),
      told(2),
      settledRow({ number: 2, outcome: 'done' }),
      told(3, { kind: 'timer', due: 9, every: 10, key: 'k' }),
      told(4, { kind: 'ask', due: 7, answerCommand: 'onAnswer' }),
      settledRow({ number: 4, outcome: 'timed-out' }),
    )

    const back = Outbox.fromPlain(decodeCanonical(encodeCanonical(outbox.toPlain())) as ReturnType<Outbox['toPlain']>)

    expect(encodeCanonical(back.toPlain())).toEqual(encodeCanonical(outbox.toPlain()))
    expect(back.timerOf('k')).toBe(3)
    expect(back.next).toBe(5)
    expect(back.get(4)?.isLate).toBe(true)
  })

  test('is part of the hash of an entity, and its absence changes none', () => {
    const state = { a: 1 }
    const hashes = [undefined, new Outbox(), outboxOf(told(1)), outboxOf(told(1), settledRow({ number: 1, outcome: 'done' }))].map(
      (outbox) => Buffer.from(entityHash('press/a', 3, state, outbox)).toString('hex'),
    )

    expect(new Set(hashes).size).toBe(4)
    expect(hashes[0]).toBe(Buffer.from(entityHash('press/a', 3, state)).toString('hex'))
  })
})
