import { radixPass } from '#journal/radix-pass.js'
import type { SegmentRows } from './segment-rows.js'

/**
 * The rows by (shard, entity number), those of one entity as they are, which is by version: a radix sort of bytes, least first, that passes over those that are
 * the same in all rows.
 */
export function clusteredOrder(rows: SegmentRows): Uint32Array {
  const { rowCount } = rows
  let order = new Uint32Array(rowCount).map((_, index) => index)
  let spare = new Uint32Array(rowCount)
  const counts = new Uint32Array(256)
  for (const keys of [rows.entity, rows.shard]) {
    let used = 0
    for (let index = 0; index < rowCount; index++) used |= keys[index] as number
    for (let shift = 0; shift < 32 && used >>> shift !== 0; shift += 8) {
      radixPass(keys, shift, rowCount, order, spare, counts)
      const sorted = spare
      spare = order
      order = sorted
    }
  }
  return order
}

/** The rows by position, or undefined when they are not exactly those from `first` on, each once. */
export function positionOrder(rows: SegmentRows, first: number): Uint32Array | undefined {
  const { rowCount, position } = rows
  const order = new Uint32Array(rowCount)
  const seen = new Uint8Array(rowCount)
  for (let row = 0; row < rowCount; row++) {
    const rank = (position[row] as number) - first
    if (rank < 0 || rank >= rowCount || seen[rank] === 1) return undefined
    seen[rank] = 1
    order[rank] = row
  }
  return order
}

/** How large groups and blocks become, in rows. */
export interface CutLimits {
  /** A group is closed at the first entity behind which it has so many. */
  readonly groupRows: number
  /** An entity with more than this has groups to itself, so that the newest of its rows decode without the rest. */
  readonly groupRowsMax: number
  /** A block is closed behind the group in which it reaches so many. */
  readonly blockRows: number
  /** A group is closed in front of the row with which its byte strings would be longer than this, each counted as often as it is there: a reader has all of them in memory. */
  readonly groupStringBytes: number
}

export const CUT_LIMITS: CutLimits = { groupRows: 2048, groupRowsMax: 16_384, blockRows: 8192, groupStringBytes: 1 << 25 }

/** Where blocks, and in them groups, begin and end in the clustered order: per block the start, then the end of each group. */
export function cutBlocks(rows: SegmentRows, order: Uint32Array, limits: CutLimits): number[][] {
  const { groupRows, groupRowsMax, blockRows, groupStringBytes } = limits
  const { shard, entity, rowCount } = rows
  const blocks: number[][] = []
  let ends = [0]
  let start = 0
  const close = (end: number): void => {
    if (end === start) return
    ends.push(end)
    start = end
    if (end - (ends[0] as number) < blockRows) return
    blocks.push(ends)
    ends = [end]
  }
  const fits = fitting(rows, order, groupStringBytes)
  for (let from = 0; from < rowCount; ) {
    const own = order[from] as number
    let to = from + 1
    while (to < rowCount && entity[order[to] as number] === entity[own] && shard[order[to] as number] === shard[own]) to++
    if (to - start > groupRowsMax || fits(start) < to) close(from)
    while (to - start > groupRowsMax || fits(start) < to) close(Math.min(start + groupRowsMax, fits(start)))
    if (to - start >= groupRows) close(to)
    from = to
  }
  close(rowCount)
  if (ends.length > 1) blocks.push(ends)
  return blocks
}

/** By the first row of a group how far it may reach at most, so that its byte strings are not too long; one row at least. */
function fitting(rows: SegmentRows, order: Uint32Array, bytesMax: number): (start: number) => number {
  const { rowCount } = rows
  const bytes = rows.stringBytes(bytesMax)
  if (bytes === undefined) return () => rowCount
  let [knownStart, knownEnd] = [-1, 0]
  return (start) => {
    if (start === knownStart) return knownEnd
    let end = start
    for (let sum = 0; end < rowCount; end++) {
      sum += bytes[order[end] as number] as number
      if (sum > bytesMax && end > start) break
    }
    ;[knownStart, knownEnd] = [start, end]
    return end
  }
}
