import { realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { assert } from '#base/assert.js'
import { type Clock, systemClock } from '#base/clock.js'
import { isMillraceError, MillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import { AppendListeners } from '#journal/append-listeners.js'
import { AppendPath } from '#journal/append-path.js'
import { type BlockEntry, entryOf } from '#journal/block-entry.js'
import { isWanted } from '#journal/block-range.js'
import type {
  AppendAnswer,
  AppendBatch,
  BlockRange,
  EntityHead,
  EventType,
  EventTypeDeclaration,
  Finding,
  Journal,
  Row,
  Snapshot,
} from '#journal/journal.js'
import type { LogQuery, QueryOptions, QueryRun } from '#journal/log-query.js'
import { LogState } from '#journal/log-state.js'
import type { RetainedSegment } from '#journal/retention-plan.js'
import { runQuery } from '#journal/query/index.js'
import { type RowRange, readRows } from '#journal/read-rows.js'
import { RECENT_APPENDS_DEFAULT } from '#journal/recent-appends.js'
import { Catalog } from './catalog.js'
import { activeSegment, createFormat, freeBytesOf, type LogFormat, logPaths, noJournal, readFormat } from './directory.js'
import { DATA_FILE, fileBytes, openEnvironment } from './environment.js'
import { HeadsCheckpoint, loadHeads } from './heads-checkpoint.js'
import { Segment } from './segment.js'

export interface LmdbJournalOptions {
  /** Made when it is not there, unless read-only. Held by one process at a time: whoever opens it for writing has seen to that. */
  readonly directory: string
  /** For tools, while no journal has the directory open. Creates nothing; heads are read when they are first asked for. */
  readonly isReadOnly?: boolean
  /** Of a new log. */
  readonly shardCount?: number
  /** Stamps a new log. */
  readonly clock?: Clock
  /** A batch is refused with ERR_JOURNAL_FULL when it would leave less than this free on the disk. */
  readonly reserveBytes?: number
  /** How the free bytes of the disk are found out. */
  readonly freeBytes?: (directory: string) => number
  /** How far the segment file can grow. Address space only. */
  readonly segmentBytesMax?: number
  /** How many of the newest appends are recognised when they come again. */
  readonly recentAppends?: number
  /** Heads are saved after so many rows, so at most so many and twice as many are read at opening. */
  readonly headsEveryRows?: number
}

const RESERVE_BYTES_DEFAULT = 64 * 2 ** 20
const SEGMENT_BYTES_MAX_DEFAULT = 256 * 2 ** 30
const CATALOG_BYTES_MAX = 64 * 2 ** 30
const HEADS_EVERY_ROWS_DEFAULT = 524_288

/** Directories open in this process: LMDB loses its file locks when an environment is opened twice. */
const openDirectories = new Set<string>()

/**
 * Opens the log in a directory. Throws ERR_NO_JOURNAL (read-only, nothing there), ERR_JOURNAL_OPEN (open in this process already),
 * ERR_LOG_FORMAT, ERR_FORMAT_NEWER, ERR_SEGMENT_UNREADABLE, ERR_CATALOG_DAMAGED, ERR_BLOCK_DAMAGED where what it must read is damaged.
 */
export async function openLmdbJournal(options: LmdbJournalOptions): Promise<Journal> {
  const { isReadOnly = false } = options
  const directory = resolve(options.directory)
  const found = readFormat(directory)
  if (found === undefined && isReadOnly) throw noJournal(directory)
  const format =
    found ??
    createFormat(directory, {
      nowMicros: (options.clock ?? systemClock).nowMicros(),
      ...(options.shardCount === undefined ? {} : { shardCount: options.shardCount }),
    })
  const held = realpathSync(directory)
  if (openDirectories.has(held)) {
    throw new MillraceError('ERR_JOURNAL_OPEN', {
      fact: 'the log is open in this process already',
      action: 'operator',
      values: { directory },
      next: 'close it first',
    })
  }
  openDirectories.add(held)
  const opened: { close(): Promise<void> }[] = []
  const release = async () => {
    for (const one of opened.reverse()) await one.close()
    openDirectories.delete(held)
  }
  try {
    const paths = logPaths(directory)
    const catalogDatabase = await openEnvironment(paths.catalog, { isReadOnly, mapBytes: CATALOG_BYTES_MAX })
    opened.push(catalogDatabase)
    const name = activeSegment(directory)
    const segmentBytesMax = options.segmentBytesMax ?? SEGMENT_BYTES_MAX_DEFAULT
    const segmentDatabase = await openEnvironment(join(paths.log, name), { isReadOnly, mapBytes: segmentBytesMax })
    opened.push(segmentDatabase)
    const catalog = new Catalog(catalogDatabase, join(paths.catalog, DATA_FILE))
    const segment = new Segment(name, segmentDatabase, join(paths.log, name, DATA_FILE))
    const journal = new LmdbJournal({ ...options, directory, isReadOnly, segmentBytesMax, format, catalog, segment, release })
    if (!isReadOnly) journal.learn()
    return journal
  } catch (error) {
    await release()
    throw error
  }
}

interface Parts extends LmdbJournalOptions {
  readonly isReadOnly: boolean
  readonly segmentBytesMax: number
  readonly format: LogFormat
  readonly catalog: Catalog
  readonly segment: Segment
  readonly release: () => Promise<void>
}

class LmdbJournal implements Journal {
  readonly #parts: Parts
  readonly #state: LogState
  readonly #path: AppendPath
  readonly #listeners = new AppendListeners()
  #heads: HeadsCheckpoint | undefined
  #isLearnt = false
  #isSavingHeads = false
  #savingHeads: Promise<void> = Promise.resolve()
  #isClosed = false
  /** Why the catalog cannot be used; a read-only journal opens all the same, so that it can be verified. */
  #catalogDamage: MillraceError | undefined
  /** Of a read-only journal: found by the newest block without reading more. */
  #readOnlyEnd = 0

  constructor(parts: Parts) {
    this.#parts = parts
    const { format, catalog, segment, isReadOnly } = parts
    let types: readonly EventType[] = []
    try {
      types = catalog.eventTypes()
    } catch (error) {
      if (!isReadOnly || !isMillraceError(error)) throw error
      this.#catalogDamage = error
    }
    this.#state = new LogState(format.shardCount, isReadOnly ? 1 : (parts.recentAppends ?? RECENT_APPENDS_DEFAULT), types)
    this.#path = new AppendPath(this.#state, {
      checkRoom: (bytes) => this.#checkRoom(bytes),
      put: (base, block, whileBusy) => segment.put(base, block, whileBusy),
    })
    if (isReadOnly) this.#readOnlyEnd = this.#findEnd()
  }

  get shardCount(): number {
    return this.#parts.format.shardCount
  }

  get endPosition(): number {
    return this.#parts.isReadOnly ? this.#readOnlyEnd : this.#state.endPosition
  }

  get eventTypes(): readonly EventType[] {
    if (this.#catalogDamage !== undefined) throw this.#catalogDamage
    return this.#state.eventTypes
  }

  async register(declarations: readonly EventTypeDeclaration[]): Promise<readonly EventType[]> {
    this.#assertWritable()
    const { types, added } = this.#state.types.plan(declarations)
    if (added.length === 0) return types
    await this.#parts.catalog.saveEventTypes(added)
    for (const type of added) this.#state.types.set(type)
    return types
  }

  async append(batch: AppendBatch): Promise<AppendAnswer> {
    this.#assertWritable()
    const answer = await this.#path.append(batch)
    if (answer.rowCount > 0) {
      this.#saveHeads()
      this.#listeners.tell()
    }
    return answer
  }

  onAppend(callback: () => void): () => void {
    return this.#listeners.add(callback)
  }

  /** Beside the appends, not between them. */
  #saveHeads(): void {
    if (this.#isSavingHeads || this.#heads === undefined) return
    this.#isSavingHeads = true
    this.#savingHeads = this.#heads.step().then(
      () => {
        this.#isSavingHeads = false
      },
      (error: unknown) => this.#path.fail(error),
    )
  }

  head(entity: EntityId): EntityHead | undefined {
    this.learn()
    const index = this.#state.entities.findId(entity)
    return index < 0 ? undefined : this.#state.entities.head(index)
  }

  heads(shard: number): Iterable<EntityHead> {
    this.learn()
    return this.#state.entities.heads(shard)
  }

  entityName(shard: number, number: number): EntityId | undefined {
    this.learn()
    return this.#state.entityName(shard, number)
  }

  mark(slot: number): { readonly term: number; readonly number: number } | undefined {
    this.learn()
    return this.#state.storedMark(slot)
  }

  directory(): readonly BlockEntry[] {
    const { segment } = this.#parts
    return [...segment.blocks(0, this.endPosition)].map(({ header }) => entryOf(segment.name, header))
  }

  async readBlock(entry: BlockEntry): Promise<Uint8Array | undefined> {
    const { segment } = this.#parts
    return entry.segment === segment.name ? segment.block(entry.id).check().bytes : undefined
  }

  async *blocks(range: BlockRange): AsyncGenerator<Uint8Array> {
    const { segment } = this.#parts
    if (range.entity !== undefined) this.learn()
    for (const reader of segment.blocks(Math.max(0, range.from), this.endPosition)) {
      if (isWanted(reader.header, range, this.#state)) yield reader.check().bytes
    }
  }

  read(range: RowRange): AsyncIterable<Row> {
    return readRows(this, range)
  }

  query(query: LogQuery, options?: QueryOptions): QueryRun {
    return runQuery(this, query, options)
  }

  async saveSnapshots(snapshots: readonly Snapshot[]): Promise<void> {
    this.#assertWritable()
    await this.#parts.catalog.saveSnapshots(this.#placed(snapshots))
  }

  async saveBases(bases: readonly Snapshot[]): Promise<void> {
    this.#assertWritable()
    await this.#parts.catalog.saveBases(this.#placed(bases))
  }

  base(entity: EntityId): Snapshot | undefined {
    const head = this.head(entity)
    return head === undefined ? undefined : this.#parts.catalog.base(head.shard, entity)
  }

  #placed(snapshots: readonly Snapshot[]): { readonly shard: number; readonly snapshot: Snapshot }[] {
    const { entities } = this.#state
    return snapshots.map((snapshot) => {
      const index = entities.findId(snapshot.entity)
      assert(index >= 0, 'a snapshot is of an entity that has rows')
      return { shard: entities.shardOf(index), snapshot }
    })
  }

  sealedSegments(): readonly RetainedSegment[] {
    return []
  }

  async *lastVersions(segment: string): AsyncGenerator<never> {
    assert(false, `there is no sealed segment ${segment}`)
  }

  async dropOldest(segment: string): Promise<void> {
    assert(false, `there is no sealed segment ${segment}`)
  }

  *snapshots(shard: number): Generator<Snapshot> {
    this.learn()
    for (const entity of this.#parts.catalog.snapshotEntities(shard)) {
      const snapshot = this.snapshot(entity)
      if (snapshot !== undefined) yield snapshot
    }
  }

  snapshot(entity: EntityId, versionMax = Infinity): Snapshot | undefined {
    const head = this.head(entity)
    return head === undefined ? undefined : this.#parts.catalog.snapshot(head.shard, entity, Math.min(versionMax, head.version))
  }

  async saveCheckpoint(name: string, value: Uint8Array): Promise<void> {
    this.#assertWritable()
    await this.#parts.catalog.saveCheckpoint(name, value)
  }

  checkpoint(name: string): Uint8Array | undefined {
    return this.#parts.catalog.checkpoint(name)
  }

  checkpointNames(prefix: string): readonly string[] {
    return this.#parts.catalog.checkpointNames(prefix)
  }

  async removeCheckpoint(name: string): Promise<void> {
    this.#assertWritable()
    await this.#parts.catalog.removeCheckpoint(name)
  }

  async *verify(progress?: (done: number, total: number) => void): AsyncGenerator<Finding> {
    const { catalog, segment, directory, format } = this.#parts
    const file = join(logPaths(directory).log, segment.name, DATA_FILE)
    const saved = new LogState(format.shardCount, 1)
    loadHeads(catalog, saved)
    const heads = Array.from({ length: format.shardCount }, (_, shard) => [...saved.entities.heads(shard)]).flat()
    yield* catalog.findings()
    // Whoever opens a log to read a row of it does not pay for what checks all of it.
    const { verifyLog } = await import('./verify.js')
    yield* verifyLog({ segment, file, heads, types: this.#state.eventTypes, ...(progress === undefined ? {} : { progress }) })
  }

  storedBytes(): number {
    const { log, catalog } = logPaths(this.#parts.directory)
    return fileBytes(join(log, this.#parts.segment.name, DATA_FILE)) + fileBytes(join(catalog, DATA_FILE))
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    await this.#path.idle()
    await this.#savingHeads
    try {
      if (!this.#path.hasFailed) await this.#heads?.finish()
    } finally {
      await this.#parts.release()
    }
  }

  /** Rebuilds heads, marks and recent appends from what was saved and from the blocks behind it. Once. */
  learn(): void {
    if (this.#isLearnt) return
    if (this.#catalogDamage !== undefined) throw this.#catalogDamage
    const { catalog, segment, isReadOnly } = this.#parts
    const state = this.#state
    const saved = loadHeads(catalog, state)
    const last = segment.last()
    const end = last < 0 ? 0 : this.#endOf(last)
    if (saved > end) throw endsEarly(segment.name, end, saved)
    const wanted = isReadOnly ? saved : Math.min(saved, Math.max(0, end - state.recent.capacity))
    // One block more, so that the first one behind what was saved is checked against the block that it continues.
    const first = segment.atOrBefore(Math.max(0, wanted - 1))
    if (last >= 0 && first < 0) throw endsEarly(segment.name, 0, last)
    let isFirst = first !== 0
    for (const reader of segment.blocks(Math.max(0, first), end)) {
      state.learn(reader, { isFirst, keepsRecent: !isReadOnly })
      isFirst = false
    }
    assert(state.endPosition === end, 'a log that was learnt ends where its last block ends')
    this.#isLearnt = true
    if (!isReadOnly) this.#heads = new HeadsCheckpoint(catalog, state, this.#parts.headsEveryRows ?? HEADS_EVERY_ROWS_DEFAULT, saved)
  }

  #endOf(last: number): number {
    return last + this.#parts.segment.block(last).header.rowCount
  }

  /** Rows of a newest block that is damaged are not counted: they cannot be served, and verify names them. */
  #findEnd(): number {
    const last = this.#parts.segment.last()
    if (last < 0) return 0
    try {
      return this.#endOf(last)
    } catch (error) {
      if (isMillraceError(error, 'ERR_BLOCK_DAMAGED')) return last + 1
      throw error
    }
  }

  #checkRoom(bytes: number): void {
    const { directory, segment, segmentBytesMax, freeBytes = freeBytesOf, reserveBytes = RESERVE_BYTES_DEFAULT } = this.#parts
    const needed = bytes * 2
    const free = freeBytes(directory)
    if (free < needed + reserveBytes) {
      throw new MillraceError('ERR_JOURNAL_FULL', {
        fact: 'the disk has no room for another batch',
        action: 'retry',
        values: { directory, freeBytes: free, neededBytes: needed, reserveBytes },
        next: 'free some space; nothing is lost, and appending goes on by itself',
      })
    }
    const stored = fileBytes(join(logPaths(directory).log, segment.name, DATA_FILE))
    if (stored + needed > segmentBytesMax) {
      throw new MillraceError('ERR_JOURNAL_FULL', {
        fact: 'the segment has reached its limit',
        action: 'operator',
        values: { segment: segment.name, storedBytes: stored, segmentBytesMax },
        next: 'raise the limit and start the plant again',
      })
    }
  }

  #assertWritable(): void {
    assert(!this.#parts.isReadOnly, 'a read-only journal is not written to')
    assert(!this.#isClosed, 'a closed journal is not written to')
  }
}

function endsEarly(segment: string, end: number, known: number): MillraceError {
  return new MillraceError('ERR_LOG_INCOMPLETE', {
    fact: 'blocks that were durable are gone from the log',
    action: 'operator',
    values: { segment, endsAt: end, shouldReach: known },
    next: 'run millrace log verify on the data directory, and restore it from a backup',
  })
}
