/** Versions of one entity, without a gap, whose rows are gone, and the positions between which they were. */
export interface LostRun {
  readonly count: number
  /** Position of the entity's row before them, -1 when there is none. */
  readonly after: number
  /** Position of its row behind them, Infinity when there is none. */
  readonly before: number
}

/**
 * Gives the positions of rows that are gone to these, so that the rows of each entity ascend: per run the positions of its rows. Which of several entities had which of the
 * positions is not known any more; they take turns in the order in which blocks have them. Undefined when the positions cannot have been theirs. Pure.
 */
export function placeRows(runs: readonly LostRun[], positions: readonly number[]): number[][] | undefined {
  const placed = runs.map((): number[] => [])
  const isLeft = (run: number) => (placed[run] as number[]).length < (runs[run] as LostRun).count
  const indexes = [...runs.keys()]
  // Earliest end first: then all find a place if there is one for each.
  const bounded = indexes.filter((run) => (runs[run] as LostRun).before < Infinity)
  bounded.sort((a, b) => (runs[a] as LostRun).before - (runs[b] as LostRun).before)
  const others = indexes.filter((run) => (runs[run] as LostRun).before === Infinity)
  let turn = 0
  for (const position of positions) {
    const isOpen = (run: number) => (runs[run] as LostRun).after < position
    let next = bounded.findIndex(isOpen)
    if (next >= 0) {
      const run = bounded[next] as number
      if ((runs[run] as LostRun).before <= position) return undefined
      ;(placed[run] as number[]).push(position)
      if (!isLeft(run)) bounded.splice(next, 1)
      continue
    }
    next = -1
    for (let step = 0; step < others.length && next < 0; step++) {
      const index = (turn + step) % others.length
      if (isOpen(others[index] as number)) next = index
    }
    const run = others[next]
    if (run === undefined) return undefined
    ;(placed[run] as number[]).push(position)
    if (isLeft(run)) turn = next + 1
    else {
      others.splice(next, 1)
      turn = next
    }
  }
  return bounded.length + others.length === 0 ? placed : undefined
}
