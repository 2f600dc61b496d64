import { assert } from '#base/assert.js'
import { ENTITY_ID_BYTES_MAX } from '#base/ids.js'
import { AppendReader } from './append-frame.js'
import type { BlockEntities } from './block-format.js'
import { EntityLookups } from './entity-lookups.js'
import type { AppendAnswer, AppendBatch, RejectedAppend } from './journal.js'
import type { LogState } from './log-state.js'
import { Marks } from './marks.js'
import type { PendingRows } from './pending-rows.js'
import { TakenBatch } from './taken-batch.js'

/** Where blocks go. */
export interface BlockStore {
  /** Undefined, or resolves when blocks can be taken again. Nothing is in flight meanwhile, see `idle`. */
  ready?(): Promise<void> | undefined
  /** Throws ERR_JOURNAL_FULL when a block of up to so many bytes cannot be stored. Asked before anything changes. */
  checkRoom(bytesMax: number): void
  /** Told of the rows that the next block will have, before they are encoded: not durable, and never will be unless `put` resolves. */
  taken?(basePosition: number, rows: PendingRows): void
  /**
   * Stores a block and resolves once it is durable. The bytes stay as they are until then. Any rejection is final. Calls `whileBusy` once,
   * when the disk has its work and this thread has none; never after it has resolved.
   */
  put(basePosition: number, block: Buffer, whileBusy: () => void): Promise<void>
}

/** What a block costs besides the bytes of the frames it is made of. */
const BLOCK_OVERHEAD_BYTES = 65_536

/** Calls of `append` that may be under way at a time. */
const CALLS_MAX = 2
/** Frames whose entities are looked up before the first of them is judged. */
const AHEAD = 32

/**
 * From a batch of frames to a durable block: which appends are accepted, and what the log knows afterwards. The same for every adapter. While one block is
 * on its way to the disk the next batch is checked and encoded; one block is stored at a time, in the order of the calls.
 */
export class AppendPath {
  readonly #state: LogState
  readonly #store: BlockStore
  readonly #readers = new Map<Uint8Array, AppendReader>()
  readonly #idle: TakenBatch[] = []
  /** The batch that was taken last, while it is not durable. */
  #last: TakenBatch | undefined
  /** Resolves when that is durable, or has failed. */
  #lastStored: Promise<unknown> = Promise.resolve()
  /** Resolves when the disk has it: what this thread did before would keep the disk waiting. */
  #lastHanded: Promise<void> = Promise.resolve()
  /** Of batches in which everything was rejected: they go into the next block. */
  readonly #unstoredMarks = new Marks()
  #callCount = 0
  /** Batches that found no room, and why the last one did not. */
  #refusals = 0
  #refusal: unknown
  /** Batches taken and not durable yet. */
  #inFlightCount = 0
  #inFlightBytes = 0
  /** The entities of the frames looked at ahead. */
  readonly #ahead = new EntityLookups(AHEAD)
  #failure: Error | undefined

  constructor(state: LogState, store: BlockStore) {
    this.#state = state
    this.#store = store
  }

  /** As Journal.append. */
  async append(batch: AppendBatch): Promise<AppendAnswer> {
    assert(this.#callCount < CALLS_MAX, 'two batches are appended at a time at most')
    this.#callCount++
    const refusalsBefore = this.#refusals
    const before = this.#lastHanded
    let handed: () => void = () => undefined
    this.#lastHanded = new Promise((resolve) => (handed = resolve))
    try {
      await before
      for (let ready = this.#store.ready?.(); ready !== undefined; ready = this.#store.ready?.()) await ready
      if (this.#failure !== undefined) throw this.#failure
      // A batch must not get in before one that was handed over before it.
      if (this.#refusals !== refusalsBefore) throw this.#refusal
      return await this.#carryOut(batch, this.#bytesMax(batch), handed)
    } finally {
      handed()
      this.#callCount--
    }
  }

  /** What a block of the batch may take. Throws ERR_JOURNAL_FULL when there is no room for that. */
  #bytesMax(batch: AppendBatch): number {
    let bytes = BLOCK_OVERHEAD_BYTES
    for (let index = 0; index < batch.count; index++) bytes += batch.lengths[index] as number
    try {
      this.#store.checkRoom(bytes + this.#inFlightBytes)
    } catch (error) {
      this.#refusal = error
      this.#refusals++
      throw error
    }
    return bytes
  }

  async #carryOut(batch: AppendBatch, bytes: number, handed: () => void): Promise<AppendAnswer> {
    this.#inFlightCount++
    this.#inFlightBytes += bytes
    try {
      const stored = this.#storeBehind(this.#lastStored, this.#take(batch), handed)
      this.#lastStored = stored.catch(() => undefined)
      return await stored
    } catch (error) {
      this.fail(error)
      throw error
    } finally {
      this.#inFlightCount--
      this.#inFlightBytes -= bytes
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
    while (this.#inFlightCount > 0) {
      await this.#lastStored
      // Whoever called `append` goes on first.
      await Promise.resolve()
    }
  }

  /** Judges the frames and encodes what is accepted behind all that was taken before, durable or not. */
  #take(batch: AppendBatch): TakenBatch {
    const state = this.#state
    const taken = (this.#idle.pop() ?? new TakenBatch(state.types)).begin(this.#last?.endPosition ?? state.endPosition)
    const { rows } = taken.builder
    rows.memories = batch.memories
    const readers = batch.memories.map((memory) => this.#reader(memory))
    for (let index = 0; index < batch.count; index++) {
      if (index % AHEAD === 0) this.#lookAhead(batch, readers, index)
      const memory = batch.memory[index] as number
      const frame = (readers[memory] as AppendReader).moveTo(batch.offsets[index] as number, batch.lengths[index] as number)
      const verdict = this.#judge(taken, frame, memory, batch.slots[index] as number, this.#ahead.found[index % AHEAD] as number)
      if (verdict === KNOWN) taken.known++
      else if (verdict !== ACCEPTED) taken.rejected.push(this.#rejection(index, frame, verdict))
    }
    if (rows.rowCount > 0) {
      for (const mark of this.#unstoredMarks) taken.marks.raise(mark)
      this.#unstoredMarks.clear()
      this.#store.taken?.(taken.basePosition, rows)
      taken.encode(this.#last?.hash ?? state.lastHash, this.#newEntities(taken))
    } else for (const mark of taken.marks) this.#unstoredMarks.raise(mark)
    this.#last = taken
    return taken
  }

  /** Checks some frames and looks their entities up together. */
  #lookAhead(batch: AppendBatch, readers: readonly AppendReader[], start: number): void {
    const lookups = this.#ahead.clear()
    const end = Math.min(batch.count, start + AHEAD)
    for (let index = start; index < end; index++) {
      const frame = (readers[batch.memory[index] as number] as AppendReader).at(
        batch.offsets[index] as number,
        batch.lengths[index] as number,
      )
      lookups.add(frame.view, frame.entityOffset, frame.entityBytes)
    }
    this.#state.entities.findAll(lookups)
  }

  async #storeBehind(before: Promise<unknown>, taken: TakenBatch, handed: () => void): Promise<AppendAnswer> {
    await before
    if (this.#failure !== undefined) throw this.#failure
    const { basePosition, rejected, known, rowCount } = taken
    const state = this.#state
    if (rowCount > 0) {
      try {
        await this.#store.put(basePosition, taken.block, () => {
          void taken.hash
          handed()
        })
      } catch (error) {
        // Before the batch behind this one goes on.
        this.fail(error)
        throw error
      }
      state.lastHash = taken.hash ?? state.lastHash
      state.endPosition = taken.endPosition
      for (const mark of taken.marks) state.storedMarks.raise(mark)
      taken.settle(state.entities)
    }
    if (this.#last === taken) this.#last = undefined
    this.#idle.push(taken)
    return { basePosition, rowCount, rejected, known }
  }

  /**
   * The rules of the protocol, in this order: an older term is fenced; a frame at or below the mark was judged before, and is known if its own
   * row is there, in conflict otherwise; and the rest must build on the newest row: its version, and its writer's term and number.
   */
  #judge(taken: TakenBatch, frame: AppendReader, memory: number, slot: number, found: number): Verdict {
    const { entities, marks, recent, doubtful } = this.#state
    const { term, number, expectedVersion, entityOffset, entityBytes } = frame
    assert(entityBytes > 0 && entityBytes <= ENTITY_ID_BYTES_MAX, 'an append names its entity')
    assert(term > 0, 'terms begin at 1')
    const markTerm = marks.term(slot)
    if (term < markTerm) return FENCED
    // One that was not there when it was looked for may have been added since, by a frame between.
    let entity = found >= 0 ? found : entities.find(frame.view, entityOffset, entityBytes)
    if (term === markTerm && number <= marks.number(slot)) {
      return entity >= 0 && recent.has(term, number, entity, expectedVersion + 1) ? KNOWN : CONFLICT
    }
    marks.set(slot, term, number)
    taken.marks.set(slot, term, number)
    if (entity < 0) {
      if (expectedVersion !== 0 || frame.baseTerm !== 0 || frame.baseNumber !== 0) return CONFLICT
      entity = entities.add(frame.bytes, entityOffset, entityBytes)
      taken.created.push(entity)
    } else if (!entities.isNext(entity, expectedVersion, frame.baseTerm, frame.baseNumber) || doubtful.has(entity)) return CONFLICT
    const rowCount = frame.rowCount
    assert(entities.shardOf(entity) === frame.shard, 'an append names the shard of its entity')
    assert(rowCount > 0, 'an append has at least one row')
    taken.builder.rows.add(memory, frame.offset, frame.length, rowCount, frame.shard, entities.numberOf(entity))
    entities.advance(entity, expectedVersion + rowCount, term, number)
    recent.add(term, number, entity, expectedVersion + 1)
    taken.touch(entity, expectedVersion + rowCount, term, number)
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
      headVersion: entity < 0 ? 0 : entities.nextVersion(entity),
    }
  }

  #newEntities({ created }: TakenBatch): BlockEntities[] {
    const { entities } = this.#state
    const byShard = new Map<number, { shard: number; first: number; names: Uint8Array[] }>()
    for (const entity of created) {
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
