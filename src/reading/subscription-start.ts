import type { Journal } from '#journal/index.js'
import { aheadOfLog, behindLog, wrongSubscription } from './subscription-errors.js'

/** Where in the log to begin: its first row that is there, behind its newest row, or a position. */
export type StartPosition = 'beginning' | 'end' | number

/** The position of the oldest row that is there: above 0 once retention has dropped the beginning. */
export function firstPositionOf(journal: Journal): number {
  return journal.sealedSegments()[0]?.firstPosition ?? journal.directory()[0]?.firstPosition ?? journal.endPosition
}

/** Throws ERR_SUBSCRIPTION_BEHIND and ERR_SUBSCRIPTION_AHEAD when the rows from there on are not all there. */
export function startIn(journal: Journal, start: StartPosition, name?: string): number {
  if (start === 'beginning') return firstPositionOf(journal)
  if (start === 'end') return journal.endPosition
  checkStart(journal, start, name)
  return start
}

export function checkStart(journal: Journal, position: number, name?: string): void {
  if (!Number.isSafeInteger(position) || position < 0)
    throw wrongSubscription('not a position of the log', { position }, 'give beginning, end or a whole number from 0')
  if (position > journal.endPosition) throw aheadOfLog(name, position, journal.endPosition)
  if (position === journal.endPosition) return
  const first = firstPositionOf(journal)
  if (position < first) throw behindLog(name, position, first)
}
