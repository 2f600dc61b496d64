import type { Clock } from '#base/clock.js'
import type { CheckpointStore } from './checkpoint-store.js'
import type { CsvSource } from './csv-source.js'
import type { Door } from './door.js'
import type { Speed } from './pacing.js'

export interface IngestOptions {
  readonly source: CsvSource
  /** One behind a socket may be lost for good: then the run ends with what `failure` says, and no row of its last moments counts as settled. */
  readonly door: Door & { readonly failure?: Error | undefined }
  readonly clock: Clock
  readonly speed: Speed
  /** Undefined: every run starts from the first row. */
  readonly checkpoints: CheckpointStore | undefined
  /** Undefined: rejected rows are counted and kept nowhere. */
  readonly rejectFile: string | undefined
  /** After each group of rows and at the end, at most every 100 ms in between. */
  readonly onProgress?: (progress: IngestProgress) => void
  /** Rows offered and not settled. */
  readonly inFlightMax?: number
  readonly checkpointEveryMs?: number
  /** Stops offering; what is in flight has `drainMs` to settle. What has not is taken again by the next run. */
  readonly signal?: AbortSignal
  readonly drainMs?: number
}

/** Counts go on over interruptions: they tell of the whole file. `rows` = `accepted` + `rejected` once all is settled. */
export interface IngestSummary {
  /** Rows up to the last one that is settled together with all before it. */
  readonly rows: number
  readonly accepted: number
  /** Malformed, unfit for the plant, refused by the entity, or failed there. */
  readonly rejected: number
  /** Of the accepted ones: all that the plant made durable, which is all. */
  readonly durable: number
  /** False when the run was stopped before the end of the file. */
  readonly isComplete: boolean
  /** The last row of earlier runs, 0 for none. */
  readonly resumedAfter: number
}

export interface IngestProgress {
  readonly rows: number
  readonly accepted: number
  readonly rejected: number
  readonly inFlight: number
  /** Times the door had no room. */
  readonly full: number
  /** Of the file as it lies on the disk. */
  readonly bytesRead: number
  readonly bytesTotal: number
}

export const IN_FLIGHT_MAX_DEFAULT = 4096
