import type { Journal } from '#journal/index.js'
import { aheadOfLog, behindLog, wrongSubscription } from './subscription-errors.js'

/** Where in the log to begin: its first row that is there, behind its newest row, or a position. */
export type StartPosition = 'beginning' | 'end' | number

/** Throws ERR_SUBSCRIPTION_BEHIND and ERR_SUBSCRIPTION_AHEAD when the rows from there on are not all there. */
export function startIn(journal: Journal, start: StartPosition, name?: string): number {
  if (start === 'beginning') return journal.firstPosition
  if (start === 'end') return journal.endPosition
  checkStart(journal, start, name)
  return start
}

export function checkStart(journal: Journal, position: number, name?: string): void {
  if (!Number.isSafeInteger(position) || position < 0)
    throw wrongSubscription('not a position of the log', { position }, 'give beginning, end or a whole number from 0')
  if (position > journal.endPosition) throw aheadOfLog(name, position, journal.endPosition)
  if (position === journal.endPosition) return
  if (position < journal.firstPosition) throw behindLog(name, position, journal.firstPosition)
}
