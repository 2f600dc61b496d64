import { join } from 'node:path'
import { assert } from '#base/assert.js'
import { isMillraceError, type MillraceError } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import { AppendListeners } from '#journal/append-listeners.js'
import { AppendPath } from '#journal/append-path.js'
import type { BlockEntry } from '#journal/block-entry.js'
import type { FrozenLog } from '#journal/frozen-log.js'
import type {
  AppendAnswer,
  AppendBatch,
  BlockRange,
  EntityHead,
  EventType,
  EventTypeDeclaration,
  Finding,
  Journal,
  PositionRange,
  Row,
  ShardSnapshot,
  Snapshot,
} from '#journal/journal.js'
import { isLogDamage } from '#journal/log-damage.js'
import type { LogQuery, QueryOptions, QueryRun } from '#journal/log-query.js'
import { LogState } from '#journal/log-state.js'
import { MergedBlocks } from '#journal/merged-blocks.js'
import type { RetainedSegment } from '#journal/retention-plan.js'
import { runQuery } from '#journal/query/index.js'
import { type RowRange, readRows } from '#journal/read-rows.js'
import { RECENT_APPENDS_DEFAULT } from '#journal/recent-appends.js'
import { lastVersions } from '#journal/segments/last-versions.js'
import { checkAppendRoom } from './append-room.js'
import type { Catalog } from './catalog.js'
import { Freezes, freezeLog } from './freeze-log.js'
import { freeBytesOf, type LogFormat, logPaths } from './directory.js'
import { DATA_FILE, fileBytes, isOutOfRoom } from './environment.js'
import type { LmdbJournalOptions } from './journal-options.js'
import { HeadsCheckpoint, loadHeads, saveBaseHeads } from './heads-checkpoint.js'
import { learnLog } from './learn-log.js'
import { LogSegments } from './log-segments.js'
import { ManifestStore } from './manifest-store.js'
import { SealPolicy } from './seal-policy.js'
import { headsInDoubt, notLearnt } from './damaged-opening.js'
import { blocksOf, newestRows, retained, wantedBlocks } from './segment-readers.js'

const RESERVE_BYTES_DEFAULT = 64 * 2 ** 20
const HEADS_EVERY_ROWS_DEFAULT = 524_288

interface Parts extends LmdbJournalOptions {
  readonly isReadOnly: boolean
  readonly mapBytes: number
  readonly format: LogFormat
  readonly catalog: Catalog
  readonly release: () => Promise<void>
}

/** The log in a directory, on LMDB and sealed files. Made by openLmdbJournal. */
export class LmdbJournal implements Journal {
  readonly #parts: Parts
  readonly #state: LogState
  readonly #path: AppendPath
  readonly #listeners = new AppendListeners()
  readonly #freezes = new Freezes()
  readonly #policy: SealPolicy
  /** Undefined in a read-only journal. */
  readonly #merged: MergedBlocks | undefined
  #openSegments: LogSegments | undefined
  #heads: HeadsCheckpoint | undefined
  #isLearnt = false
  #isSavingHeads = false
  #savingHeads: Promise<void> = Promise.resolve()
  /** A new active segment is on its way; appends wait for it. */
  #rotating: Promise<void> | undefined
  #isClosed = false
  /** Why the catalog cannot be used; a read-only journal opens all the same, so that it can be verified. */
  #catalogDamage: MillraceError | undefined
  /** Of a read-only journal: found by the newest block without reading more. */
  #readOnlyEnd = 0

  constructor(parts: Parts) {
    this.#parts = parts
    const { format, catalog, isReadOnly } = parts
    let types: readonly EventType[] = []
    try {
      types = catalog.eventTypes()
    } catch (error) {
      if (!isReadOnly || !isMillraceError(error)) throw error
      this.#catalogDamage = error
    }
    this.#state = new LogState(format.shardCount, isReadOnly ? 1 : (parts.recentAppends ?? RECENT_APPENDS_DEFAULT), types)
    this.#merged = isReadOnly ? undefined : new MergedBlocks(this.#state.types, parts.merged)
    this.#policy = new SealPolicy(parts, () => this.#rotateWhenDue())
    this.#path = new AppendPath(this.#state, {
      ready: () => this.#rotating ?? this.#catchingUp(),
      checkRoom: (bytes) => this.#checkRoom(bytes),
      taken: (base, rows) => this.#merged?.add(base, rows),
      put: (base, block, whileBusy) => {
        this.#policy.stored(block.length)
        return this.#segments.active.put(base, block, () => {
          whileBusy()
          this.#merged?.mergeWhenDue()
        })
      },
    })
  }

  /** Opens the segments; what it answers closes them. */
  async open(): Promise<{ close(): Promise<void> }> {
    const { catalog, directory, isReadOnly, freeBytes = freeBytesOf, mapBytes } = this.#parts
    const manifest = ManifestStore.open(catalog)
    this.#openSegments = await LogSegments.open({
      directory: logPaths(directory).log,
      isReadOnly,
      mapBytes,
      manifest,
      types: () => this.#state.eventTypes,
      freeBytes: () => freeBytes(directory) - this.#reserveBytes,
      waitingMax: this.#parts.unsealedMax,
      onSealStep: this.#parts.onSealStep ?? (() => undefined),
      onSealFailed: this.#parts.onSealFailed ?? (() => undefined),
      onFatal: (error) => this.#path.fail(error),
    })
    if (isReadOnly) this.#readOnlyEnd = this.#findEnd()
    return this.#openSegments
  }

  get #segments(): LogSegments {
    return this.#openSegments as LogSegments
  }

  get #reserveBytes(): number {
    return this.#parts.reserveBytes ?? RESERVE_BYTES_DEFAULT
  }

  get shardCount(): number {
    return this.#parts.format.shardCount
  }

  get endPosition(): number {
    return this.#parts.isReadOnly ? this.#readOnlyEnd : this.#state.endPosition
  }

  get firstPosition(): number {
    return this.#segments.firstPosition
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
      this.#rotateWhenDue()
    }
    return answer
  }

  async seal(): Promise<void> {
    this.#assertWritable()
    await this.#rotate()
    await this.#segments.sealAll()
  }

  #rotateWhenDue(): void {
    if (this.#isClosed || this.#rotating !== undefined) return
    const rowCount = this.endPosition - this.#segments.active.firstPosition
    if (this.#policy.isDue(rowCount)) this.#rotate().catch((error: unknown) => this.#notRotated(error))
    else if (this.#policy.isNear(rowCount)) this.#segments.prepare()
  }

  #catchingUp(): Promise<void> | undefined {
    const sealed = this.#segments.catchingUp()
    if (sealed !== undefined) this.#parts.onUnsealedMax?.()
    return sealed
  }

  /** Without room for a new segment the old one goes on; it is checked before each batch. */
  #notRotated(error: unknown): void {
    if (!isOutOfRoom(error)) return this.#path.fail(error)
    this.#policy.postpone()
    this.#parts.onSealFailed?.(error)
  }

  /** Closes the active segment and begins another, when it has rows and no append is under way. */
  async #rotate(): Promise<void> {
    this.#rotating ??= this.#rotateOnce().finally(() => {
      this.#rotating = undefined
    })
    await this.#rotating
  }

  async #rotateOnce(): Promise<void> {
    await this.#path.idle()
    if (this.#path.hasFailed || this.endPosition === this.#segments.active.firstPosition) return
    this.#merged?.endRun()
    this.#merged?.forget(this.#segments.unsealed[0]?.firstPosition ?? this.endPosition)
    await this.#segments.rotate(this.endPosition)
    this.#policy.began()
    // So that opening the log does not read the rows of a sealed segment.
    this.#heads?.begin()
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
    const entries: BlockEntry[] = []
    for (const { part, end } of this.#segments.from(0, this.endPosition)) for (const entry of part.entries(end)) entries.push(entry)
    return entries
  }

  async readBlock(entry: BlockEntry): Promise<Uint8Array | undefined> {
    return this.#segments.find(entry.segment)?.readBlock(entry.id)
  }

  async *blocks(range: BlockRange): AsyncGenerator<Uint8Array> {
    if (range.entity !== undefined) this.learn()
    for await (const { part, end } of retained(this.#segments, range.from, this.endPosition)) {
      yield* wantedBlocks(part, range, { end, state: this.#state, merged: this.#merged })
    }
  }

  async *orderedBlocks({ from, to = Infinity }: PositionRange): AsyncGenerator<Uint8Array> {
    const last = Math.min(to, this.endPosition)
    for await (const { part, end } of retained(this.#segments, from, last))
      yield* part.ordered({ from, to: Math.min(end, last) }, this.eventTypes)
  }

  async lastRows(entity: EntityId, count: number): Promise<readonly Row[]> {
    const head = this.head(entity)
    if (head === undefined) return []
    return newestRows(this.#segments, head, count, { end: this.endPosition, names: this, state: this.#state })
  }

  async blocksOf(entity: EntityId): Promise<(entry: BlockEntry) => boolean> {
    const head = this.head(entity)
    if (head === undefined) return () => false
    return blocksOf(this.#segments, head, { end: this.endPosition, state: this.#state })
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
    await this.#freezes.over()
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
    return this.#segments.sealed.map(({ entry }) => {
      const { segment: name, firstPosition, endPosition, bytes, acceptedMax } = entry
      return { name, firstPosition, endPosition, bytes, acceptedMax }
    })
  }

  async *lastVersions(segment: string): AsyncGenerator<{ readonly entity: EntityId; readonly shard: number; readonly version: number }> {
    const sealed = this.#segments.sealed.find(({ name }) => name === segment)
    assert(sealed !== undefined, 'a segment whose entities are asked for is sealed, and there')
    this.learn()
    sealed.retain()
    try {
      for await (const { shard, number, version } of lastVersions(sealed.file)) {
        const entity = this.#state.entityName(shard, number)
        assert(entity !== undefined, 'every entity of a log has a name')
        yield { entity, shard, version }
      }
    } finally {
      sealed.release()
    }
  }

  async dropOldest(segment: string): Promise<void> {
    this.#assertWritable()
    if (this.#state.doubtful.count > 0) throw headsInDoubt(segment, this.#state.doubtful.count)
    await this.#freezes.over()
    // Numbers and heads of entities that have no rows any more are told by nothing else.
    await saveBaseHeads(this.#parts.catalog, this.#state)
    await this.#segments.dropOldest(segment)
  }

  snapshots(shard: number): Iterable<ShardSnapshot> {
    this.learn()
    return this.#parts.catalog.snapshots(shard, this.#state.entities)
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
    const { catalog, format } = this.#parts
    const saved = new LogState(format.shardCount, 1)
    loadHeads(catalog, saved)
    const heads = Array.from({ length: format.shardCount }, (_, shard) => [...saved.entities.heads(shard)]).flat()
    yield* catalog.findings()
    // Whoever opens a log to read a row of it does not pay for what checks all of it.
    const { verifyLog } = await import('./verify.js')
    const { firstPosition, sealed, unsealed, manifest } = this.#segments
    const waiting = unsealed.map((segment) => ({ segment, fileBytes: fileBytes(segment.file) }))
    // What is sealed or dropped meanwhile stays until it is checked.
    const thaw = this.#freezes.begin()
    for (const { segment } of waiting) segment.retain()
    try {
      yield* verifyLog({
        types: this.#state.eventTypes,
        heads,
        manifest: manifest.entries,
        firstPosition,
        sealed: [...sealed],
        unsealed: waiting,
        endPosition: this.endPosition,
        progress,
      })
    } finally {
      for (const { segment } of waiting) segment.release()
      thaw()
    }
  }

  freeze(): FrozenLog {
    const { catalog, directory } = this.#parts
    const onRelease = this.#freezes.begin()
    return freezeLog({ directory, catalog, segments: this.#segments, endPosition: this.endPosition, onRelease })
  }

  storedBytes(): number {
    return this.#segments.storedBytes() + fileBytes(join(logPaths(this.#parts.directory).catalog, DATA_FILE))
  }

  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#policy.close()
    await this.#path.idle()
    await this.#rotating?.catch(() => undefined)
    await this.#savingHeads
    try {
      if (!this.#path.hasFailed) await this.#heads?.finish()
    } finally {
      await this.#parts.release()
    }
  }

  /** Rebuilds heads, marks and recent appends from what was saved and from the rows behind it. Once. */
  learn(): void {
    if (this.#isLearnt) return
    if (this.#catalogDamage !== undefined) throw this.#catalogDamage
    const { catalog, isReadOnly, headsEveryRows = HEADS_EVERY_ROWS_DEFAULT } = this.#parts
    const saved = this.#learnt()
    this.#isLearnt = true
    if (isReadOnly) return
    this.#heads = new HeadsCheckpoint(catalog, this.#state, headsEveryRows, saved)
    this.#policy.began(this.#segments.active)
    this.#segments.sealNext()
  }

  #learnt(): number {
    const { catalog, isReadOnly, directory } = this.#parts
    try {
      return learnLog(this.#state, catalog, this.#segments, !isReadOnly)
    } catch (error) {
      throw isLogDamage(error) ? notLearnt(error, directory) : error
    }
  }

  /** Rows of a newest block that is damaged are not counted: they cannot be served, and verify names them. */
  #findEnd(): number {
    const { active } = this.#segments
    try {
      return active.end()
    } catch (error) {
      if (isMillraceError(error, 'ERR_BLOCK_DAMAGED')) return active.last() + 1
      throw error
    }
  }

  #checkRoom(bytes: number): void {
    const { directory, mapBytes, freeBytes = freeBytesOf } = this.#parts
    checkAppendRoom({ directory, mapBytes, freeBytes, reserveBytes: this.#reserveBytes }, this.#segments.active, bytes)
  }

  #assertWritable(): void {
    assert(!this.#parts.isReadOnly, 'a read-only journal is not written to')
    assert(!this.#isClosed, 'a closed journal is not written to')
  }
}
