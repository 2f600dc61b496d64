import type { Clock } from '#base/clock.js'
import { isMillraceError } from '#base/errors.js'

/** What ends so many attempts does not end by itself. */
const ATTEMPTS_MAX = 10
const FIRST_PAUSE_MS = 20
const PAUSE_MS_MAX = 1000

export interface Patience {
  readonly clock: Clock
  /** Resolves when another attempt makes sense; rejects when none does any more. */
  readonly whenReady: () => Promise<void>
  readonly onPostponed: (error: unknown) => void
  /** Whether another attempt may come to something else; unless told, always. */
  readonly isWorthwhile?: (error: unknown) => boolean
}

/** Of calls that were never begun, or ended with the process that was called. */
const LOST = ['ERR_SEAT_EMPTY', 'ERR_PROCESS_GONE', 'ERR_UNKNOWN_CALL'] as const

/** Whether a call to the holder of a seat was lost with that process, or before: whoever holds the seat then can be called again. */
export function isLostCall(error: unknown): boolean {
  return LOST.some((code) => isMillraceError(error, code))
}

/** Tries again and again, after longer and longer pauses. Rejects with the last failure, and at once when the plant stops or no attempt is worthwhile. */
export async function tryPatiently<T>(
  attempt: () => Promise<T>,
  { clock, whenReady, onPostponed, isWorthwhile = () => true }: Patience,
): Promise<T> {
  for (let attempts = 1, pauseMs = FIRST_PAUSE_MS; ; attempts++, pauseMs = Math.min(2 * pauseMs, PAUSE_MS_MAX)) {
    await whenReady()
    try {
      return await attempt()
    } catch (error) {
      if (isMillraceError(error, 'ERR_PLANT_STOPPING') || attempts === ATTEMPTS_MAX || !isWorthwhile(error)) throw error
      onPostponed(error)
      await new Promise<void>((resolve) => clock.after(pauseMs, resolve))
    }
  }
}
