import { describe, expect, test } from 'vitest'
import { Ledger, type LoggedCommand } from '#drills/ledger.js'

const A = 'machine/a'
const B = 'machine/b'

describe('a ledger of commands that all went well', () => {
  test('finds nothing wrong, however the entities mix in the log', async () => {
    const ledger = ledgerOf([A, 10], [B, 10], [A, 20], [B, 20])

    const verdict = await ledger.check(logOf([B, 10], [A, 10], [A, 20], [B, 20]))

    expect(verdict).toEqual({ ...clean, sent: 4, acked: 4, durable: 4 })
  })

  test('does not miss what nobody was told about', async () => {
    const ledger = new Ledger()
    ledger.recordSent(A, 10)

    expect(await ledger.check(logOf())).toEqual({ ...clean, sent: 1 })
    expect(await ledger.check(logOf([A, 10]))).toEqual({ ...clean, sent: 1, durable: 1 })
  })

  test('counts a command told twice as acknowledged once, with one time', () => {
    const ledger = new Ledger()
    const number = ledger.recordSent(A, 10)

    ledger.recordAcked(A, number, 7)
    ledger.recordAcked(A, number, 9)
    ledger.recordAcked(B, 0, 9)

    expect([ledger.sent, ledger.acked, ledger.openCount]).toEqual([1, 1, 0])
    expect(ledger.takeAckMicros()).toEqual([7])
    expect(ledger.takeAckMicros()).toEqual([])
  })

  test('of nothing at all finds nothing', async () => {
    expect(await new Ledger().check(logOf())).toEqual(clean)
  })
})

describe('a log with one fault, held against the ledger', () => {
  test('lacks an acknowledged command', async () => {
    const ledger = ledgerOf([A, 10], [A, 20], [B, 10])

    const verdict = await ledger.check(logOf([A, 10], [B, 10]))

    expect(verdict).toEqual({ ...clean, sent: 3, acked: 3, durable: 2, ackedMissing: 1, examples: [`lost ${A} at 20`] })
  })

  test('lacks every command of an entity', async () => {
    const verdict = await ledgerOf([A, 10], [B, 10], [B, 20]).check(logOf([A, 10]))

    expect(verdict).toMatchObject({ durable: 1, ackedMissing: 2, duplicated: 0, outOfOrder: 0 })
  })

  test('has a command twice, next to each other or far apart', async () => {
    const near = await ledgerOf([A, 10], [A, 20]).check(logOf([A, 10], [A, 10], [A, 20]))
    const far = await ledgerOf([A, 10], [A, 20]).check(logOf([A, 10], [A, 20], [A, 10]))

    expect(near).toEqual({ ...clean, sent: 2, acked: 2, durable: 2, duplicated: 1, examples: [`twice ${A} at 10`] })
    expect(far).toEqual(near)
  })

  test('has two commands of one entity in the wrong order', async () => {
    const verdict = await ledgerOf([A, 10], [A, 20], [A, 30]).check(logOf([A, 20], [A, 10], [A, 30]))

    expect(verdict).toEqual({ ...clean, sent: 3, acked: 3, durable: 3, outOfOrder: 1, examples: [`out of order ${A} at 10`] })
  })

  test('counts each command behind one that it should precede, not each pair', async () => {
    const verdict = await ledgerOf([A, 10], [A, 20], [A, 30]).check(logOf([A, 30], [A, 10], [A, 20]))

    expect(verdict.outOfOrder).toBe(2)
  })

  test('goes by the order of sending, not by event time', async () => {
    const verdict = await ledgerOf([A, 30], [A, 10]).check(logOf([A, 30], [A, 10]))

    expect(verdict.outOfOrder).toBe(0)
  })

  test('has a command that nobody sent', async () => {
    const verdict = await ledgerOf([A, 10]).check(logOf([A, 10], [A, 11], [B, 10]))

    expect(verdict).toMatchObject({ durable: 1, invented: 2, duplicated: 0, examples: [`invented ${A} at 11`, `invented ${B} at 10`] })
  })
})

describe('a log with the values of what was sent', () => {
  const sent = { temperature: 95.5, count: 3, kind: 'hot' }
  const check = async (events: readonly object[]) => {
    const ledger = new Ledger()
    ledger.recordAcked(A, ledger.recordSent(A, 10, sent), 1)
    const log = async function* () {
      yield { entity: A, at: 10, version: 1, events: events as Record<string, unknown>[] }
    }
    return ledger.check(log())
  }

  test.each<[string, readonly object[]]>([
    ['in an event of their own', [sent]],
    ['in one of several, beside others and in another order', [{ from: 1 }, { kind: 'hot', more: true, count: 3, temperature: 95.5 }]],
    ['nowhere, since the command was refused', []],
  ])('is whole where these are %s', async (_, events) => {
    expect(await check(events)).toMatchObject({ durable: 1, torn: 0, examples: [] })
  })

  test.each<[string, readonly object[]]>([
    ['one is another', [{ ...sent, count: 4 }]],
    ['one is missing', [{ temperature: 95.5, kind: 'hot' }]],
    ['they are spread over several events', [{ temperature: 95.5, count: 3 }, { kind: 'hot' }]],
  ])('is torn where %s', async (_, events) => {
    expect(await check(events)).toMatchObject({ durable: 1, torn: 1, examples: [`torn ${A} at 10`] })
  })
})

describe('a log with very many faults', () => {
  test('gives a handful of examples and the whole count', async () => {
    const sent = Array.from({ length: 500 }, (_, index): [string, number] => [A, index])

    const verdict = await ledgerOf(...sent).check(logOf())

    expect(verdict.ackedMissing).toBe(500)
    expect(verdict.examples).toHaveLength(10)
  })
})

const clean = { sent: 0, acked: 0, durable: 0, ackedMissing: 0, duplicated: 0, outOfOrder: 0, torn: 0, invented: 0, examples: [] }

/** All of them sent in this order and acknowledged. */
function ledgerOf(...commands: readonly (readonly [entity: string, at: number])[]): Ledger {
  const ledger = new Ledger()
  for (const [entity, at] of commands) ledger.recordAcked(entity, ledger.recordSent(entity, at), 1)
  return ledger
}

async function* logOf(...commands: readonly (readonly [entity: string, at: number])[]): AsyncGenerator<LoggedCommand> {
  for (const [index, [entity, at]] of commands.entries()) yield { entity, at, version: index + 1 }
}
