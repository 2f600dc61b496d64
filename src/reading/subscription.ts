import { type Clock, systemClock } from '#base/clock.js'
import { assert } from '#base/assert.js'
import type { Journal, Row } from '#journal/index.js'
import { CheckpointSaver } from './checkpoint-saver.js'
import type { LogFeed } from './log-feed.js'
import type { RowBatch } from './row-cursor.js'
import { checkSelection, type RowSelection } from './row-selection.js'
import { wrongSubscription } from './subscription-errors.js'
import type { StartPosition } from './subscription-start.js'

export interface SubscribeOptions extends RowSelection {
  /** Under this name the journal keeps the checkpoint, and keeps the rows that are still to come. Without it nothing is remembered. */
  readonly name?: string
  /**
   * `checkpoint` (the default of one with a name) goes on where it was. `beginning` (the default of one without) is the first row that is there,
   * `end` behind the newest; these and a position start over, whatever the checkpoint was.
   */
  readonly from?: StartPosition | 'checkpoint'
  /** Where one with a name begins the very first time. Default: `beginning`. */
  readonly initial?: StartPosition
  /** Wait for rows to come (the default), or end where the log ends now. */
  readonly isLive?: boolean
  /** The checkpoint is saved after so many positions and so many milliseconds at the latest, and at the end. Default: 1000 of each. */
  readonly checkpointEveryRows?: number
  readonly checkpointEveryMs?: number
  /** Ends it as `close` does. */
  readonly signal?: AbortSignal
  readonly clock?: Clock
}

export interface SubscriptionStats {
  /** Rows handed out since it was opened. */
  readonly delivered: number
  /** Everything below is settled, and of that, everything below `saved` would not come again. */
  readonly position: number
  readonly saved: number
  /** How many positions of the log are not settled yet, as of the newest batch. */
  readonly lag: number
  readonly reconnects: number
}

const CHECKPOINT_EVERY_ROWS = 1000
const CHECKPOINT_EVERY_MS = 1000
const LAST_SAVE_WITHIN_MS = 2000

/**
 * Rows of a journal of this process, in global order and at least once: `for await (const row of subscribe(journal, { name: 'to-mes' }))`. A row is settled when the
 * loop comes back for the next one, so one that was being worked on when the process died comes again.
 */
export function subscribe(journal: Journal, options: SubscribeOptions = {}): Subscription {
  // Every process of a plant imports the package with its plant module, and few read the log.
  return new Subscription(async () => new (await import('./log-feed.js')).JournalFeed(journal, options.clock ?? systemClock), options)
}

/**
 * A reader's way through the log: pulled, so that one that is slow or asleep costs the journal nothing. Read it in one of these ways:
 *   - `for await (const row of subscription)`;
 *   - `await subscription.forEach(async (row) => …)`, which resolves when it ends and rejects with what the handler threw;
 *   - `next()` for batches with `settle()` for those that finish in an order of their own.
 */
export class Subscription implements AsyncIterable<Row> {
  readonly name: string | undefined
  /** Resolves once it has its place in the log and, with a name, in the list of subscriptions. Rejects with what keeps it from that. */
  readonly opened: Promise<void>
  readonly #openFeed: () => Promise<LogFeed>
  #feed: LogFeed | undefined
  readonly #options: SubscribeOptions
  readonly #abort = new AbortController()
  readonly #unlink: () => void
  #batches: AsyncIterator<RowBatch> | undefined
  #saver: CheckpointSaver | undefined
  #failure: { readonly error: unknown } | undefined
  #delivered = 0
  #end = 0
  #closed: Promise<void> | undefined

  constructor(feed: LogFeed | (() => Promise<LogFeed>), options: SubscribeOptions) {
    this.name = options.name
    this.#openFeed = typeof feed === 'function' ? feed : () => Promise.resolve(feed)
    this.#options = options
    const close = () => void this.close()
    options.signal?.addEventListener('abort', close)
    this.#unlink = () => options.signal?.removeEventListener('abort', close)
    this.opened = this.#open()
    // It is told again by whoever reads.
    this.opened.catch(() => undefined)
    if (options.signal?.aborted === true) close()
  }

  get stats(): SubscriptionStats {
    const position = this.#saver?.settled ?? 0
    return {
      delivered: this.#delivered,
      position,
      saved: this.#saver?.saved ?? 0,
      lag: Math.max(0, this.#end - position),
      reconnects: this.#feed?.reconnects ?? 0,
    }
  }

  /** The next rows, at most some hundred; one without rows tells how far was looked. Undefined when it has ended. One call at a time. */
  async next(): Promise<RowBatch | undefined> {
    if (!(await this.#isOpened())) return undefined
    const { done = false, value: batch } = (await this.#batches?.next()) ?? { done: true }
    // What kept the checkpoint from being saved has ended the batches.
    if (this.#failure !== undefined) throw this.#failure.error
    if (done) return undefined
    this.#delivered += batch.rows.length
    this.#end = batch.end
    return batch
  }

  /** Everything below the position is done with and need not come again: `row.position + 1` behind a row, `batch.next` behind a batch. */
  settle(position: number): void {
    assert(this.#saver !== undefined, 'a subscription is settled after it was read from')
    this.#saver.settle(position)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Row, void> {
    try {
      for (let batch = await this.next(); batch !== undefined; batch = await this.next()) {
        for (const row of batch.rows) {
          yield row
          this.settle(row.position + 1)
        }
        this.settle(batch.next)
      }
    } finally {
      await this.close()
    }
  }

  /** Hands each row to `handle` and waits for what it returns before the next. Resolves when the subscription has ended. */
  async forEach(handle: (row: Row) => unknown): Promise<void> {
    for await (const row of this) await handle(row)
  }

  /** Reads no further, saves the checkpoint and lets go of the journal. Whoever waits for rows gets none. Throws nothing. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #open(): Promise<void> {
    const { name, from = name === undefined ? 'beginning' : 'checkpoint', initial = 'beginning', isLive = true, clock } = this.#options
    const { entity, event, receipts } = this.#options
    if (name === undefined && from === 'checkpoint')
      throw wrongSubscription('only a subscription with a name has a checkpoint', { from }, 'give it a name')
    checkSelection(this.#options)
    const feed = await this.#openFeed()
    this.#feed = feed
    if (this.#abort.signal.aborted) return
    const start =
      name === undefined ? { position: await feed.locate(from as StartPosition), term: 0 } : await feed.open(name, { from, initial })
    const holder = name === undefined ? undefined : { name, term: start.term }
    this.#saver = new CheckpointSaver({
      position: start.position,
      save: async (position) => {
        if (holder !== undefined) await feed.save(holder, position)
      },
      everyRows: this.#options.checkpointEveryRows ?? CHECKPOINT_EVERY_ROWS,
      everyMs: this.#options.checkpointEveryMs ?? CHECKPOINT_EVERY_MS,
      clock: clock ?? systemClock,
      onFailure: (error) => this.#fail(error),
    })
    if (this.#abort.signal.aborted) return
    const selection = { ...(entity && { entity }), ...(event && { event }), ...(receipts === true && { receipts }) }
    const request = { from: start.position, selection, isLive, ...(holder && { holder }) }
    this.#batches = feed.batches(request, this.#abort.signal)[Symbol.asyncIterator]()
  }

  /** False when it was closed before it had its place. */
  async #isOpened(): Promise<boolean> {
    try {
      await this.opened
      return true
    } catch (error) {
      if (this.#abort.signal.aborted) return false
      throw error
    }
  }

  #fail(error: unknown): void {
    if (this.#abort.signal.aborted) return
    this.#failure ??= { error }
    this.#abort.abort()
  }

  async #close(): Promise<void> {
    this.#unlink()
    this.#abort.abort()
    // Whoever still waits for a journal waits no longer.
    if (this.#saver === undefined) await this.#feed?.close()
    await this.opened.catch(() => undefined)
    const clock = this.#options.clock ?? systemClock
    await new Promise<void>((resolve) => {
      const cancel = clock.after(LAST_SAVE_WITHIN_MS, resolve)
      void (this.#saver?.flush() ?? Promise.resolve()).then(() => {
        cancel()
        resolve()
      })
    })
    await this.#feed?.close()
  }
}
