import type { BlockHeader, BlockShard } from './block-format.js'
import type { ZoneMap } from '#journal/columns/zone-map.js'

/**
 * What a journal knows of a block without reading its rows: what a query is planned from. Blocks of a sealed segment are clustered: each has the rows of a
 * run of (shard, entity), of positions from all over the segment. Plain data, so that it may cross processes.
 */
export interface BlockEntry {
  /** Name of the segment, and what the block is called within it: see Journal.readBlock. */
  readonly segment: string
  readonly id: number
  readonly isClustered: boolean
  /** Lowest position, and the first one beyond the highest. Dense only when the block is not clustered. */
  readonly firstPosition: number
  readonly endPosition: number
  readonly rowCount: number
  readonly bytes: number
  /** NaN is left out; nothing but NaN gives +infinity and -infinity. */
  readonly acceptedMin: number
  readonly acceptedMax: number
  readonly atMin: number
  readonly atMax: number
  /** Runs of rows, ascending. In a clustered block a shard may have several, with other entities in each. */
  readonly shards: readonly BlockShard[]
  /** By event type number: how many rows, and the zone maps of its columns by column number (row-group.ts). Undefined when only the block itself tells. */
  readonly types?: ReadonlyMap<number, TypeZones>
}

export interface TypeZones {
  readonly rowCount: number
  readonly zones: ReadonlyMap<number, ZoneMap>
}

/** The entry of a block as a group commit wrote it. */
export function entryOf(segment: string, header: BlockHeader): BlockEntry {
  const { basePosition, rowCount, totalBytes, acceptedMin, acceptedMax, atMin, atMax, shards } = header
  return {
    segment,
    id: basePosition,
    isClustered: false,
    firstPosition: basePosition,
    endPosition: basePosition + rowCount,
    rowCount,
    bytes: totalBytes,
    acceptedMin,
    acceptedMax,
    atMin,
    atMax,
    shards,
  }
}
