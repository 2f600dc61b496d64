import type { Cancel, Clock } from '#base/clock.js'
import type { Journal, Row } from '#journal/index.js'
import type { CompiledSelection } from './row-selection.js'
import { checkStart } from './subscription-start.js'

/** Rows in global order, and how far the log was looked at for them. */
export interface RowBatch {
  readonly rows: readonly Row[]
  /** The first position that was not looked at: all selected rows below it are in this batch or in one before. */
  readonly next: number
  /** Where the log ended when the batch was made. */
  readonly end: number
}

/** Of a batch. A batch of one row may have more bytes. */
export const BATCH_ROWS_MAX = 512
export const BATCH_BYTES_MAX = 1 << 20

/** How long the cursor works before others of the process get a turn, and how long it keeps a place in the log that nobody reads on from. */
const TURN_MS = 4
const HOLD_MS = 1000
/** Rows between two looks at the clock. */
const ROWS_PER_LOOK = 64

export interface RowCursorOptions {
  readonly journal: Journal
  readonly selection: CompiledSelection
  readonly from: number
  /** First position beyond; without end when left out. */
  readonly to?: number
  readonly clock: Clock
  /** Of the subscription, for errors. */
  readonly name?: string
}

/**
 * Reads the log forward, a batch at a time and only when asked. Between batches it keeps its place for a moment and then lets go of everything, so that
 * who pauses holds nothing; the next batch finds the place again by its position.
 */
export class RowCursor {
  readonly #options: RowCursorOptions
  #position: number
  #rows: AsyncIterator<Row> | undefined
  /** Where the rows at hand end. */
  #end = 0
  #turnStartMs: number
  #cancelRelease: Cancel = () => {}

  constructor(options: RowCursorOptions) {
    this.#options = options
    this.#position = options.from
    this.#turnStartMs = options.clock.monotonicMs()
  }

  /** The first position that was not looked at. */
  get position(): number {
    return this.#position
  }

  /**
   * The next rows. Without any when none of those up to the end of the log is wanted, or when there are no more. Throws ERR_SUBSCRIPTION_BEHIND and
   * ERR_SUBSCRIPTION_AHEAD where the log has not what comes next, ERR_BLOCK_DAMAGED where it cannot be read.
   */
  async next(): Promise<RowBatch> {
    const { journal, selection, to = Infinity, name } = this.#options
    this.#cancelRelease()
    const rows: Row[] = []
    let bytes = 0
    if (this.#rows === undefined) {
      checkStart(journal, this.#position, name)
      this.#end = Math.min(to, journal.endPosition)
      if (this.#position >= this.#end) return { rows, next: this.#position, end: journal.endPosition }
      this.#rows = journal.read({ from: this.#position, to: this.#end, ...selection.range })[Symbol.asyncIterator]()
    }
    try {
      await this.#turn()
      for (let count = 1; rows.length < BATCH_ROWS_MAX && bytes < BATCH_BYTES_MAX; count++) {
        const { done = false, value: row } = await this.#rows.next()
        if (done) {
          this.#rows = undefined
          this.#position = this.#end
          break
        }
        this.#position = row.position + 1
        if (selection.matches(row)) {
          rows.push(row)
          bytes += bytesOf(row)
        }
        if (count % ROWS_PER_LOOK === 0) await this.#turn()
      }
    } catch (error) {
      this.close()
      throw error
    }
    if (this.#rows !== undefined) this.#cancelRelease = this.#options.clock.after(HOLD_MS, () => this.close())
    return { rows, next: this.#position, end: journal.endPosition }
  }

  /** Lets go of the place in the log. The cursor can still be read on from. */
  close(): void {
    this.#cancelRelease()
    const rows = this.#rows
    this.#rows = undefined
    // What reading further would have thrown is thrown when it is read again.
    void rows?.return?.()?.then(undefined, () => undefined)
  }

  /** Lets the process do other things when it is time. */
  async #turn(): Promise<void> {
    const { clock } = this.#options
    if (clock.monotonicMs() - this.#turnStartMs < TURN_MS) return
    await new Promise((resolve) => setImmediate(resolve))
    this.#turnStartMs = clock.monotonicMs()
  }
}

/** About how much a row takes in memory and on the way to another process. */
function bytesOf(row: Row): number {
  return ROW_BYTES + row.outcome.length + sizeOf(row.data, 0)
}

const ROW_BYTES = 300
const DEPTH_MAX = 8

function sizeOf(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.length * 2
  if (typeof value !== 'object' || value === null) return 8
  if (ArrayBuffer.isView(value)) return value.byteLength
  let bytes = 16
  if (depth < DEPTH_MAX) for (const member of Object.values(value)) bytes += sizeOf(member, depth + 1)
  return bytes
}
