import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import { learnSealed } from '#journal/segments/learn-sealed.js'
import type { LogState } from '#journal/log-state.js'
import type { Catalog } from './catalog.js'
import { loadHeads } from './heads-checkpoint.js'
import type { LogSegments } from './log-segments.js'
import { SealedSegment } from './sealed-segment.js'
import { Segment } from './segment.js'

/**
 * Rebuilds heads, marks and recent appends into a fresh state, from what was saved and from the rows behind it. Returns up to where it was saved. Throws
 * ERR_LOG_INCOMPLETE where rows are gone that were known, ERR_BLOCK_DAMAGED where what must be read is damaged.
 */
export function learnLog(state: LogState, catalog: Catalog, segments: LogSegments, end: number, keepsRecent: boolean): number {
  const saved = loadHeads(catalog, state)
  if (saved > end) throw endsEarly(segments.active.name, end, saved)
  const { firstPosition } = segments
  if (saved < firstPosition) throw headsGone(saved, firstPosition)
  const wanted = Math.max(firstPosition, keepsRecent ? Math.min(saved, end - state.recent.capacity) : saved)
  // One row more, so that the first block behind what was saved is checked against the block that it continues.
  const parts = segments.from(Math.max(firstPosition, wanted - 1), end)
  const recentFrom = keepsRecent ? Math.max(firstPosition, end - state.recent.capacity) : Infinity
  let isFirst = true
  for (const { part, end: partEnd } of parts) {
    if (part instanceof SealedSegment) learnSealed(state, part.file, { isFirst: isFirst && part.firstPosition !== 0, recentFrom, saved })
    else if (part instanceof Segment) {
      const first = part.atOrBefore(Math.max(part.firstPosition, wanted - 1))
      if (first < 0) throw endsEarly(part.name, part.firstPosition, partEnd)
      for (const reader of part.walk(first, partEnd)) {
        // Nothing comes before the first block of a log.
        state.learn(reader, { isFirst: isFirst && first !== 0, keepsRecent })
        isFirst = false
      }
    }
    isFirst = false
  }
  if (parts.length === 0) {
    state.endPosition = end
    state.lastHash = segments.lastHash
  }
  assert(state.endPosition === end, 'a log that was learnt ends where its last block ends')
  return saved
}

export function endsEarly(segment: string, end: number, known: number): MillraceError {
  return new MillraceError('ERR_LOG_INCOMPLETE', {
    fact: 'blocks that were durable are gone from the log',
    action: 'operator',
    values: { segment, endsAt: end, shouldReach: known },
    next: 'run millrace log verify on the data directory, and restore it from a backup',
  })
}

function headsGone(saved: number, firstPosition: number): MillraceError {
  return new MillraceError('ERR_CATALOG_DAMAGED', {
    fact: 'where the entities of rows that were dropped stood is not known any more',
    action: 'operator',
    values: { known: saved, firstPosition },
    next: 'restore the catalog from a backup',
  })
}
