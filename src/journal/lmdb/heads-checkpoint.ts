import { assert } from '#base/assert.js'
import { isMillraceError } from '#base/errors.js'
import { ByteReader, ByteWriter, Damage } from '#journal/bytes.js'
import type { BlockMark } from '#journal/block-format.js'
import type { LogState } from '#journal/log-state.js'
import { type Catalog, KIND_BASE_HEADS, KIND_BASE_MARKS, KIND_HEADS, KIND_MARKS, u16Key } from './catalog.js'
import type { Key } from './environment.js'

/**
 * Heads saved now and then, so that opening a log need not read all of it. Shards are saved one after the other between appends, each with
 * the position up to which it is right; rows behind that are learnt from the log.
 *
 *   heads of a shard   u64 position, varint count, then per entity in order of number: varint version, varint term, varint append
 *                      number, varint bytes, UTF-8
 *   marks              u64 position, varint count, then per slot: varint slot, varint term, varint append number
 *
 * A shard with an entity of which it is not known where it stands, since damage may have hit it, stays as it was saved before: whoever opens the log looks again.
 *
 * Once rows are dropped, the log alone does not tell all of it any more. So there is a second copy, the base heads, written before a segment is dropped.
 */
export class HeadsCheckpoint {
  readonly #catalog: Catalog
  readonly #state: LogState
  readonly #everyRows: number
  readonly #writer = new ByteWriter(1 << 16)
  #savedPosition: number
  /** The shard to be saved next, or -1 when none is under way. */
  #shard = -1
  #isWanted = false

  constructor(catalog: Catalog, state: LogState, everyRows: number, savedPosition: number) {
    this.#catalog = catalog
    this.#state = state
    this.#everyRows = everyRows
    this.#savedPosition = savedPosition
  }

  /** Begins to save what there is, as soon as nothing else is being saved. */
  begin(): void {
    this.#isWanted = true
  }

  /** To be called after each append: saves a few shards when it is time, never so many at once that appends would notice. */
  async step(): Promise<void> {
    const { endPosition } = this.#state
    if (this.#shard < 0) {
      if (endPosition - this.#savedPosition < this.#everyRows && !this.#isWanted) return
      this.#isWanted = false
      this.#shard = 0
      this.#savedPosition = endPosition
    }
    await this.#save(ENTITIES_PER_STEP)
  }

  /** Saves all that has changed. */
  async finish(): Promise<void> {
    if (this.#savedPosition === this.#state.endPosition && this.#shard < 0) return
    this.#shard = 0
    this.#savedPosition = this.#state.endPosition
    await this.#save(Infinity)
  }

  async #save(entitiesMax: number): Promise<void> {
    const pairs: [Key, Uint8Array][] = []
    let entities = 0
    if (this.#shard === 0) pairs.push([MARKS_KEY, encodeMarks(this.#state, this.#writer.clear())])
    while (this.#shard < this.#state.entities.shardCount && entities < entitiesMax) {
      const shard = this.#shard++
      if (this.#state.doubtful.hasOf(shard)) continue
      const { bytes, count } = encodeHeads(this.#state, shard, this.#writer.clear())
      pairs.push([u16Key(KIND_HEADS, shard), bytes])
      entities += count + 1
    }
    if (this.#shard === this.#state.entities.shardCount) this.#shard = -1
    try {
      await this.#catalog.put(pairs)
    } catch (error) {
      // No room now: what was saved before stays right, and more of the log is read at the next opening.
      if (!isMillraceError(error, 'ERR_JOURNAL_FULL')) throw error
    }
  }
}

/** Some hundred microseconds. */
const ENTITIES_PER_STEP = 4096
const MARKS_KEY: Key = Uint8Array.of(KIND_MARKS)
const BASE_MARKS_KEY: Key = Uint8Array.of(KIND_BASE_MARKS)

/** Saves the base heads; resolves when they are durable. */
export async function saveBaseHeads(catalog: Catalog, state: LogState): Promise<void> {
  const writer = new ByteWriter(1 << 16)
  await catalog.put([[BASE_MARKS_KEY, encodeMarks(state, writer)]])
  for (let shard = 0; shard < state.entities.shardCount; shard++) {
    await catalog.put([[u16Key(KIND_BASE_HEADS, shard), encodeHeads(state, shard, writer.clear()).bytes]])
  }
}

/** What was saved, as positions up to which it is right; 0 where something is missing or damaged in both copies. */
export interface SavedHeads {
  /** From here on the log must be learnt. */
  readonly position: number
  /** So far the log went at least. */
  readonly endPosition: number
  readonly ofShard: readonly number[]
}

/** Loads what was saved into a fresh state. */
export function loadHeads(catalog: Catalog, state: LogState): SavedHeads {
  const ofMarks = loadMarks(catalog, state, MARKS_KEY) || loadMarks(catalog, state, BASE_MARKS_KEY)
  const ofShard = Array.from(
    { length: state.entities.shardCount },
    (_, shard) => loadShard(catalog, state, shard, KIND_HEADS) || loadShard(catalog, state, shard, KIND_BASE_HEADS),
  )
  const all = [ofMarks, ...ofShard]
  return { position: Math.min(...all), endPosition: Math.max(...all), ofShard }
}

function loadMarks(catalog: Catalog, state: LogState, key: Key): number {
  return readable(() => {
    const bytes = catalog.get(key)
    if (bytes === undefined) return 0
    const reader = new ByteReader(bytes)
    const position = reader.u64()
    const marks: BlockMark[] = []
    for (let count = reader.varint(); count > 0; count--)
      marks.push({ slot: reader.varint(), term: reader.varint(), number: reader.varint() })
    for (const mark of marks) state.learnMark(mark)
    return position
  })
}

function loadShard(catalog: Catalog, state: LogState, shard: number, kind: number): number {
  return readable(() => {
    const bytes = catalog.get(u16Key(kind, shard))
    if (bytes === undefined) return 0
    const reader = new ByteReader(bytes)
    const position = reader.u64()
    const count = reader.varint()
    for (let number = 0; number < count; number++) {
      const version = reader.varint()
      const term = reader.varint()
      const appendNumber = reader.varint()
      const entity = state.learnEntity(shard, number, reader.slice(reader.varint()))
      state.entities.set(entity, version, term, appendNumber)
    }
    return position
  })
}

function readable(load: () => number): number {
  try {
    return load()
  } catch (error) {
    if (error instanceof Damage) return 0
    throw error
  }
}

function encodeHeads(state: LogState, shard: number, out: ByteWriter): { bytes: Uint8Array; count: number } {
  const { entities } = state
  // Those that are on their way to their first row come last, as numbers are given in the order in which rows are stored.
  let count = entities.countOf(shard)
  while (count > 0 && entities.version(entities.at(shard, count - 1)) === 0) count--
  out.u64(state.endPosition)
  out.varint(count)
  for (let number = 0; number < count; number++) {
    const index = entities.at(shard, number)
    const name = entities.nameBytes(index)
    assert(entities.version(index) > 0, 'every entity of a settled log has a row')
    out.varint(entities.version(index))
    out.varint(entities.term(index))
    out.varint(entities.appendNumber(index))
    out.varint(name.length)
    out.copy(name)
  }
  return { bytes: new Uint8Array(out.written()), count }
}

function encodeMarks(state: LogState, out: ByteWriter): Uint8Array {
  out.u64(state.endPosition)
  const marks = [...state.storedMarks]
  out.varint(marks.length)
  for (const { slot, term, number } of marks) {
    out.varint(slot)
    out.varint(term)
    out.varint(number)
  }
  return new Uint8Array(out.written())
}
