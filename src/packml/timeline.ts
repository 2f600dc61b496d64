import { TRANSITIONED } from '#schema/index.js'

/** An event of a PackML machine as it stands in the log: a row of `readRows`, a subscription or a query. Times are microseconds since 1970. */
export interface MachineEvent {
  readonly at: number
  /** Rows that are no event, and events of other names, are passed over. */
  readonly event?: string | undefined
  readonly data?: unknown
}

/** A stretch of time in which a machine was in one state and one mode. */
export interface Stretch {
  readonly from: number
  /** Exclusive; Infinity for the last one. */
  readonly to: number
  readonly state: string
  /** Undefined before it was ever changed: the mode that the machine began in. */
  readonly mode: string | undefined
}

/** Parts that were counted at one moment. */
export interface Count {
  readonly at: number
  readonly mode: string | undefined
  readonly consumed: number
  readonly produced: number
  readonly defective: number
}

export interface Timeline {
  readonly stretches: readonly Stretch[]
  readonly counts: readonly Count[]
}

/**
 * What one machine did when, by its events. They may come in any order: events of one moment keep theirs, others are put in the order in which they happened. Time before the
 * first transition is in no stretch.
 */
export function timeline(events: Iterable<MachineEvent>): Timeline {
  const stretches: Stretch[] = []
  const counts: Count[] = []
  let open: Omit<Stretch, 'to'> | undefined
  let mode: string | undefined
  const close = (to: number): void => {
    if (open !== undefined && open.from < to) stretches.push({ ...open, to })
  }
  for (const { at, event, data } of [...events].sort((a, b) => a.at - b.at)) {
    const fields = data as Readonly<Record<string, unknown>>
    if (event === TRANSITIONED) {
      close(at)
      open = { from: at, state: fields['to'] as string, mode }
    } else if (event === 'ModeChanged') {
      close(at)
      mode = fields['to'] as string
      if (open !== undefined) open = { ...open, from: at, mode }
    } else if (event === 'Counted') {
      const { consumed, produced, defective } = fields as unknown as Count
      counts.push({ at, mode, consumed, produced, defective })
    }
  }
  close(Infinity)
  return { stretches, counts }
}

/** Microseconds by mode and state that fall into a window: StateCumulativeTime. `now` ends what still goes on. */
export function stateTimes(
  { stretches }: Timeline,
  window: { readonly from: number; readonly to: number },
): { readonly mode: string | undefined; readonly state: string; readonly micros: number }[] {
  const times = new Map<string, { mode: string | undefined; state: string; micros: number }>()
  for (const { from, to, state, mode } of stretches) {
    const micros = Math.min(to, window.to) - Math.max(from, window.from)
    if (micros <= 0) continue
    const key = JSON.stringify([mode, state])
    const time = times.get(key)
    if (time === undefined) times.set(key, { mode, state, micros })
    else time.micros += micros
  }
  return [...times.values()]
}
