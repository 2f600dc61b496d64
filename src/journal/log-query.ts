import type { FieldKind } from '#schema/index.js'

/**
 * A question to the log. Plain JSON, so that it crosses processes; all conditions hold together, and all bounds are inclusive. Times are
 * microseconds since 1970.
 */
export interface LogQuery {
  /** One entity, or a pattern with `*`: `press/*`. */
  readonly entity?: string
  /** Event name, alone (`Sampled`) or with its entity type (`press.Sampled`). */
  readonly event?: string
  /** Global positions. */
  readonly from?: number
  readonly to?: number
  readonly versionMin?: number
  readonly versionMax?: number
  /** Of `at`: when it happened. */
  readonly since?: number
  readonly until?: number
  /** Of `accepted`: when the plant took it. */
  readonly acceptedSince?: number
  readonly acceptedUntil?: number
  /** Rows of commands that stored no event, and of outboxes: left out unless asked for, or named as events. */
  readonly receipts?: boolean
  /**
   * Comparisons, `temperature > 90`: a column, one of `= != < <= > >=`, a value. A row that lacks the field matches none of them, NaN matches
   * `!=` only, and text compares by UTF-16 code unit.
   */
  readonly where?: readonly string[]
  /**
   * What to give out, of shared columns and fields; `data` is the whole event. Default: position, entity, version, event, at, data. Naming a
   * field, here or in an aggregate, leaves out rows of events that have none of the fields named.
   */
  readonly columns?: readonly string[]
  /** `count()`, and `count`, `min`, `max`, `mean`, `sum`, `first`, `last` of a column: `mean(temperature)`. One row per group instead of rows of the log. */
  readonly aggregates?: readonly string[]
  /** Groups for the aggregates: `entity`, `event`, any other shared column but `data`, or a field. */
  readonly by?: readonly string[]
  /** Width of time buckets for the aggregates: groups by `at` rounded down to a multiple of it since 1970. */
  readonly everyMicros?: number
  /** At most so many rows: the first ones. */
  readonly limit?: number
  /** The newest so many rows instead, still in global order. Not with aggregates. */
  readonly newest?: number
}

/** One row of a result: values by the names of its columns. What a row lacks is left out; an aggregate of no value is null. */
export type QueryRow = Readonly<Record<string, unknown>>

export interface ResultColumn {
  readonly name: string
  /** Of its values. A `time` is a number of microseconds since 1970; a `json` is anything, `data` is one. Undefined when fields of that name differ. */
  readonly kind: FieldKind | undefined
  readonly unit?: string
}

/** A query at work. Nothing is read before it is iterated, and it is iterated once; leaving the loop ends it. */
export interface QueryRun extends AsyncIterable<QueryRow> {
  readonly columns: readonly ResultColumn[]
  readonly plan: QueryPlan
  /** Grows while rows are read. */
  readonly counts: Readonly<ScanCounts>
  /** The same rows many at a time, as values in order of `columns`: for who has many of them to hand on. */
  batches(): AsyncIterable<readonly (readonly unknown[])[]>
}

export interface QueryOptions {
  /** Ends the iteration with the signal's reason, within milliseconds. */
  readonly signal?: AbortSignal
}

/** Why a block or a row group has nothing that the query wants. In the order in which they are tried. */
export type SkipReason = 'position' | 'entity' | 'time' | 'event' | 'values'

/** What a query is going to read, for people: the answer to `--explain`. Plain JSON. */
export interface QueryPlan {
  /** Of the log at the time of the query. */
  readonly blocks: number
  readonly blocksToRead: number
  /** Rows and bytes in these blocks. */
  readonly rowsToRead: number
  readonly bytesToRead: number
  readonly skipped: Readonly<Record<SkipReason, number>>
  /** `press.Sampled`, and `receipt`. */
  readonly events: readonly string[]
  /** Columns that are decoded of a row group that has something: shared ones, and fields as `press.Sampled.temperature`. */
  readonly decoded: readonly string[]
  readonly conditions: readonly PlannedCondition[]
  readonly order: 'position' | 'newest first' | 'groups'
}

export interface PlannedCondition {
  readonly text: string
  /** What answers it before a row is decoded. A zone map or a range can only rule out; what is left is compared row by row. */
  readonly skipsBy: SkipReason | 'nothing'
}

/** What a query has done so far. */
export interface ScanCounts {
  blocksRead: number
  groupsRead: number
  /** Groups of blocks that were read, ruled out by the block's own directory. */
  groupsSkipped: number
  /** Values of columns decoded. */
  valuesScanned: number
  rowsScanned: number
  rowsMatched: number
  /**
   * Rows whose place is kept by `log repair` and whose content is gone, of the entities and the stretch of the log that was asked for: nobody can tell whether they would have
   * matched. A query that names no field gives them as rows of the event `#fenced` instead, and does not count them here.
   */
  rowsFenced: number
}
