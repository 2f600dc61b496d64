import type { BlockEntry } from '#journal/block-entry.js'
import type { BlockNames } from '#journal/block-rows.js'
import type { BlockRange, EntityHead, Row } from '#journal/journal.js'
import { unlessDamaged } from '#journal/log-damage.js'
import type { LogState } from '#journal/log-state.js'
import type { MergedBlocks } from '#journal/merged-blocks.js'
import type { LogPart } from './log-part.js'
import type { LogSegments } from './log-segments.js'
import { Segment } from './segment.js'

/** Reads across the segments of a log as they are when it begins: whatever becomes of them, each stays readable until its turn is over. `end`: of the log. */

interface HeldPart {
  readonly part: LogPart
  /** The first position behind its last. */
  readonly end: number
}

/** The segments with rows from `from` up to `end`, in order. */
export async function* retained(segments: LogSegments, from: number, end: number): AsyncGenerator<HeldPart> {
  const held = segments.from(from, end)
  for (const { part } of held) part.retain()
  let released = 0
  try {
    for (const one of held) {
      yield one
      one.part.release()
      released++
    }
  } finally {
    for (const { part } of held.slice(released)) part.release()
  }
}

/** The blocks of one segment that a range asks for, checked, as far as damage is not to be passed over. `end`: of the part. */
export async function* wantedBlocks(
  part: LogPart,
  range: BlockRange,
  { end, state, merged }: { readonly end: number; readonly state: LogState; readonly merged: MergedBlocks | undefined },
): AsyncGenerator<Uint8Array> {
  const { onDamaged } = range
  if (onDamaged !== undefined) {
    for (const reader of part.readableBlocks(range, end, state, onDamaged)) {
      unlessDamaged(() => reader.check(), onDamaged)
      yield reader.bytes
    }
  } else if (range.isMerged === true && merged !== undefined && part instanceof Segment) {
    let from = Math.max(range.from, part.firstPosition)
    for (const one of merged.between(from, end)) {
      if (one.firstPosition > from)
        for (const reader of part.blocksBetween({ ...range, from }, one.firstPosition, state)) yield reader.check().bytes
      yield one.bytes
      from = one.endPosition
    }
    if (from < end) for (const reader of part.blocksBetween({ ...range, from }, end, state)) yield reader.check().bytes
  } else for await (const reader of part.blocks(range, end, state)) yield reader.check().bytes
}

/** The newest rows of an entity, at most `count`, in order of version. */
export async function newestRows(
  segments: LogSegments,
  head: EntityHead,
  count: number,
  { end, ...from }: { readonly end: number; readonly names: BlockNames; readonly state: LogState },
): Promise<Row[]> {
  const found: Row[][] = []
  const versionMin = Math.max(1, head.version - count + 1)
  let next = head.version
  await withHeld(segments.from(0, end).reverse(), async ({ part, end: partEnd }) => {
    if (next < versionMin) return false
    const rows = await part.lastRows(head, { versionMin, versionMax: next, end: partEnd, ...from })
    if (rows.length > 0) found.push(rows)
    next -= rows.length
    return true
  })
  return found.reverse().flat()
}

/** Tells blocks of the directory that have rows of an entity from others, as Journal.blocksOf says. */
export async function blocksOf(
  segments: LogSegments,
  head: EntityHead,
  { end, state }: { readonly end: number; readonly state: LogState },
): Promise<(entry: BlockEntry) => boolean> {
  const known = new Map<string, ReadonlySet<number>>()
  await withHeld(segments.from(0, end), async ({ part, end: partEnd }) => {
    known.set(part.name, await part.blocksOf(head, partEnd, state))
    return true
  })
  return ({ segment, id }) => known.get(segment)?.has(id) ?? true
}

/** Uses one after the other until the answer is false. */
async function withHeld(held: readonly HeldPart[], use: (one: HeldPart) => Promise<boolean>): Promise<void> {
  for (const { part } of held) part.retain()
  try {
    for (const one of held) if (!(await use(one))) return
  } finally {
    for (const { part } of held) part.release()
  }
}
