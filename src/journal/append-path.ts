import { assert } from '#base/assert.js'
import { sha256 } from '#base/hash.js'
import { ENTITY_ID_BYTES_MAX } from '#base/ids.js'
import { AppendReader } from './append-frame.js'
import { BlockBuilder } from './block-builder.js'
import type { BlockEntities } from './block-format.js'
import type { AppendAnswer, AppendBatch, RejectedAppend } from './journal.js'
import type { LogState } from './log-state.js'
import { Marks } from './marks.js'

/** Where blocks go. */
export interface BlockStore {
  /** Throws ERR_JOURNAL_FULL when a block of up to so many bytes cannot be stored. Asked before anything changes. */
  checkRoom(bytesMax: number): void
  /**
   * Stores a block and resolves once it is durable. The bytes stay as they are until then. Any rejection is final. Calls `whileBusy` once,
   * when the disk has its work and this thread has none.
   */
  put(basePosition: number, block: Buffer, whileBusy: () => void): Promise<void>
}

/** What a block costs besides the bytes of the frames it is made of. */
const BLOCK_OVERHEAD_BYTES = 65_536

/** From a batch of frames to a durable block: which appends are accepted, and what the log knows afterwards. The same for every adapter. */
export class AppendPath {
  readonly #state: LogState
  readonly #store: BlockStore
  readonly #builder: BlockBuilder
  readonly #readers = new Map<Uint8Array, AppendReader>()
  #touched: number[] = []
  #created: number[] = []
  readonly #batchMarks = new Marks()
  #inFlight: Promise<unknown> = Promise.resolve()
  #isBusy = false
  #failure: Error | undefined

  constructor(state: LogState, store: BlockStore) {
    this.#state = state
    this.#store = store
    this.#builder = new BlockBuilder(state.types)
  }

  /** As Journal.append. */
  async append(batch: AppendBatch): Promise<AppendAnswer> {
    assert(!this.#isBusy, 'one batch is appended at a time')
    if (this.#failure !== undefined) throw this.#failure
    let bytes = BLOCK_OVERHEAD_BYTES
    for (let index = 0; index < batch.count; index++) bytes += batch.lengths[index] as number
    this.#store.checkRoom(bytes)
    this.#isBusy = true
    const done = this.#append(batch)
    this.#inFlight = done.catch(() => undefined)
    try {
      return await done
    } catch (error) {
      this.fail(error)
      throw error
    } finally {
      this.#isBusy = false
    }
  }

  get hasFailed(): boolean {
    return this.#failure !== undefined
  }

  /** Makes every later append throw: something else of the journal could not be written. */
  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error('the journal could not write', { cause: error })
  }

  /** Resolves when no append is in flight. */
  async idle(): Promise<void> {
    await this.#inFlight
  }

  async #append(batch: AppendBatch): Promise<AppendAnswer> {
    const { rows } = this.#builder
    rows.clear()
    rows.memories = batch.memories
    const readers = batch.memories.map((memory) => this.#reader(memory))
    const rejected: RejectedAppend[] = []
    let known = 0
    for (let index = 0; index < batch.count; index++) {
      const memory = batch.memory[index] as number
      const frame = (readers[memory] as AppendReader).at(batch.offsets[index] as number, batch.lengths[index] as number)
      const verdict = this.#take(frame, memory, batch.slots[index] as number)
      if (verdict === KNOWN) known++
      else if (verdict !== ACCEPTED) rejected.push(this.#rejection(index, frame, verdict))
    }
    const state = this.#state
    const basePosition = state.endPosition
    const { rowCount } = rows
    if (rowCount > 0) {
      const marks = [...this.#batchMarks]
      const block = this.#builder.finish({ basePosition, previousHash: state.lastHash, marks, newEntities: this.#newEntities() })
      let hash = state.lastHash
      await this.#store.put(basePosition, block, () => {
        hash = sha256(block)
      })
      state.lastHash = hash
      state.endPosition = basePosition + rowCount
      for (const mark of marks) state.storedMarks.raise(mark)
      for (const entity of this.#touched) state.entities.settle(entity)
      this.#touched = []
      this.#created = []
      this.#batchMarks.clear()
    }
    return { basePosition, rowCount, rejected, known }
  }

  /**
   * The rules of the protocol, in this order: an older term is fenced; a frame at or below the mark was judged before, and is known if its own
   * row is there, in conflict otherwise; and the rest must build on the newest row: its version, and its writer's term and number.
   */
  #take(frame: AppendReader, memory: number, slot: number): Verdict {
    const { entities, marks, recent } = this.#state
    const { term, number, expectedVersion, entityOffset, entityBytes } = frame
    assert(entityBytes > 0 && entityBytes <= ENTITY_ID_BYTES_MAX, 'an append names its entity')
    assert(term > 0, 'terms begin at 1')
    const markTerm = marks.term(slot)
    if (term < markTerm) return FENCED
    let entity = entities.find(frame.view, entityOffset, entityBytes)
    if (term === markTerm && number <= marks.number(slot)) {
      return entity >= 0 && recent.has(term, number, entity, expectedVersion + 1) ? KNOWN : CONFLICT
    }
    marks.set(slot, term, number)
    this.#batchMarks.set(slot, term, number)
    if (entity < 0) {
      if (expectedVersion !== 0 || frame.baseTerm !== 0 || frame.baseNumber !== 0) return CONFLICT
      entity = entities.add(frame.bytes, entityOffset, entityBytes)
      this.#created.push(entity)
    } else if (
      entities.nextVersion[entity] !== expectedVersion ||
      entities.nextTerm[entity] !== frame.baseTerm ||
      entities.nextNumber[entity] !== frame.baseNumber
    ) {
      return CONFLICT
    }
    assert(entities.shardOf(entity) === frame.shard, 'an append names the shard of its entity')
    const rowCount = frame.rowCount
    assert(rowCount > 0, 'an append has at least one row')
    this.#builder.rows.add(memory, frame.offset, frame.length, rowCount, frame.shard, entities.numberOf(entity))
    entities.nextVersion[entity] = expectedVersion + rowCount
    entities.nextTerm[entity] = term
    entities.nextNumber[entity] = number
    recent.add(term, number, entity, expectedVersion + 1)
    this.#touched.push(entity)
    return ACCEPTED
  }

  #rejection(index: number, frame: AppendReader, kind: 'conflict' | 'fenced'): RejectedAppend {
    const { entities } = this.#state
    const name = new Uint8Array(frame.entityBytes)
    name.set(frame.bytes.subarray(frame.entityOffset, frame.entityOffset + frame.entityBytes))
    const entity = entities.findBytes(name)
    return {
      index,
      kind,
      entity: utf8.decode(name) as RejectedAppend['entity'],
      headVersion: entity < 0 ? 0 : (entities.nextVersion[entity] as number),
    }
  }

  #newEntities(): BlockEntities[] {
    const { entities } = this.#state
    const byShard = new Map<number, { shard: number; first: number; names: Uint8Array[] }>()
    for (const entity of this.#created) {
      const shard = entities.shardOf(entity)
      let own = byShard.get(shard)
      if (own === undefined) byShard.set(shard, (own = { shard, first: entities.numberOf(entity), names: [] }))
      own.names.push(entities.nameBytes(entity))
    }
    return [...byShard.values()].sort((a, b) => a.shard - b.shard)
  }

  #reader(memory: { readonly bytes: Uint8Array; readonly view: DataView }): AppendReader {
    let reader = this.#readers.get(memory.bytes)
    if (reader === undefined) {
      if (this.#readers.size >= READERS_KEPT) this.#readers.clear()
      this.#readers.set(memory.bytes, (reader = new AppendReader(memory.bytes, memory.view)))
    }
    return reader
  }
}

const ACCEPTED = 'accepted'
const KNOWN = 'known'
const CONFLICT = 'conflict'
const FENCED = 'fenced'
type Verdict = typeof ACCEPTED | typeof KNOWN | typeof CONFLICT | typeof FENCED

const READERS_KEPT = 64
const utf8 = new TextDecoder()
