import { defineParameterType } from 'quickpickle'
import { expect } from 'vitest'
import type { Sabotage, TrialSabotage } from '#drills/sabotage.js'
import { isRole, type Seat } from '#processes/process-role.js'
import { type Health, HEALTHS } from '#recovery/health.js'

/** How many of something a sentence says there are. */
export type Count = number

const SABOTAGE: Readonly<Record<string, Sabotage>> = {
  'loses a report and acknowledges it': 'lose',
  'delivers a report twice': 'duplicate',
  'swaps two reports': 'reorder',
  'alters a value of a report': 'tear',
}

const MISDEED: Readonly<Record<string, TrialSabotage>> = {
  'in which a timer goes off twice': 'repeat-timer',
  'in which a child begins anew that is to go on': 'restart-sibling',
}

const COUNTS: Readonly<Record<string, Count>> = { none: 0, no: 0, one: 1 }

defineParameterType({ name: 'count', regexp: /none|no|one|\d+/, transformer: (text: string) => COUNTS[text] ?? Number(text) })
defineParameterType({
  name: 'sabotage',
  regexp: new RegExp(Object.keys(SABOTAGE).join('|')),
  transformer: (text: string) => SABOTAGE[text],
})
defineParameterType({
  name: 'misdeed',
  regexp: new RegExp(Object.keys(MISDEED).join('|')),
  transformer: (text: string) => MISDEED[text],
})
defineParameterType({
  name: 'seats',
  regexp: /(?:worker|journal|gateway|supervisor)(?: and the (?:worker|journal|gateway))*/,
  transformer: (text: string): Seat[] => text.split(' and the ').flatMap((role) => (isRole(role) ? [{ role, slot: 0 }] : [])),
})
defineParameterType({ name: 'health', regexp: new RegExp(HEALTHS.join('|')), transformer: (text: string) => text as Health })

export function expectCount(found: number, said: Count, remark: string): void {
  expect(found, remark).toBe(said)
}
