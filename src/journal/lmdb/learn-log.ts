import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import type { BlockReader } from '#journal/block-reader.js'
import { RecentAppends } from '#journal/recent-appends.js'
import { learnRecent, learnSealed } from '#journal/segments/learn-sealed.js'
import { unlessDamaged } from '#journal/log-damage.js'
import type { LogState } from '#journal/log-state.js'
import type { Catalog } from './catalog.js'
import { loadHeads } from './heads-checkpoint.js'
import type { LogSegments } from './log-segments.js'
import { SealedSegment } from './sealed-segment.js'
import { Segment } from './segment.js'

/**
 * Rebuilds heads, marks and recent appends into a fresh state, from what was saved and from the rows behind it. Returns up to where it was saved. Throws
 * ERR_LOG_INCOMPLETE where rows are gone that were known, ERR_BLOCK_DAMAGED where what must be read is damaged. Rows of a block that was saved need not be read: an
 * append found again in it is a conflict then, and whoever sent it finds its entity without these rows.
 */
export function learnLog(state: LogState, catalog: Catalog, segments: LogSegments, end: number, keepsRecent: boolean): number {
  const saved = loadHeads(catalog, state)
  if (saved > end) throw endsEarly(segments.active.name, end, saved)
  const { firstPosition } = segments
  if (saved < firstPosition) throw headsGone(saved, firstPosition)
  // Of sealed segments recent appends are read when they are asked for, which is after a journal was replaced at most.
  const recentFrom = Math.max(firstPosition, end - state.recent.capacity)
  const unsealedFrom = Math.min(end, segments.unsealed[0]?.firstPosition ?? end)
  const wanted = Math.max(firstPosition, keepsRecent ? Math.min(saved, Math.max(recentFrom, unsealedFrom)) : saved)
  if (keepsRecent && segments.sealed.some(({ endPosition }) => endPosition > recentFrom))
    state.recent.older = () => recentSealed(state, segments, recentFrom, end)
  // One row more, so that the first block behind what was saved is checked against the block that it continues.
  const parts = segments.from(Math.max(firstPosition, wanted - 1), end)
  let isFirst = true
  for (const { part, end: partEnd } of parts) {
    if (part instanceof SealedSegment) learnSealed(state, part.file, { isFirst: isFirst && part.firstPosition !== 0, saved })
    else if (part instanceof Segment) {
      const first = part.atOrBefore(Math.max(part.firstPosition, wanted - 1))
      if (first < 0) throw endsEarly(part.name, part.firstPosition, partEnd)
      // Nothing comes before the first block of a log, and what comes behind a damaged one does not continue what that is now.
      const passOver = (damage: MillraceError): void => {
        const { block } = damage.values
        if (typeof block !== 'number' || block >= saved) throw damage
        isFirst = true
      }
      for (const reader of part.readableBlocks({ from: first }, partEnd, state, passOver)) {
        const options = { isFirst: isFirst && reader.header.basePosition !== 0, keepsRecent }
        isFirst = false
        unlessDamaged(
          () => state.learn(reader, options),
          (damage) => {
            // A block that is whole and does not fit the others is no damage that could be passed over.
            if (reader.header.endPosition > saved || isWhole(reader)) throw damage
            passOver(damage)
            state.passOver(reader)
          },
        )
      }
    }
    if (part instanceof SealedSegment) isFirst = false
  }
  if (parts.length === 0) {
    state.endPosition = end
    state.lastHash = segments.lastHash
  }
  assert(state.endPosition === end, 'a log that was learnt ends where its last block ends')
  return saved
}

function isWhole(reader: BlockReader): boolean {
  return (
    unlessDamaged(
      () => reader.check(),
      () => undefined,
    ) !== undefined
  )
}

function recentSealed(state: LogState, segments: LogSegments, from: number, end: number): RecentAppends {
  const recent = new RecentAppends(state.recent.capacity)
  for (const segment of segments.sealed) {
    if (segment.endPosition > from && segment.firstPosition < end) learnRecent(state, segment.file, from, recent)
  }
  return recent
}

function endsEarly(segment: string, end: number, known: number): MillraceError {
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
