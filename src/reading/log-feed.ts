import type { Clock } from '#base/clock.js'
import type { Journal } from '#journal/index.js'
import { type RowBatch, RowCursor } from './row-cursor.js'
import { compileSelection, type RowSelection } from './row-selection.js'
import { type NamedStart, type SubscriptionHolder, subscriptionsOf } from './subscription-registry.js'
import { type StartPosition, startIn } from './subscription-start.js'

/** What a reader asks of a log. Plain JSON, so that it crosses processes. */
export interface FeedRequest {
  readonly from: number
  readonly selection: RowSelection
  /** Goes on with rows to come; else it ends where the log ended when it was asked. */
  readonly isLive: boolean
  /** Under whose name it reads. */
  readonly holder?: SubscriptionHolder
}

/** Where rows and checkpoints of a subscription come from: a journal in this process, or one behind a socket. */
export interface LogFeed {
  /**
   * Batches in order, each made when it is asked for, until `signal` aborts. One without rows tells how far was looked. Throws what RowCursor and
   * SubscriptionRegistry.check throw; never has a gap.
   */
  batches(request: FeedRequest, signal: AbortSignal): AsyncIterable<RowBatch>
  locate(start: StartPosition): Promise<number>
  /** As SubscriptionRegistry.open and save. */
  open(name: string, start: NamedStart): Promise<{ readonly position: number; readonly term: number }>
  save(holder: SubscriptionHolder, position: number): Promise<void>
  /** How often it lost the journal and found it again. */
  readonly reconnects: number
  /** Ends what still waits. */
  close(): Promise<void>
}

/** How often a reader of nothing hears how far the log was looked at. */
const PROGRESS_EVERY_MS = 250

/** The journal of this process. */
export class JournalFeed implements LogFeed {
  readonly reconnects = 0
  readonly #journal: Journal
  readonly #clock: Clock

  constructor(journal: Journal, clock: Clock) {
    this.#journal = journal
    this.#clock = clock
  }

  async *batches({ from, selection, isLive, holder }: FeedRequest, signal: AbortSignal): AsyncGenerator<RowBatch> {
    const journal = this.#journal
    const clock = this.#clock
    const cursor = new RowCursor({
      journal,
      selection: compileSelection(selection),
      from,
      clock,
      ...(isLive ? {} : { to: journal.endPosition }),
      ...(holder === undefined ? {} : { name: holder.name }),
    })
    let toldMs = Number.NEGATIVE_INFINITY
    let told = from
    const leave = holder === undefined ? () => {} : subscriptionsOf(journal, clock).enter(holder.name)
    try {
      while (!signal.aborted) {
        if (holder !== undefined) subscriptionsOf(journal, clock).check(holder)
        const batch = await cursor.next()
        const isEnd = batch.rows.length === 0
        if (!isEnd || (batch.next > told && (!isLive || clock.monotonicMs() - toldMs >= PROGRESS_EVERY_MS))) {
          toldMs = clock.monotonicMs()
          told = batch.next
          yield batch
        }
        if (!isEnd) continue
        if (!isLive) return
        if (holder !== undefined) subscriptionsOf(journal, clock).check(holder)
        await this.#appended(cursor.position, signal, {
          ...(holder && { holder }),
          ...(cursor.position > told && { withinMs: PROGRESS_EVERY_MS }),
        })
      }
    } finally {
      cursor.close()
      leave()
    }
  }

  async locate(start: StartPosition): Promise<number> {
    return startIn(this.#journal, start)
  }

  open(name: string, start: NamedStart): Promise<{ readonly position: number; readonly term: number }> {
    return subscriptionsOf(this.#journal, this.#clock).open(name, start)
  }

  save(holder: SubscriptionHolder, position: number): Promise<void> {
    return subscriptionsOf(this.#journal, this.#clock).save(holder, position)
  }

  async close(): Promise<void> {}

  /** Resolves when the log has a row at the position, when something became of the holder, when the signal aborts, or when the time is over. */
  #appended(position: number, signal: AbortSignal, { holder, withinMs }: Waiting): Promise<void> {
    if (this.#journal.endPosition > position || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        unlisten()
        unwatch()
        cancel()
        signal.removeEventListener('abort', done)
        resolve()
      }
      const unlisten = this.#journal.onAppend(done)
      const unwatch = holder === undefined ? () => {} : subscriptionsOf(this.#journal, this.#clock).watch(holder.name, done)
      const cancel = withinMs === undefined ? () => {} : this.#clock.after(withinMs, done)
      signal.addEventListener('abort', done)
    })
  }
}

interface Waiting {
  readonly holder?: SubscriptionHolder
  readonly withinMs?: number
}
