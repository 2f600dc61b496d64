import { isMillraceError, messageOf } from '#base/errors.js'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import type { Finding, Journal } from '#journal/journal.js'
import { openLmdbJournal, verifyFiles } from '#journal/lmdb/index.js'
import { JournalWork, rowText, snapshotBytes, WORK_TYPES } from './journal-work.js'
import { serveOrders } from './measuring-process.js'

export interface JudgeSetup {
  readonly seed: number
  readonly steps: number
  /** Expects another first row than the work stores: a journal that stores a wrong one. */
  readonly isOneRowChanged?: boolean
}

export interface JudgeOrder {
  readonly directory: string
  /** Opens for writing and appends some rows before it reads. Once. */
  readonly isWriting: boolean
  /** Rows that were acknowledged. */
  readonly endPosition: number
  /** Rows before it were dropped for good. */
  readonly firstPosition: number
  /** Where else the log may begin, since what was dropped later may have been on its way; undefined: anywhere. */
  readonly laterFirstPositions: readonly number[] | undefined
  /** Names and hexadecimal values of checkpoints that were acknowledged, oldest first. */
  readonly checkpoints: readonly (readonly [string, string])[]
}

/** What opening, reading and verifying a log came to. */
export interface Judgement {
  /** Code and message of what kept the log from being opened or read. Undefined: all of it was read. */
  readonly failed: { readonly code: string; readonly message: string } | undefined
  /** Rows that were read before anything failed, and the position of the first. */
  readonly rows: number
  readonly firstPosition: number
  /** What is not as it was written, in words. */
  readonly wrong: readonly string[]
  /** Acknowledged rows and checkpoints that are absent although nothing failed. */
  readonly missing: readonly string[]
  /** What verify says is damaged; undefined when it was not reached. */
  readonly damaged: readonly Finding[] | undefined
}

const APPENDED_ROWS = 12
const WRONG_SHOWN = 3
/** Small, since a log is opened for each order. */
const RECENT_APPENDS = 256

interface Found {
  rows: number
  firstPosition: number
  readonly wrong: string[]
  readonly missing: string[]
}

/** Knows what the seeded work stores, by doing it in memory, and holds logs against that. */
class Judge {
  readonly #expected: Promise<{ readonly rows: readonly string[]; readonly checkpoints: ReadonlyMap<string, readonly string[]> }>
  readonly #setup: JudgeSetup

  constructor(setup: JudgeSetup) {
    this.#setup = setup
    this.#expected = this.#doInMemory()
  }

  async judge(order: JudgeOrder): Promise<Judgement> {
    const found = { rows: 0, firstPosition: 0, wrong: [] as string[], missing: [] as string[] }
    let failed: Judgement['failed']
    let damaged: readonly Finding[] | undefined
    let journal: Journal | undefined
    try {
      journal = await openLmdbJournal({
        directory: order.directory,
        isReadOnly: !order.isWriting,
        reserveBytes: 0,
        recentAppends: RECENT_APPENDS,
      })
      const appended = order.isWriting ? await this.#append(journal) : 0
      await this.#compare(journal, order, appended, found)
    } catch (error) {
      if (order.endPosition === 0 && isNotMadeYet(error)) return { failed: undefined, damaged: [], ...found }
      failed = { code: isMillraceError(error) ? error.code : 'none', message: messageOf(error) }
      if (!isMillraceError(error)) found.wrong.push(`not an error of ours: ${error instanceof Error ? error.stack : messageOf(error)}`)
    }
    try {
      const findings: Finding[] = []
      for await (const finding of journal?.verify() ?? verifyFiles(order.directory)) findings.push(finding)
      damaged = findings.filter(({ severity }) => severity === 'damaged')
    } catch (error) {
      found.wrong.push(`verify failed: ${messageOf(error)}`)
    } finally {
      await journal?.close().catch(() => undefined)
    }
    return { failed, damaged, ...found, wrong: found.wrong.slice(0, WRONG_SHOWN) }
  }

  async #compare(journal: Journal, order: JudgeOrder, appended: number, found: Found): Promise<void> {
    const { rows, checkpoints } = await this.#expected
    let next = -1
    for await (const row of journal.read({ from: 0 })) {
      if (next < 0) next = this.#begin(row.position, order, found)
      const text = rowText(row)
      const isOfAppend = next >= journal.endPosition - appended
      if (!isOfAppend && text !== rows[next]) found.wrong.push(`at position ${next} is ${text} instead of ${rows[next] ?? 'nothing'}`)
      next++
      found.rows++
    }
    next = Math.max(next, 0)
    if (next < order.endPosition) found.missing.push(`the rows from position ${next} to ${order.endPosition - 1}`)
    if (next !== journal.endPosition) found.wrong.push(`the log says that it ends at ${journal.endPosition}, and its rows at ${next}`)
    for (const [name, value] of new Map(order.checkpoints)) {
      const own = checkpoints.get(name) ?? []
      const stored = journal.checkpoint(name)
      if (stored === undefined) found.missing.push(`checkpoint ${name}`)
      else if (own.indexOf(Buffer.from(stored).toString('hex')) < own.indexOf(value)) found.wrong.push(`checkpoint ${name} is an older one`)
    }
    for (let shard = 0; shard < journal.shardCount; shard++) {
      for (const { number, version, bytes } of journal.snapshots(shard)) {
        const entity = journal.entityName(shard, number)
        if (entity === undefined || Buffer.compare(bytes, snapshotBytes(entity, version)) !== 0)
          found.wrong.push(`the snapshot of ${entity} at ${version} is another`)
      }
    }
  }

  #begin(position: number, order: JudgeOrder, found: Found): number {
    const { firstPosition, laterFirstPositions } = order
    if (position < firstPosition) found.wrong.push(`the log begins at ${position}, though rows before ${firstPosition} were dropped`)
    if (position > firstPosition && laterFirstPositions?.includes(position) === false)
      found.missing.push(`the rows from position ${firstPosition} to ${position - 1}`)
    found.firstPosition = position
    return position
  }

  /** A log that is whole takes more. Answers how many rows. */
  async #append(journal: Journal): Promise<number> {
    const types = await journal.register([{ entity: 'press', event: 'Judged', fields: [] }, ...WORK_TYPES])
    const worked = types.filter(({ event }) => event !== 'Judged')
    const work = new JournalWork(`${this.#setup.seed}-after`, worked, { family: 'judge', term: 2 })
    const { batch } = work.append(APPENDED_ROWS)
    const { rowCount } = await journal.append(batch)
    if (rowCount !== batch.count) throw new Error(`of ${batch.count} rows appended ${rowCount} were stored`)
    return rowCount
  }

  async #doInMemory(): Promise<{ rows: string[]; checkpoints: Map<string, string[]> }> {
    const journal = createInMemoryJournal()
    const checkpoints = new Map<string, string[]>()
    const types = await journal.register(WORK_TYPES)
    for (const step of new JournalWork(this.#setup.seed, types).steps(this.#setup.steps)) {
      if (step.kind === 'append') await journal.append(step.batch)
      else if (step.kind === 'checkpoint')
        checkpoints.set(step.name, [...(checkpoints.get(step.name) ?? []), Buffer.from(step.value).toString('hex')])
    }
    const rows: string[] = []
    for await (const row of journal.read({ from: 0 })) rows.push(rowText(row))
    if (this.#setup.isOneRowChanged === true) rows[0] = `${rows[0]} changed`
    return { rows, checkpoints }
  }
}

/** The power went while the log was being made: there is none, or a part of it has no name yet. Whoever opens it for writing makes the rest. */
function isNotMadeYet(error: unknown): boolean {
  return (
    isMillraceError(error, 'ERR_NO_JOURNAL') || (isMillraceError(error, 'ERR_SEGMENT_UNREADABLE') && error.values.why === 'it is not there')
  )
}

serveOrders<JudgeSetup, JudgeOrder, Judgement>(import.meta.url, (setup) => {
  const judge = new Judge(setup)
  return (order) => judge.judge(order)
})
