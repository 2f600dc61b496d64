/** In a slot's row of numbers. */
export const LATEST_AT = 0
export const WAIT_POSITION = 1
export const USED_MS = 2
export const ROW_NUMBERS = 3

/** In a slot's row of words. */
export const VERSION = 0
export const TERM = 1
export const APPEND_NUMBER = 2
export const SNAPSHOT_VERSION = 3
export const SNAPSHOT_TRIED_VERSION = 4
export const LOST_VERSION = 5
/** Flags in its lower half, the shard in the upper one. */
export const FLAGS = 6
export const HASH = 7
/** Of the entity, as KnownEntities counts. */
export const INDEX = 8
export const SOURCE_AT = 9
/** The length in its lower half; in the upper one, how many bytes there are for it. */
export const SOURCE_SIZE = 10
export const ROW_WORDS = 11

/** Of a slot that was let go: all zero, and never written to. */
export const NO_ROW = 0
