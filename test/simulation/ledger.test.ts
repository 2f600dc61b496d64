import { describe, expect, test } from 'vitest'
import { pack } from '#base/pack.js'
import { OUTCOME_REFUSAL, OUTCOME_REPLY, type Row } from '#journal/index.js'
import { Ledger, type SentCommand } from './ledger.js'

/** Three commands of one device, done one after the other and answered, and the rows that they left. */
function recorded(): { readonly ledger: Ledger; readonly rows: Row[] } {
  const ledger = new Ledger()
  const rows: Row[] = []
  let chain = 0
  for (const [index, command] of (['add', 'refuse', 'add'] as const).entries()) {
    const id = index + 7
    const isRefusal = command === 'refuse'
    const [version, sequence] = [index + 1, index + 1]
    const answer = { kind: isRefusal ? ('refused' as const) : ('done' as const), version, chain }
    ledger.sent.push({ id, source: 'plc', sequence, entity: 'tally/a', command, answers: [answer] })
    rows.push({
      ...{ position: index, entity: 'tally/a', version, event: isRefusal ? undefined : 'Added', typeNumber: isRefusal ? 0 : 1 },
      ...{ at: 0, accepted: 0, isLate: false, source: 'plc', sequence, correlation: '', causation: '', term: 1, appendNumber: index + 1 },
      outcomeKind: isRefusal ? OUTCOME_REFUSAL : OUTCOME_REPLY,
      outcome: pack(isRefusal ? ['NO', { chain }] : { chain }),
      data: isRefusal ? {} : { id },
    })
    if (!isRefusal) chain = (Math.imul(chain, 31) + id) | 0
  }
  return { ledger, rows }
}

/** The same rows at the places where they lie now. */
function placed(rows: readonly Row[]): Row[] {
  return rows.map((row, index) => ({ ...row, position: index, version: index + 1 }))
}

describe('a ledger of devices', () => {
  test('finds nothing wrong with a log that has all once, in order, and as it was answered', () => {
    const { ledger, rows } = recorded()

    expect(ledger.check(rows, true)).toBeUndefined()
  })

  test.each<[what: string, sabotage: (rows: Row[], sent: SentCommand[]) => Row[], said: string]>([
    ['a lost row', (rows) => rows.slice(0, 2), 'add 9 to tally/a (plc number 3) was told done at 3 with 7, and is not in the log'],
    [
      'a row that is there twice',
      (rows) => placed([...rows, { ...(rows[2] as Row), appendNumber: 9 }]),
      'took effect twice, at version 4 again',
    ],
    ['rows in another order', (rows) => placed([rows[2] as Row, rows[0] as Row, rows[1] as Row]), 'was decided on 7 where the log has 0'],
    [
      'a version that is left out',
      (rows) => rows.map((row) => (row.version === 3 ? { ...row, version: 4 } : row)),
      'goes from version 2 to 4',
    ],
    ['another event than was decided', (rows) => [{ ...(rows[0] as Row), data: { id: 8 } }, ...rows.slice(1)], 'left the events 8'],
    [
      'another answer the second time',
      (rows, sent) => {
        sent[0]?.answers.push({ kind: 'done', version: 1, chain: 5 })
        return rows
      },
      'was told done at 1 with 5 when asked again, the log says done at 1 with 0',
    ],
    [
      'an answer that was forgotten too early',
      (rows, sent) => {
        sent[0]?.answers.push({ kind: 'forgotten' })
        return rows
      },
      'of which its answer must be remembered',
    ],
    [
      'a command that was never answered',
      (rows, sent) => {
        sent[1]?.answers.splice(0)
        return rows
      },
      'was never answered',
    ],
  ])('names %s', (_, sabotage, said) => {
    const { ledger, rows } = recorded()

    expect(ledger.check(sabotage(rows, ledger.sent), true)).toContain(said)
  })

  test('names what was read and is not what became durable', () => {
    const { ledger, rows } = recorded()
    ledger.readings.push({ entity: 'tally/a', version: 3, chain: 1 })

    expect(ledger.check(rows, true)).toBe('tally/a was read as 1 at version 3, the log says 226')
  })
})
