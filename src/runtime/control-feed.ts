import { type FSWatcher, mkdirSync, watch } from 'node:fs'
import { isMillraceError } from '#base/errors.js'
import { callControl, streamControl } from '#processes/control-client.js'
import type { FeedRequest, LogFeed } from '#reading/log-feed.js'
import type { RowBatch } from '#reading/row-cursor.js'
import type { NamedStart, SubscriptionHolder } from '#reading/subscription-registry.js'
import type { StartPosition } from '#reading/subscription-start.js'
import { dataPaths } from './data-directory.js'
import { isPlantRunning, JournalAccess } from './journal-access.js'
import { unpackBatch } from './row-pack.js'

export interface ControlFeedOptions {
  readonly dataDirectory: string
  /**
   * Where no plant runs, the log is read through a process that opens it for reading only: to its end, and then the feed waits for a plant. Checkpoints cannot
   * be saved that way, so a named subscription waits for the plant from the beginning.
   */
  readonly mayReadAlone: boolean
}

/** The other side makes the next batch while this one is worked on. */
const BATCHES_AHEAD_MAX = 1
/** The socket of a new journal is noticed when it is made; where that cannot be watched, or was missed, so late. */
const LOOK_AGAIN_MS = 250

/**
 * The journal of a data directory, for subscribers in other processes. When the journal dies, what is under way goes on with its successor from the first
 * position that did not arrive: no gap, nothing twice. Waits as long as it takes, until it is closed.
 */
export class ControlFeed implements LogFeed {
  reconnects = 0
  readonly #options: ControlFeedOptions
  readonly #closed = new AbortController()
  #reader: JournalAccess | undefined
  /** The log was read to its end since a plant was last seen. */
  #hasReadAlone = false

  constructor(options: ControlFeedOptions) {
    this.#options = options
  }

  async *batches(request: FeedRequest, signal: AbortSignal): AsyncGenerator<RowBatch> {
    const ends = AbortSignal.any([signal, this.#closed.signal])
    let { from } = request
    while (!ends.aborted) {
      let isLost = false
      try {
        const isAlone = this.#reader !== undefined
        const args = { ...request, from, isLive: request.isLive && !isAlone }
        for await (const item of streamControl(this.#socket, 'follow', args, { aheadMax: BATCHES_AHEAD_MAX, signal: ends })) {
          if (!isAlone) this.#hasReadAlone = false
          const batch = unpackBatch(item as string)
          from = batch.next
          yield batch
        }
        if (!request.isLive || ends.aborted) return
        this.#hasReadAlone = isAlone
      } catch (error) {
        if (ends.aborted) return
        if (!isAway(error)) throw error
        isLost = !isMillraceError(error, 'ERR_SOCKET_ABSENT')
      }
      if (isLost) this.reconnects++
      await this.#reachAgain(ends)
    }
  }

  async locate(start: StartPosition): Promise<number> {
    return (await this.#call('locate', { start })) as number
  }

  async open(name: string, start: NamedStart): Promise<{ readonly position: number; readonly term: number }> {
    return (await this.#call('openSubscription', { name, start })) as { position: number; term: number }
  }

  async save(holder: SubscriptionHolder, position: number): Promise<void> {
    await this.#call('saveSubscription', { holder, position })
  }

  async close(): Promise<void> {
    this.#closed.abort()
    await this.#leaveReader()
  }

  get #socket(): string {
    return this.#reader?.socket ?? dataPaths(this.#options.dataDirectory).journalSocket
  }

  /** Asked again until there is an answer: all that is asked here may be asked twice. Throws what the journal answers. */
  async #call(name: string, args: unknown): Promise<unknown> {
    const { signal } = this.#closed
    for (;;) {
      try {
        return await callControl(this.#socket, name, args)
      } catch (error) {
        if (!isAway(error) || signal.aborted) throw error
      }
      await this.#reachAgain(signal)
    }
  }

  /** After a failure: a reader of its own where that is allowed and nobody runs a plant, or else the next journal. */
  async #reachAgain(signal: AbortSignal): Promise<void> {
    const { dataDirectory, mayReadAlone } = this.#options
    await this.#leaveReader()
    if (signal.aborted) return
    if (mayReadAlone && !this.#hasReadAlone && !(await isPlantRunning(dataDirectory))) {
      const access = await JournalAccess.open(dataDirectory)
      if (access.isReadOnly) this.#reader = access
      return
    }
    await changed(dataPaths(dataDirectory).run, signal)
  }

  async #leaveReader(): Promise<void> {
    const reader = this.#reader
    this.#reader = undefined
    await reader?.close()
  }
}

/** The journal is not there now, and may be again. */
function isAway(error: unknown): boolean {
  return ['ERR_SOCKET_ABSENT', 'ERR_CONTROL_LOST', 'ERR_CONTROL_TIMEOUT'].some((code) =>
    isMillraceError(error, code as `ERR_${Uppercase<string>}`),
  )
}

/** Resolves when something comes or goes in the directory, after a while in any case, and when the signal aborts. */
function changed(directory: string, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let watcher: FSWatcher | undefined
    const done = () => {
      clearTimeout(timer)
      watcher?.close()
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, LOOK_AGAIN_MS)
    signal.addEventListener('abort', done)
    try {
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      watcher = watch(directory, done).on('error', done)
    } catch {
      // A machine may be out of watches: then the timer looks.
    }
  })
}
