import type { GroupColumns } from '#journal/query/group-columns.js'

/** A file that takes the rows of one event type, or of all. Everything it throws is ERR_EXPORT_WRITE, or what reading the rows throws. */
export interface Table {
  readonly path: string
  readonly rowCount: number
  /** Held in memory, about. */
  readonly heldBytes: number
  /** Takes the rows `picks[0..count)` of the group and type at hand, or the first `count` without `picks`. */
  take(columns: GroupColumns, picks: Uint32Array | undefined, count: number): void
  /** Writes what is held. */
  flush(): void
  /** Writes the rest and makes it durable; how many bytes there are. */
  finish(): number
  /** Gives the file up as it is. */
  abandon(): void
}

export type ExportFormat = 'parquet' | 'csv' | 'jsonl'
