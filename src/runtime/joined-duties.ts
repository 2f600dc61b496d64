import type { DutyCycle } from '#bus/index.js'

/** Several duty cycles as one, for a process that has one. */
export function joinDuties(...duties: readonly DutyCycle[]): DutyCycle {
  return {
    doWork: () => duties.reduce((work, duty) => work + duty.doWork(), 0),
    hasWork: () => duties.some((duty) => duty.hasWork()),
    nextDeadlineMs: () => {
      const deadlines = duties.flatMap((duty) => duty.nextDeadlineMs?.() ?? [])
      return deadlines.length === 0 ? undefined : Math.min(...deadlines)
    },
  }
}
