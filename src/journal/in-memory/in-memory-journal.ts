import { assert } from '#base/assert.js'
import { type EntityId, SHARD_COUNT_DEFAULT } from '#base/ids.js'
import { AppendListeners } from '#journal/append-listeners.js'
import { AppendPath } from '#journal/append-path.js'
import { type BlockEntry, entryOf } from '#journal/block-entry.js'
import { readHeader } from '#journal/block-format.js'
import { rowsOf } from '#journal/block-rows.js'
import { BlockReader } from '#journal/block-reader.js'
import { isWanted } from '#journal/block-range.js'
import {
  type AppendAnswer,
  type AppendBatch,
  type BlockRange,
  type EntityHead,
  type EventType,
  type EventTypeDeclaration,
  type Finding,
  type Journal,
  type PositionRange,
  type Row,
  SNAPSHOTS_KEPT,
  type ShardSnapshot,
  type Snapshot,
} from '#journal/journal.js'
import { unlessDamaged } from '#journal/log-damage.js'
import type { LogQuery, QueryOptions, QueryRun } from '#journal/log-query.js'
import { LogState } from '#journal/log-state.js'
import { LogVerifier } from '#journal/log-verifier.js'
import { runQuery } from '#journal/query/index.js'
import { type RowRange, readRows } from '#journal/read-rows.js'
import { checkRows } from '#journal/row-check.js'
import type { RetainedSegment } from '#journal/retention-plan.js'
import { RECENT_APPENDS_DEFAULT } from '#journal/recent-appends.js'

export interface InMemoryJournalOptions {
  readonly shardCount?: number
  /** How many appends are remembered for being recognised when they come again. */
  readonly recentAppends?: number
  /** What survived of another one: `stored` of it. */
  readonly stored?: StoredLog
}

/** Everything that an in-memory journal holds, as a disk would. Shared with the journal, not a copy. */
export interface StoredLog {
  readonly shardCount: number
  readonly types: EventType[]
  readonly blocks: Uint8Array[]
  readonly snapshots: Map<EntityId, Snapshot[]>
  readonly bases: Map<EntityId, Snapshot>
  readonly checkpoints: Map<string, Uint8Array>
}

/** A journal with all of the format and none of the disk: for tests, simulation and plants that need not outlive their process. Durable one microtask later. */
export function createInMemoryJournal(options: InMemoryJournalOptions = {}): InMemoryJournal {
  return new InMemoryJournal(options)
}

const SEGMENT = 'memory'

export class InMemoryJournal implements Journal {
  readonly stored: StoredLog
  readonly #state: LogState
  readonly #path: AppendPath
  readonly #bases: number[] = []
  readonly #listeners = new AppendListeners()
  #isClosed = false

  constructor(options: InMemoryJournalOptions) {
    const shardCount = options.stored?.shardCount ?? options.shardCount ?? SHARD_COUNT_DEFAULT
    this.stored = options.stored ?? { shardCount, types: [], blocks: [], snapshots: new Map(), bases: new Map(), checkpoints: new Map() }
    this.#state = new LogState(shardCount, options.recentAppends ?? RECENT_APPENDS_DEFAULT, this.stored.types)
    for (const block of this.stored.blocks) {
      this.#bases.push(this.#state.endPosition)
      this.#state.learn(new BlockReader(block, SEGMENT, this.#state.endPosition), { isFirst: false, keepsRecent: true })
    }
    this.#path = new AppendPath(this.#state, {
      checkRoom() {},
      put: async (basePosition, block, whileBusy) => {
        const copy = new Uint8Array(block)
        await Promise.resolve()
        whileBusy()
        if (this.#isClosed) throw new Error('the journal is closed')
        this.#bases.push(basePosition)
        this.stored.blocks.push(copy)
      },
    })
  }

  get shardCount(): number {
    return this.stored.shardCount
  }

  get endPosition(): number {
    return this.#state.endPosition
  }

  get firstPosition(): number {
    return 0
  }

  get eventTypes(): readonly EventType[] {
    return this.#state.eventTypes
  }

  async register(declarations: readonly EventTypeDeclaration[]): Promise<readonly EventType[]> {
    const { types, added } = this.#state.types.plan(declarations)
    for (const type of added) {
      this.stored.types[type.number - 1] = type
      this.#state.types.set(type)
    }
    return types
  }

  async append(batch: AppendBatch): Promise<AppendAnswer> {
    assert(!this.#isClosed, 'a closed journal takes no batch')
    const answer = await this.#path.append(batch)
    if (answer.rowCount > 0) this.#listeners.tell()
    return answer
  }

  onAppend(callback: () => void): () => void {
    return this.#listeners.add(callback)
  }

  head(entity: EntityId): EntityHead | undefined {
    const index = this.#state.entities.findId(entity)
    return index < 0 ? undefined : this.#state.entities.head(index)
  }

  heads(shard: number): Iterable<EntityHead> {
    return this.#state.entities.heads(shard)
  }

  entityName(shard: number, number: number): EntityId | undefined {
    return this.#state.entityName(shard, number)
  }

  mark(slot: number): { readonly term: number; readonly number: number } | undefined {
    return this.#state.storedMark(slot)
  }

  directory(): readonly BlockEntry[] {
    return this.stored.blocks.map((block, index) => entryOf(SEGMENT, new BlockReader(block, SEGMENT, this.#bases[index] as number).header))
  }

  async readBlock(entry: BlockEntry): Promise<Uint8Array | undefined> {
    const index = this.#bases.indexOf(entry.id)
    const block = this.stored.blocks[index]
    return block === undefined ? undefined : new BlockReader(block, SEGMENT, entry.id).check().bytes
  }

  async *blocks(range: BlockRange): AsyncGenerator<Uint8Array> {
    const count = this.#bases.length
    for (let index = 0; index < count; index++) {
      const end = index + 1 < count ? (this.#bases[index + 1] as number) : Infinity
      if (end <= range.from) continue
      const open = () => new BlockReader(this.stored.blocks[index] as Uint8Array, SEGMENT, this.#bases[index])
      const { onDamaged } = range
      const reader = onDamaged === undefined ? open() : unlessDamaged(open, onDamaged)
      if (reader === undefined || !isWanted(reader.header, range, this.#state)) continue
      if (onDamaged === undefined) reader.check()
      else unlessDamaged(() => reader.check(), onDamaged)
      yield new Uint8Array(reader.bytes)
    }
  }

  async *orderedBlocks({ from, to = Infinity }: PositionRange): AsyncGenerator<Uint8Array> {
    for await (const block of this.blocks({ from })) {
      if (readHeader(block).basePosition >= to) return
      yield block
    }
  }

  async lastRows(entity: EntityId, count: number): Promise<readonly Row[]> {
    const head = this.head(entity)
    if (head === undefined) return []
    const rows: Row[][] = []
    const versionMin = head.version - count + 1
    for await (const block of this.blocks({ from: 0, entity })) rows.push(rowsOf(block, this, { entity: head, versionMin }))
    return rows.flat()
  }

  async blocksOf(entity: EntityId): Promise<(entry: BlockEntry) => boolean> {
    const head = this.head(entity)
    const known = new Map<number, boolean>()
    const has = (block: Uint8Array) => head !== undefined && rowsOf(block, this, { entity: head }).length > 0
    for (const [index, block] of this.stored.blocks.entries()) known.set(this.#bases[index] as number, has(block))
    return ({ id }) => known.get(id) ?? true
  }

  read(range: RowRange): AsyncIterable<Row> {
    return readRows(this, range)
  }

  query(query: LogQuery, options?: QueryOptions): QueryRun {
    return runQuery(this, query, options)
  }

  async saveSnapshots(snapshots: readonly Snapshot[]): Promise<void> {
    for (const snapshot of snapshots) {
      const kept = (this.stored.snapshots.get(snapshot.entity) ?? []).filter((one) => one.version !== snapshot.version)
      kept.push({ ...snapshot, bytes: new Uint8Array(snapshot.bytes) })
      kept.sort((a, b) => b.version - a.version)
      this.stored.snapshots.set(snapshot.entity, kept.slice(0, SNAPSHOTS_KEPT))
    }
  }

  *snapshots(shard: number): Generator<ShardSnapshot> {
    for (const { entity, number, version } of this.#state.entities.heads(shard)) {
      const snapshot = this.snapshot(entity)
      if (snapshot !== undefined) yield { ...snapshot, number, headVersion: version }
    }
  }

  snapshot(entity: EntityId, versionMax = Infinity): Snapshot | undefined {
    const version = Math.min(versionMax, this.head(entity)?.version ?? 0)
    const base = this.stored.bases.get(entity)
    return (
      this.stored.snapshots.get(entity)?.find((one) => one.version <= version) ??
      (base !== undefined && base.version <= version ? base : undefined)
    )
  }

  async saveBases(bases: readonly Snapshot[]): Promise<void> {
    for (const base of bases) this.stored.bases.set(base.entity, base)
  }

  base(entity: EntityId): Snapshot | undefined {
    return this.stored.bases.get(entity)
  }

  /** Memory is not sealed: it goes with the process. */
  sealedSegments(): readonly RetainedSegment[] {
    return []
  }

  lastVersions(segment: string): AsyncIterable<never> {
    throw new Error(`there is no sealed segment ${segment} in memory`)
  }

  async dropOldest(segment: string): Promise<void> {
    assert(false, `there is no sealed segment ${segment} in memory`)
  }

  async saveCheckpoint(name: string, value: Uint8Array): Promise<void> {
    this.stored.checkpoints.set(name, new Uint8Array(value))
  }

  checkpoint(name: string): Uint8Array | undefined {
    return this.stored.checkpoints.get(name)?.slice()
  }

  checkpointNames(prefix: string): readonly string[] {
    return [...this.stored.checkpoints.keys()].filter((name) => name.startsWith(prefix))
  }

  async removeCheckpoint(name: string): Promise<void> {
    this.stored.checkpoints.delete(name)
  }

  async seal(): Promise<void> {}

  async *verify(progress?: (done: number, total: number) => void): AsyncGenerator<Finding> {
    const verifier = new LogVerifier([...this.#allHeads()])
    const count = this.#bases.length
    for (let index = 0; index < count; index++) {
      const block = this.#bases[index] as number
      const bytes = this.stored.blocks[index] as Uint8Array
      const findings = verifier.block(SEGMENT, block, bytes)
      yield* findings
      const wrong = findings.length > 0 ? undefined : checkRows({ bytes, types: this.eventTypes, segment: SEGMENT })
      if (wrong !== undefined) yield { severity: 'damaged', segment: SEGMENT, block, what: wrong, entities: [] }
      progress?.(index + 1, count)
    }
    yield* verifier.end(SEGMENT, this.endPosition)
  }

  storedBytes(): number {
    return 0
  }

  async close(): Promise<void> {
    await this.#path.idle()
    this.#isClosed = true
  }

  *#allHeads(): Generator<EntityHead> {
    for (let shard = 0; shard < this.shardCount; shard++) yield* this.heads(shard)
  }
}
