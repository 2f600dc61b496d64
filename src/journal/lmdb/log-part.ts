import type { MillraceError } from '#base/errors.js'
import type { BlockEntry } from '#journal/block-entry.js'
import type { BlockReader } from '#journal/block-reader.js'
import type { BlockNames } from '#journal/block-rows.js'
import type { BlockRange, EntityHead, EventType, Row } from '#journal/journal.js'
import type { LogState } from '#journal/log-state.js'

export interface WantedRows {
  readonly versionMin: number
  /** Rows of higher versions stand in later segments. */
  readonly versionMax: number
  readonly end: number
  readonly names: BlockNames
  readonly state: LogState
}

/** A segment as readers see it, sealed or not. All that read throw ERR_BLOCK_DAMAGED, ERR_SEGMENT_DAMAGED or ERR_SEGMENT_UNREADABLE. */
export interface LogPart {
  readonly name: string
  readonly firstPosition: number
  /** Keeps what it reads from open, whatever becomes of the segment, until `release`. */
  retain(): void
  release(): void
  /** Blocks below `end` that the range asks for, as Journal.blocks gives them, headers checked. */
  blocks(range: BlockRange, end: number, state: LogState): AsyncIterable<BlockReader>
  /** As `blocks`, passing over what is damaged, as BlockRange.onDamaged says; only headers are checked. */
  readableBlocks(range: BlockRange, end: number, state: LogState, onDamaged: (damage: MillraceError) => void): Iterable<BlockReader>
  /** Blocks that are not clustered with rows at or after `from` and below `to`, in order of position. */
  ordered(range: { readonly from: number; readonly to: number }, types: readonly EventType[]): AsyncIterable<Uint8Array>
  /** The rows of an entity between two versions that stand below `end`, in order of version. */
  lastRows(entity: EntityHead, wanted: WantedRows): Promise<Row[]>
  /** Ids of the blocks up to `end` that have rows of an entity. */
  blocksOf(entity: EntityHead, end: number, state: LogState): Promise<ReadonlySet<number>>
  /** The directory up to `end`. */
  entries(end: number): readonly BlockEntry[]
  /** A block of the directory, all of it checked. */
  readBlock(id: number): Uint8Array | undefined
}
