import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isMillraceError, MillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import type { EventType, LogQuery, Row, Snapshot } from '#journal/index.js'
import { callControl, ControlClient, streamControl } from '#processes/control-client.js'
import { startToolProcess, type ToolProcess } from '#processes/tool-process.js'
import type { EntityRows } from '#reading/entity-state.js'
import { type RowQuery, rowOf, wholeRows } from '#reading/row-query.js'
import type { SubscriptionState } from '#reading/subscription-registry.js'
import { dataPaths } from './data-directory.js'
import { unpackExact } from './exact-pack.js'
import type { JournalSummary } from './journal-service.js'
import type { QueryItem } from './query-service.js'
import { programEntry } from './package-root.js'
import type { SegmentReport } from './segment-service.js'
import type { VerifyItem } from './verify-service.js'

/** How long a tool waits for the journal of a running plant, which may just be replaced. */
const JOURNAL_BACK_WITHIN_MS = 10_000
const LOOK_EVERY_MS = 50

/**
 * A data directory's log for tools: through the journal of the plant that runs there, or else through a journal process of its own that opens
 * the log for reading only and ends with the tool. The log's files are never opened here.
 */
export class JournalAccess implements EntityRows {
  readonly #socket: string
  readonly #reader: ToolProcess | undefined

  private constructor(socket: string, reader: ToolProcess | undefined) {
    this.#socket = socket
    this.#reader = reader
  }

  /** Throws ERR_NO_JOURNAL when there is no log, and why it cannot be opened, unless it is only to be verified. */
  static async open(dataDirectory: string, { isForVerify = false } = {}): Promise<JournalAccess> {
    const paths = dataPaths(dataDirectory)
    requireLog(dataDirectory)
    const deadline = Date.now() + JOURNAL_BACK_WITHIN_MS
    while (await isPlantRunning(dataDirectory)) {
      if (await answers(paths.journalSocket)) return new JournalAccess(paths.journalSocket, undefined)
      if (isForVerify) break
      if (Date.now() > deadline) throw journalAway(dataDirectory)
      await delay(LOOK_EVERY_MS)
    }
    // An inline plant has no sockets, so that its data directory has no place for them.
    mkdirSync(paths.run, { recursive: true, mode: 0o700 })
    const socket = join(paths.run, `reader-${process.pid}.sock`)
    const reader = await startToolProcess({ entry: programEntry('journal', 'reader'), args: [dataDirectory, socket] })
    if (!isForVerify) {
      await callControl(socket, 'opened').catch(async (error: unknown) => {
        await reader.close()
        throw error
      })
    }
    return new JournalAccess(socket, reader)
  }

  /** Where the journal answers. */
  get socket(): string {
    return this.#socket
  }

  get isReadOnly(): boolean {
    return this.#reader !== undefined
  }

  /** Whether the journal answers right now. */
  isThere(): Promise<boolean> {
    return answers(this.#socket)
  }

  async summary(): Promise<JournalSummary> {
    return (await callControl(this.#socket, 'summary')) as JournalSummary
  }

  /** Where the log ends; `summary` looks at every entity. */
  async endPosition(): Promise<number> {
    return (await callControl(this.#socket, 'locate', { start: 'end' })) as number
  }

  /** Of the oldest row that is there. */
  async firstPosition(): Promise<number> {
    return (await callControl(this.#socket, 'locate', { start: 'beginning' })) as number
  }

  /** Runs a query and gives what it answers, item by item. Leaving the loop ends the query. */
  async *ask(query: LogQuery): AsyncGenerator<QueryItem<readonly (readonly unknown[])[]>> {
    for await (const item of streamControl(this.#socket, 'query', query)) {
      const one = item as QueryItem
      yield one.kind === 'rows' ? { kind: 'rows', rows: unpackExact(one.rows) } : one
    }
  }

  /** The whole rows that match, in global order. */
  async *query(query: RowQuery): AsyncGenerator<Row> {
    for await (const item of this.ask(wholeRows(query))) if (item.kind === 'rows') yield* item.rows.map(rowOf)
  }

  rows(entity: EntityId, from: number): AsyncIterable<Row> {
    return this.query({ entity, from, receipts: true })
  }

  async snapshot(entity: EntityId, versionMax: number): Promise<Snapshot | undefined> {
    return unpackExact((await callControl(this.#socket, 'snapshot', { entity, versionMax })) as string)
  }

  async base(entity: EntityId): Promise<Snapshot | undefined> {
    return unpackExact((await callControl(this.#socket, 'base', { entity })) as string)
  }

  async eventTypes(): Promise<readonly EventType[]> {
    return unpackExact((await callControl(this.#socket, 'eventTypes')) as string)
  }

  async entities(prefix: string, limit: number): Promise<readonly string[]> {
    return (await callControl(this.#socket, 'entities', { prefix, limit })) as string[]
  }

  async subscriptions(): Promise<readonly SubscriptionState[]> {
    return (await callControl(this.#socket, 'subscriptions')) as SubscriptionState[]
  }

  async segments(): Promise<SegmentReport> {
    return (await callControl(this.#socket, 'segments')) as SegmentReport
  }

  async *verify(): AsyncGenerator<VerifyItem> {
    for await (const item of streamControl(this.#socket, 'verify')) yield item as VerifyItem
  }

  async close(): Promise<void> {
    await this.#reader?.close()
  }

  /** As `close`, for a tool that ends now: a reader of its own ends within moments, and nobody waits for it. */
  leave(): void {
    this.#reader?.leave()
  }
}

/** Throws ERR_NO_JOURNAL when there is no log in a data directory. */
export function requireLog(dataDirectory: string): void {
  if (existsSync(dataPaths(dataDirectory).journal)) return
  throw new MillraceError('ERR_NO_JOURNAL', {
    fact: 'there is no log in this data directory',
    action: 'operator',
    values: { data: dataDirectory },
    next: 'name the directory that `millrace up` or `millrace ingest` was given as --data',
  })
}

/** Whether a supervisor answers for the data directory. */
export function isPlantRunning(dataDirectory: string): Promise<boolean> {
  return answers(dataPaths(dataDirectory).supervisorSocket)
}

async function answers(socket: string): Promise<boolean> {
  if (!existsSync(socket)) return false
  try {
    ;(await ControlClient.open(socket)).close()
    return true
  } catch (error) {
    if (isMillraceError(error, 'ERR_SOCKET_ABSENT')) return false
    throw error
  }
}

function journalAway(data: string): MillraceError {
  return new MillraceError('ERR_JOURNAL_AWAY', {
    fact: 'the plant runs, but its journal does not answer',
    action: 'retry',
    values: { data },
    next: 'look at `millrace status` and at the log folder of the data directory',
  })
}
