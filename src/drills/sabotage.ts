import type { FaultKind } from './fault.js'

/** A fault in what devices send that the checker must find: one command acknowledged without being stored, one stored twice, two in the wrong order, or one stored with another value. */
export const SABOTAGES = ['lose', 'duplicate', 'reorder', 'tear'] as const
export type Sabotage = (typeof SABOTAGES)[number]

/**
 * One in what is tried out besides, and the fault that does so: a timer that never goes off, goes off twice, does so though it was cancelled, too early, or behind a later one; a
 * child that goes on where it was to begin anew, one that begins anew though another one erred, an error too many that nobody escalates.
 */
const TRIED = {
  'lose-timer': 'timers',
  'repeat-timer': 'timers',
  'keep-timer': 'timers',
  'hurry-timer': 'timers',
  'delay-timer': 'timers',
  'spare-child': 'erring-entity',
  'restart-sibling': 'erring-entity',
  'forget-error': 'erring-entity',
} as const satisfies Readonly<Record<string, FaultKind>>
export type TrialSabotage = keyof typeof TRIED

export const TRIAL_SABOTAGES = Object.keys(TRIED) as readonly TrialSabotage[]

export function isSabotage(text: string): text is Sabotage {
  return (SABOTAGES as readonly string[]).includes(text)
}

export function isTrialSabotage(text: string): text is TrialSabotage {
  return Object.hasOwn(TRIED, text)
}

/** The kind of fault without which it finds nothing to spoil. */
export function faultOfSabotage(sabotage: TrialSabotage): FaultKind {
  return TRIED[sabotage]
}
