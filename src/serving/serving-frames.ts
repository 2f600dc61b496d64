/**
 * Frame types of the three channels between a worker slot and the journal.
 *
 *   appends  worker → journal   APPEND_FRAME (journal/append-frame.ts), SNAPSHOT_FRAME, LOAD_FRAME, in the order in which they take effect
 *   answers  journal → worker   REJECTED_FRAME, WANTED_FRAME; success is told by the release of the appends channel
 *   bulk     journal → worker   PIECE_FRAME: messages of a load, cut into pieces, one load at a time, one message after the other
 */
export const APPEND_FRAME = 1
export const SNAPSHOT_FRAME = 2
export const LOAD_FRAME = 3

export const REJECTED_FRAME = 1
/** The entity, UTF-8, of which the journal wants a snapshot of the newest row. It may be left out; then it is asked for again. */
export const WANTED_FRAME = 2

export const PIECE_FRAME = 1

/**
 * A snapshot on its way to the journal: u32 version, u32 writer term, u32 append number (of the row that it is folded up to), u32 entityBytes,
 * entity (UTF-8), state to the end. It stands right behind the append that made its version, before any later append of the entity.
 */
export const SNAPSHOT_HEADER_BYTES = 16

/**
 * u32 append number, u32 term, u32 version that the log has, u32 kind (REJECTED_*). Published before the release of the appends channel
 * passes the frame.
 */
export const REJECTED_BYTES = 16
export const REJECTED_CONFLICT = 1
export const REJECTED_FENCED = 2

/**
 * One piece of a bulk message: u32 load number, u32 term of the worker that asked (its predecessor began to count at 1 too), u32 message kind
 * (LOAD_*), u32 bytes of the whole message, u32 offset of this piece, then the piece.
 */
export const PIECE_HEADER_BYTES = 20

/** msgpack LoadBegin. */
export const LOAD_BEGIN = 1
/**
 * u32 shard, then for each of some of its entities u32 number in the shard, u32 version, u32 writer term and u32 append number of the newest row, u32 idBytes, id
 * (UTF-8).
 */
export const LOAD_HEADS = 2
export const LOADED_HEAD_BYTES = 20
/**
 * Snapshots, one behind the other: u32 bytes of what follows, u32 version, u32 writer term, u32 append number, u32 shard, u32 number of the entity in it, which
 * its heads have told, then the state.
 */
export const LOAD_SNAPSHOTS = 3
export const LOADED_SNAPSHOT_BYTES = 20
/** An encoded block, as stored. */
export const LOAD_BLOCK = 4
/** Empty. */
export const LOAD_END = 5
/** msgpack LoadFailure: the journal could not read what was asked for. */
export const LOAD_FAILED = 6
/** msgpack string[], at the end of a lenient load: what was passed over. */
export const LOAD_DAMAGES = 7
/** UTF-8: of the blocks that follow only the rows of this entity are meant; empty: all again. */
export const LOAD_ONLY = 8

/** What a LOAD_FRAME asks for: whole shards, or one entity. */
export interface LoadRequest {
  readonly load: number
  /** Of the worker that asks. */
  readonly term: number
  readonly shards: readonly number[]
  readonly entity: string | undefined
  /** Of the shards only the entities of these types; all when left out. */
  readonly entityTypes?: readonly string[]
  /** Of the shards: entities to be done first, as far as that is faster than going through all. */
  readonly first?: readonly string[]
  /** No snapshots but bases, and every row that there is: the plant cannot read the snapshots. */
  readonly isWhole: boolean
  /** What can be read: damage is passed over and told at the end. */
  readonly isLenient?: boolean
  /** Of an entity: only a snapshot of an older version than this one. */
  readonly snapshotBelow?: number
}

export interface LoadFailure {
  readonly code: string
  readonly message: string
}

export interface LoadBegin {
  /** Undefined in the load of one entity: its shard was loaded before. */
  readonly eventTypes: readonly EventTypeFacts[] | undefined
}

/** An event type as the journal numbers it. */
export interface EventTypeFacts {
  readonly number: number
  readonly entity: string
  readonly event: string
  readonly fields: readonly unknown[]
}
