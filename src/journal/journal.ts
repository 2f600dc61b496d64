import type { MillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import type { FieldSchema } from '#schema/index.js'
import type { OutcomeKind } from './append-frame.js'
import type { BlockEntry } from './block-entry.js'
import type { FrozenLog } from './frozen-log.js'
import type { LogQuery, QueryOptions, QueryRun } from './log-query.js'
import type { RowRange } from './read-rows.js'
import type { RetainedSegment } from './retention-plan.js'

/**
 * The append-only log: the only way state becomes durable. One writer: whoever opened it for writing. Adapters prove in
 * test/contracts/journal.contract.ts that
 *   - an append (the rows of one command) and the batch it stands in are atomic: after a crash all of it can be read, or none;
 *   - positions are dense, from 0, and never move, so a cursor stays valid for ever;
 *   - what `append` resolved is durable; after a reopen nothing is served that is not;
 *   - an append with another expected version or another base row is answered `conflict`, one of an older term `fenced`,
 *     and the other appends of the batch are stored;
 *   - an append found again (same term and number) is answered as stored, and stored once;
 *   - rows come back bit for bit.
 */
export interface Journal {
  /** Recorded when the log was made. */
  readonly shardCount: number
  /** The position that the next row will get; equal to the number of rows ever stored. */
  readonly endPosition: number
  /** The lowest position that can be read: rows before it were dropped by retention. */
  readonly firstPosition: number
  /** Every event type that rows refer to, by number: each shape that an event ever had is one of its own. Grows when a plant's schema does. */
  readonly eventTypes: readonly EventType[]

  /**
   * Makes the types known and gives each its number for good; known ones keep theirs, and an event that comes with other fields is a new one.
   * Durable when it resolves. Whether a plant can read what is stored is asked first, see register-schemas.ts.
   */
  register(types: readonly EventTypeDeclaration[]): Promise<readonly EventType[]>

  /**
   * Stores the batch as one block and resolves once it is durable. Two calls at a time at most: while the block of the first is on its way to the
   * disk, the second is judged as if that were durable, and encoded; it is stored behind it, or not at all. A rejected append leaves no row. Throws
   * ERR_JOURNAL_FULL (action `retry`) before anything is written when there is no room, and for a second call that waits behind such a first one;
   * any other failure of the disk is an error with action `restart`, after which the process must end.
   */
  append(batch: AppendBatch): Promise<AppendAnswer>
  /**
   * Calls back after each append that stored rows, once they are durable and can be read, until the answer is called. A read-only journal never does.
   * The callback must not throw and must not do more than wake somebody.
   */
  onAppend(callback: () => void): () => void

  /** What the log knows of an entity's newest row, or undefined. Counts appends that `append` has resolved. */
  head(entity: EntityId): EntityHead | undefined
  /** All entities of a shard, in order of their numbers. */
  heads(shard: number): Iterable<EntityHead>
  /** The entity that blocks call by this number within the shard, or undefined when there is none. */
  entityName(shard: number, number: number): EntityId | undefined
  /** The highest (term, number) stored for a writer slot, `undefined` if none: see AppendBatch.slots. */
  mark(slot: number): { readonly term: number; readonly number: number } | undefined

  /**
   * Encoded blocks (block-format.ts) with a row at or after `from`, up to `endPosition` at the time of the call, and no row twice. Rows of one entity come in
   * ascending version over all blocks; those of different entities come by segment, and within a sealed one by (shard, entity), not by position. With `shards` those
   * that have no row of these shards are skipped where that is known without reading them. A block's bytes are the caller's to keep.
   * Throws ERR_BLOCK_DAMAGED naming segment and block where a check fails.
   */
  blocks(range: BlockRange): AsyncIterable<Uint8Array>
  /** As `blocks`, but in order of position and never clustered: those of sealed segments are put together again, without chain, marks and new entities. */
  orderedBlocks(range: PositionRange): AsyncIterable<Uint8Array>
  /** The newest rows of an entity, at most `count`, in order of version. Reads only the blocks, and decodes only the groups, that have them. */
  lastRows(entity: EntityId, count: number): Promise<readonly Row[]>
  /**
   * Tells which blocks of a `directory` have rows of an entity, where that directory alone does not. False is certain; of blocks that came after the call, or are
   * not known, it says true. Looks once through what is not sealed, then again only through what came since.
   */
  blocksOf(entity: EntityId): Promise<(entry: BlockEntry) => boolean>
  /** Rows in global order, as readRows gives them (read-rows.ts). */
  read(range: RowRange): AsyncIterable<Row>
  /**
   * Asks for rows, columns of rows or aggregates over them, of what the log has now. Reads on as it is iterated, in slices of some milliseconds between which appends
   * go on. Throws ERR_QUERY and ERR_ENTITY_ID at once for a question that makes no sense, and ERR_BLOCK_DAMAGED when a block that it needs cannot be read.
   */
  query(query: LogQuery, options?: QueryOptions): QueryRun
  /** What is known of each block without reading it, in order of the log: sealed segments first. A snapshot as of the call. */
  directory(): readonly BlockEntry[]
  /**
   * The bytes of a block of `directory`, checked; they are the caller's to keep. Throws ERR_BLOCK_DAMAGED. Undefined when the block is there no more
   * under that name: its segment was sealed or dropped meanwhile, and a fresh `directory` tells where its rows are.
   */
  readBlock(entry: BlockEntry): Promise<Uint8Array | undefined>

  /** Keeps a snapshot and drops all but the newest `SNAPSHOTS_KEPT` of the entity. May be lost in a crash: snapshots are an optimisation. */
  saveSnapshots(snapshots: readonly Snapshot[]): Promise<void>
  /** The newest readable snapshots of a shard's entities, at most one each, of rows below `endPosition`. Damaged ones are passed over for older ones. */
  snapshots(shard: number): Iterable<ShardSnapshot>
  /** The newest readable snapshot of the entity with a version of at most `versionMax`. */
  snapshot(entity: EntityId, versionMax?: number): Snapshot | undefined

  /** Base snapshots take the place of rows that retention drops: durable when it resolves, one per entity, a newer one replaces it, and never thrown away. */
  saveBases(bases: readonly Snapshot[]): Promise<void>
  /** The base snapshot of an entity, or undefined. `snapshot` and `snapshots` fall back on it. Throws ERR_CATALOG_DAMAGED where it cannot be read. */
  base(entity: EntityId): Snapshot | undefined

  /** Sealed segments that are there, in order of position. */
  sealedSegments(): readonly RetainedSegment[]
  /** The entities that have rows in a sealed segment, with the version of their newest row in it. */
  lastVersions(segment: string): AsyncIterable<{ readonly entity: EntityId; readonly shard: number; readonly version: number }>
  /** Drops the oldest sealed segment, which must have this name: rows before its end are gone for good. Durable when it resolves. See serving/retention.ts. */
  dropOldest(segment: string): Promise<void>

  /** A small durable value under a name: checkpoints of readers. */
  saveCheckpoint(name: string, value: Uint8Array): Promise<void>
  checkpoint(name: string): Uint8Array | undefined
  /** Of all checkpoints whose names begin so, in no order. */
  checkpointNames(prefix: string): readonly string[]
  removeCheckpoint(name: string): Promise<void>

  /** Closes the active segment and seals all that is there. Resolves when it is done; throws why a segment could not be sealed, which then stays as it is. */
  seal(): Promise<void>

  /** Reads everything there is and names all that is wrong. Never throws for damage. */
  verify(progress?: (done: number, total: number) => void): AsyncIterable<Finding>

  /** The log as of now, for a copy of it; undefined where it is on no disk. Throws what reading the catalog throws. */
  freeze?(): FrozenLog

  /** Bytes on disk, for status and reports; 0 in memory. */
  storedBytes(): number
  /** Ends after the append in flight. */
  close(): Promise<void>
}

/** How many snapshots of an entity are kept. */
export const SNAPSHOTS_KEPT = 2

/** An event type as a plant declares it. */
export interface EventTypeDeclaration {
  /** Entity type, such as `press`. */
  readonly entity: string
  /** Event name, such as `Sampled`. */
  readonly event: string
  /** In declaration order, which is the payload's order. */
  readonly fields: readonly FieldSchema[]
}

export interface EventType extends EventTypeDeclaration {
  /** From 1, below 65,536, never reused. */
  readonly number: number
}

/**
 * Append frames (append-frame.ts) of several writers, in the order in which they take effect. The arrays are the caller's and may be
 * reused after `append` resolved; the frames must stay as they are until then.
 */
export interface AppendBatch {
  readonly count: number
  /** Frame i lies in `bytes[memory[i]]` at `offsets[i]` with `lengths[i]` bytes. */
  readonly memories: readonly { readonly bytes: Uint8Array; readonly view: DataView }[]
  readonly memory: ArrayLike<number>
  readonly offsets: ArrayLike<number>
  readonly lengths: ArrayLike<number>
  /** The writer slot of frame i, from 0: which worker's append ring it came from. Terms are compared within a slot. */
  readonly slots: ArrayLike<number>
}

export interface AppendAnswer {
  /** Position of the block's first row, and how many rows were stored. 0 rows when all were rejected or known. */
  readonly basePosition: number
  readonly rowCount: number
  /** In order of index. Empty in ordinary life. */
  readonly rejected: readonly RejectedAppend[]
  /** How many appends were found to be stored already. */
  readonly known: number
}

export interface RejectedAppend {
  /** Of the frame in the batch. */
  readonly index: number
  readonly kind: 'conflict' | 'fenced'
  readonly entity: EntityId
  /** What the log has for the entity. */
  readonly headVersion: number
}

export interface EntityHead {
  readonly entity: EntityId
  readonly shard: number
  /** Of the entity within its shard, from 0, in order of first appearance: what blocks call it. */
  readonly number: number
  readonly version: number
  /** Writer term and append number of the newest row. */
  readonly term: number
  readonly appendNumber: number
}

/** Positions from the first up to, without, the second; to the end of the log when that is left out. */
export interface PositionRange {
  readonly from: number
  readonly to?: number
}

export interface BlockRange {
  readonly from: number
  readonly shards?: ReadonlySet<number>
  /** Only blocks that may have rows of this entity. */
  readonly entity?: EntityId
  /** Blocks that follow each other may come as one that was never stored, with the same rows, whose positions it does not tell. */
  readonly isMerged?: boolean
  /**
   * Called with each damage, which is passed over then instead of being thrown: rows are missing where it is. A block of which some groups are damaged comes all
   * the same, and whoever opens these finds out. Together with `shards`, not with `entity`.
   */
  readonly onDamaged?: (damage: MillraceError) => void
}

/** Folded state of one entity at a version. `bytes` are the entity room's canonical encoding; the journal adds checks of its own. */
export interface Snapshot {
  readonly entity: EntityId
  readonly version: number
  /** Writer term and append number of that row, so that a snapshot of a rejected append is recognised. */
  readonly term: number
  readonly appendNumber: number
  /** No row of the entity with a higher version has a position below this one. */
  readonly position: number
  readonly bytes: Uint8Array
}

/** A snapshot of an entity that is named as blocks name it, by its number in its shard: for many of them names cost more than all else. */
export interface ShardSnapshot extends Omit<Snapshot, 'entity'> {
  readonly number: number
  /** Version of the entity's newest durable row. */
  readonly headVersion: number
}

export interface Finding {
  readonly severity: 'damaged' | 'note'
  readonly segment: string
  /** Base position of the block, or undefined when the finding is about the whole segment or about the catalog. */
  readonly block: number | undefined
  readonly what: string
  /** Entities whose rows cannot be read because of it. */
  readonly entities: readonly string[]
}

/** One row, decoded: for queries, tests and tools. Hot readers use block.ts directly. */
export interface Row {
  readonly position: number
  readonly entity: EntityId
  readonly version: number
  /** Event name, or `undefined` for a receipt. */
  readonly event: string | undefined
  readonly typeNumber: number
  readonly at: number
  readonly accepted: number
  readonly isLate: boolean
  readonly source: string
  /** Undefined when the row has no source. */
  readonly sequence: number | undefined
  readonly correlation: string
  readonly causation: string
  readonly term: number
  readonly appendNumber: number
  readonly outcomeKind: OutcomeKind
  readonly outcome: Uint8Array
  readonly data: Readonly<Record<string, unknown>>
}
