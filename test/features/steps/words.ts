import { defineParameterType } from 'quickpickle'
import { expect } from 'vitest'
import type { LedgerVerdict } from '#drills/ledger.js'
import type { Sabotage } from '#drills/sabotage.js'
import { isRole, type Seat } from '#processes/process-role.js'
import { type Health, HEALTHS } from '#recovery/health.js'

/** How many of something a sentence says there are. */
export type Count = number

/** What may be wrong with a report, as the books have it. */
export type Wrong = keyof Pick<LedgerVerdict, 'ackedMissing' | 'duplicated' | 'outOfOrder' | 'invented'>

const WRONG: Readonly<Record<string, Wrong>> = {
  missing: 'ackedMissing',
  'stored twice': 'duplicated',
  'out of order': 'outOfOrder',
  'in the log that nobody sent': 'invented',
}

const SABOTAGE: Readonly<Record<string, Sabotage>> = {
  'loses a report and acknowledges it': 'lose',
  'delivers a report twice': 'duplicate',
  'swaps two reports': 'reorder',
}

const COUNTS: Readonly<Record<string, Count>> = { none: 0, no: 0, one: 1 }

defineParameterType({ name: 'count', regexp: /none|no|one|\d+/, transformer: (text: string) => COUNTS[text] ?? Number(text) })
defineParameterType({ name: 'wrong', regexp: oneOf(WRONG), transformer: (text: string) => WRONG[text] })
defineParameterType({ name: 'sabotage', regexp: oneOf(SABOTAGE), transformer: (text: string) => SABOTAGE[text] })
defineParameterType({
  name: 'seats',
  regexp: /(?:worker|journal|gateway|supervisor)(?: and the (?:worker|journal|gateway))*/,
  transformer: (text: string): Seat[] => text.split(' and the ').flatMap((role) => (isRole(role) ? [{ role, slot: 0 }] : [])),
})
defineParameterType({ name: 'health', regexp: new RegExp(HEALTHS.join('|')), transformer: (text: string) => text as Health })

export function expectCount(found: number, said: Count, remark: string): void {
  expect(found, remark).toBe(said)
}

function oneOf(words: Readonly<Record<string, unknown>>): RegExp {
  return new RegExp(Object.keys(words).join('|'))
}
