import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import { sha256 } from '#base/hash.js'
import { RecentAppends } from '#journal/recent-appends.js'
import { unlessDamaged } from '#journal/log-damage.js'
import type { LogState } from '#journal/log-state.js'
import { learnRecent, learnSealed } from '#journal/segments/learn-sealed.js'
import type { SegmentFile } from '#journal/segments/segment-file.js'
import type { Catalog } from './catalog.js'
import { loadHeads, type SavedHeads } from './heads-checkpoint.js'
import type { LogSegments } from './log-segments.js'
import { SealedSegment } from './sealed-segment.js'
import { Segment } from './segment.js'

/**
 * Rebuilds heads, marks and recent appends into a fresh state, from what was saved and from the rows behind it. Damage is passed over as far as it is known whom it hit:
 *
 *   - what the saved heads cover need not be read: an append found again in it is a conflict then, and whoever sent it finds its entity without these rows;
 *   - of rows behind that whose block has a good header, those who may have had some are doubted (doubtful-heads.ts), and all others are as they were.
 *
 * A header that is damaged behind what was saved leaves open whose rows these were, which entities were new in it, and at the end even how many there were: then nothing is guessed. Throws
 * ERR_LOG_INCOMPLETE where rows are gone that were known, ERR_BLOCK_DAMAGED and the like where what must be read is damaged. Returns up to where heads were saved.
 */
export function learnLog(state: LogState, catalog: Catalog, segments: LogSegments, keepsRecent: boolean): number {
  const heads = loadHeads(catalog, state)
  const saved = heads.position
  const { firstPosition, active } = segments
  const end = endOf(active, heads)
  if (saved > end) throw endsEarly(active.name, end, saved)
  if (saved < firstPosition) throw headsGone(saved, firstPosition)
  // Of sealed segments recent appends are read when they are asked for, which is after a journal was replaced at most.
  const recentFrom = Math.max(firstPosition, end - state.recent.capacity)
  const unsealedFrom = Math.min(end, segments.unsealed[0]?.firstPosition ?? end)
  const wanted = Math.max(firstPosition, keepsRecent ? Math.min(saved, Math.max(recentFrom, unsealedFrom)) : saved)
  if (keepsRecent && segments.sealed.some(({ endPosition }) => endPosition > recentFrom))
    state.recent.older = () => recentSealed(state, segments, recentFrom, end)
  // One row more, so that the first block behind what was saved is checked against the block that it continues.
  const parts = segments.from(Math.max(firstPosition, wanted - 1), end)
  // Nothing comes before the first block of a log, and what comes behind a damaged one does not continue what that is now.
  let isFirst = true
  for (const { part, end: partEnd } of parts) {
    if (part instanceof SealedSegment) {
      const file = unlessDamaged(() => whole(part.file), unlessBehind(saved, part.endPosition))
      if (file === undefined) state.passOver(part.endPosition, Buffer.from(part.entry.lastHash, 'hex'))
      else learnSealed(state, file, { isFirst: isFirst && part.firstPosition !== 0, saved })
      isFirst = false
    } else if (part instanceof Segment) {
      const first = part.atOrBefore(Math.max(part.firstPosition, wanted - 1))
      if (first < 0) throw endsEarly(part.name, part.firstPosition, partEnd)
      const passOver = (damage: MillraceError): void => {
        const { block } = damage.values
        unlessBehind(saved, typeof block === 'number' ? block + 1 : Infinity)(damage)
        isFirst = true
      }
      const tell = (): void => {
        isFirst = true
      }
      for (const reader of part.readableBlocks({ from: first }, partEnd, state, passOver)) {
        const options = { isFirst: isFirst && reader.header.basePosition !== 0, keepsRecent }
        isFirst = false
        state.learn(reader, { ...options, damaged: { savedUpTo: (shard) => heads.ofShard[shard] as number, tell } })
      }
      if (state.endPosition < partEnd) state.passOver(partEnd, sha256(part.bytes(part.last()) ?? new Uint8Array(0)))
    }
  }
  if (parts.length === 0) state.passOver(end, segments.lastHash)
  assert(state.endPosition === end, 'a log that was learnt ends where its last block ends')
  const { entities } = state
  state.doubtful.compare((entity) => catalog.snapshot(entities.shardOf(entity), entities.name(entity), Infinity))
  return saved
}

/** Where the log ends. A newest block whose header is damaged does not tell; what was saved does, if that was behind it. */
function endOf(active: Segment, heads: SavedHeads): number {
  const end = unlessDamaged(
    () => active.end(),
    (damage) => {
      if (heads.endPosition <= active.last()) throw damage
    },
  )
  return end ?? heads.endPosition
}

/** For damage of rows up to a position: nothing, where they are covered; else throws it. */
function unlessBehind(saved: number, endPosition: number): (damage: MillraceError) => void {
  return (damage) => {
    if (endPosition > saved) throw damage
  }
}

/** A file whose names can be read. */
function whole(file: SegmentFile): SegmentFile {
  file.newEntities()
  return file
}

function recentSealed(state: LogState, segments: LogSegments, from: number, end: number): RecentAppends {
  const recent = new RecentAppends(state.recent.capacity)
  for (const segment of segments.sealed) {
    // An append that is not found is a conflict, upon which its entity is read anew.
    if (segment.endPosition > from && segment.firstPosition < end)
      unlessDamaged(
        () => learnRecent(state, segment.file, from, recent),
        () => undefined,
      )
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
