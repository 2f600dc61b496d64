import type { Cancel, Clock } from '#base/clock.js'
import { type Journal, readRowRuns, type Row } from '#journal/index.js'
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

/**
 * How long a place in the log is kept that nobody reads on from, and how many of them a journal keeps. Finding one again in a sealed segment costs decoding a
 * window of it, which one who is merely slow should not cause with every batch.
 */
export const HOLD_MS = 10_000
export const PLACES_MAX = 4
/** Cursors that pause at a place, the longest pause first. */
const pausing = new WeakMap<Journal, RowCursor[]>()

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
 * Reads the log forward, a batch at a time and only when asked. Between batches it keeps its place for a while and then lets go of everything, so that
 * who pauses holds nothing; the next batch finds the place again by its position.
 */
export class RowCursor {
  readonly #options: RowCursorOptions
  #position: number
  #runs: AsyncIterator<readonly Row[]> | undefined
  /** Read and not given out yet. */
  #run: readonly Row[] = []
  #index = 0
  /** Where the runs end. */
  #end = 0
  #cancelRelease: Cancel = () => {}

  constructor(options: RowCursorOptions) {
    this.#options = options
    this.#position = options.from
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
    const { journal, selection } = this.#options
    this.#resume()
    const rows: Row[] = []
    let bytes = 0
    try {
      while (rows.length < BATCH_ROWS_MAX && bytes < BATCH_BYTES_MAX) {
        const row = this.#run[this.#index++]
        if (row !== undefined) {
          this.#position = row.position + 1
          if (!selection.matches(row)) continue
          rows.push(row)
          bytes += bytesOf(row)
        } else if (!(await this.#more())) break
      }
    } catch (error) {
      this.close()
      throw error
    }
    if (this.#runs !== undefined) this.#pause()
    return { rows, next: this.#position, end: journal.endPosition }
  }

  /** Lets go of the place in the log. The cursor can still be read on from. */
  close(): void {
    this.#resume()
    const runs = this.#runs
    this.#runs = undefined
    this.#run = []
    this.#index = 0
    // What reading further would have thrown is thrown when it is read again.
    void runs?.return?.()?.then(undefined, () => undefined)
  }

  #pause(): void {
    const { journal, clock } = this.#options
    this.#cancelRelease = clock.after(HOLD_MS, () => this.close())
    const others = pausing.get(journal)
    if (others === undefined) pausing.set(journal, [this])
    else if (others.push(this) > PLACES_MAX) others[0]?.close()
  }

  #resume(): void {
    this.#cancelRelease()
    const others = pausing.get(this.#options.journal)
    const index = others?.indexOf(this) ?? -1
    if (index >= 0) others?.splice(index, 1)
  }

  /** The next run, or false at the end of the log. */
  async #more(): Promise<boolean> {
    const { journal, selection, to = Infinity, name } = this.#options
    if (this.#runs === undefined) {
      checkStart(journal, this.#position, name)
      this.#end = Math.min(to, journal.endPosition)
      if (this.#position >= this.#end) return false
      this.#runs = readRowRuns(journal, { from: this.#position, to: this.#end, ...selection.range })
    }
    const { done = false, value } = await this.#runs.next()
    if (done) {
      this.close()
      this.#position = Math.max(this.#position, this.#end)
      return false
    }
    this.#run = value as readonly Row[]
    this.#index = 0
    return true
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
