import type { Clock } from '#base/clock.js'
import type { MergedBlocksOptions } from '#journal/merged-blocks.js'
import type { SealStep } from './sealer.js'

export interface LmdbJournalOptions {
  /** Made when it is not there, unless read-only. Held by one process at a time: whoever opens it for writing has seen to that. */
  readonly directory: string
  /** For tools, while no journal has the directory open. Creates nothing; heads are read when they are first asked for. */
  readonly isReadOnly?: boolean
  /** Of a new log. */
  readonly shardCount?: number
  /** Stamps a new log. */
  readonly clock?: Clock
  /** A batch is refused with ERR_JOURNAL_FULL when it would leave less than this free on the disk. */
  readonly reserveBytes?: number
  /** How the free bytes of the disk are found out. */
  readonly freeBytes?: (directory: string) => number
  /** How far the file of the active segment can grow. Address space only. */
  readonly mapBytes?: number
  /** The active segment is closed, and sealed in the background, with so many rows or bytes of blocks, or when its oldest row was stored so long ago. */
  readonly segmentRowsMax?: number
  readonly segmentBytesMax?: number
  readonly segmentAgeMs?: number
  /** Appends wait while more closed segments than this wait to be sealed. */
  readonly unsealedMax?: number
  /** Appends begin to wait for that. */
  readonly onUnsealedMax?: () => void
  /** A segment could not be sealed and stays as it is: the reason. It is tried again when the next one is closed. */
  readonly onSealFailed?: (error: unknown) => void
  /** For tests of what a crash leaves: told after each step of closing and sealing a segment; what it throws makes that step fail. */
  readonly onSealStep?: (step: SealStep) => void
  /** How many of the newest appends are recognised when they come again. */
  readonly recentAppends?: number
  /** What is kept of the newest rows in memory, for loads. */
  readonly merged?: MergedBlocksOptions
  /** Heads are saved after so many rows, so at most so many and twice as many are read at opening. */
  readonly headsEveryRows?: number
}
