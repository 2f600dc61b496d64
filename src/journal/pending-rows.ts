import { assert } from '#base/assert.js'
import { AppendReader, OUTCOME_NONE, ROW_HEADER_BYTES } from './append-frame.js'
import type { EventTypes } from './event-types.js'
import type { Memory } from './name-table.js'
import { radixPass } from './radix-pass.js'

/**
 * The accepted appends of a batch, and after `sort` their rows by (shard, entity number, version), one array per field, so that whoever encodes a
 * column reads it from one end to the other. Payloads and strings stay in the frames; offsets point into `memories`. All arrays are reused from
 * batch to batch.
 */
export class PendingRows {
  memories: readonly Memory[] = []
  rowCount = 0

  // By row, in order: valid from `sort` to `clear`.
  /** Of `memories`. */
  memory = new Uint16Array(0)
  shard = new Uint16Array(0)
  /** Number of the entity within its shard. */
  entity = new Uint32Array(0)
  version = new Uint32Array(0)
  type = new Uint16Array(0)
  term = new Uint32Array(0)
  number = new Uint32Array(0)
  at = new Float64Array(0)
  accepted = new Float64Array(0)
  sequence = new Float64Array(0)
  flags = new Uint8Array(0)
  sourceOffset = new Uint32Array(0)
  sourceBytes = new Uint32Array(0)
  outcomeKind = new Uint8Array(0)
  /** Whether any row has a correlation, a causation or an outcome with bytes. Without it the next six are not filled in. */
  hasStrings = false
  correlationOffset = new Uint32Array(0)
  correlationBytes = new Uint32Array(0)
  causationOffset = new Uint32Array(0)
  causationBytes = new Uint32Array(0)
  outcomeOffset = new Uint32Array(0)
  outcomeBytes = new Uint32Array(0)
  payloadOffset = new Uint32Array(0)
  payloadBytes = new Uint32Array(0)

  // By append, in the order of the batch.
  #appendCount = 0
  #appendMemory = new Uint16Array(0)
  #appendOffset = new Uint32Array(0)
  #appendBytes = new Uint32Array(0)
  #appendRows = new Uint16Array(0)
  #appendShard = new Uint16Array(0)
  #appendEntity = new Uint32Array(0)

  #order = new Uint32Array(0)
  #spare = new Uint32Array(0)
  readonly #counts = new Uint32Array(256)
  readonly #readers: AppendReader[] = []

  clear(): void {
    this.#appendCount = 0
    this.rowCount = 0
    this.hasStrings = false
  }

  /** Takes the append of `rows` rows that lies in `memories[memory]`. It must stay there until the rows are cleared. */
  add(memory: number, offset: number, length: number, rows: number, shard: number, entity: number): void {
    const index = this.#appendCount
    if (index === this.#appendMemory.length) this.#growAppends()
    this.#appendMemory[index] = memory
    this.#appendOffset[index] = offset
    this.#appendBytes[index] = length
    this.#appendRows[index] = rows
    this.#appendShard[index] = shard
    this.#appendEntity[index] = entity
    this.#appendCount++
    this.rowCount += rows
  }

  /** The appends that were added, in the order in which they were. */
  forEachAppend(each: (bytes: Uint8Array, offset: number, length: number, rowCount: number, shard: number, entity: number) => void): void {
    for (let index = 0; index < this.#appendCount; index++) {
      each(
        (this.memories[this.#appendMemory[index] as number] as Memory).bytes,
        this.#appendOffset[index] as number,
        this.#appendBytes[index] as number,
        this.#appendRows[index] as number,
        this.#appendShard[index] as number,
        this.#appendEntity[index] as number,
      )
    }
  }

  /** Fills in the rows. Their versions are those behind the expected version of their append. A frame that does not add up is a bug of its writer. */
  sort(types: EventTypes): void {
    const order = this.#sorted()
    if (this.memory.length < this.rowCount) this.#growRows()
    this.memories.forEach(({ bytes, view }, memory) => {
      if (this.#readers[memory]?.view !== view) this.#readers[memory] = new AppendReader(bytes, view)
    })
    let row = 0
    for (let index = 0; index < this.#appendCount; index++) {
      const append = order[index] as number
      const memory = this.#appendMemory[append] as number
      const frame = (this.#readers[memory] as AppendReader).moveTo(
        this.#appendOffset[append] as number,
        this.#appendBytes[append] as number,
      )
      row = this.#fill(row, frame, memory, this.#appendShard[append] as number, this.#appendEntity[append] as number, types)
    }
    assert(row === this.rowCount, 'an append has as many rows as it said')
  }

  /** Fills in the rows of one append from `row` on; answers the row behind them. */
  #fill(row: number, frame: AppendReader, memory: number, shard: number, entity: number, types: EventTypes): number {
    const end = frame.endOffset
    const last = row + frame.rowCount - 1
    const firstVersion = frame.expectedVersion + 1
    const term = frame.term
    const number = frame.number
    const at = frame.atMicros
    const accepted = frame.acceptedMicros
    const flags = frame.flags
    const sourceOffset = frame.sourceOffset
    const sourceBytes = frame.sourceBytes
    const sequence = sourceBytes === 0 ? 0 : frame.sequence
    const stringsOffset = sourceOffset + sourceBytes
    const rowsOffset = frame.rowsOffset
    if (rowsOffset > stringsOffset && !this.hasStrings) this.#beginStrings(row)
    let offset = rowsOffset
    let version = firstVersion
    for (let index = row; index <= last; index++) {
      assert(offset + ROW_HEADER_BYTES <= end, 'the rows of an append lie inside its frame')
      const type = frame.rowType(offset)
      const payloadBytes = frame.rowPayloadBytes(offset)
      this.memory[index] = memory
      this.shard[index] = shard
      this.entity[index] = entity
      this.version[index] = version++
      this.type[index] = type
      this.term[index] = term
      this.number[index] = number
      this.at[index] = at
      this.accepted[index] = accepted
      this.sequence[index] = sequence
      this.flags[index] = flags
      this.sourceOffset[index] = sourceOffset
      this.sourceBytes[index] = sourceBytes
      this.outcomeKind[index] = index === last ? frame.outcomeKind : OUTCOME_NONE
      if (this.hasStrings) this.#fillStrings(index, frame, stringsOffset, index === last)
      this.payloadOffset[index] = offset + ROW_HEADER_BYTES
      this.payloadBytes[index] = payloadBytes
      offset += ROW_HEADER_BYTES + payloadBytes
      assert(offset <= end, 'the payloads of an append lie inside its frame')
      assert(payloadBytes >= types.fixedBytes(type), 'a payload holds at least the fixed fields of its event type')
    }
    assert(offset === end, 'the rows of an append fill its frame')
    return last + 1
  }

  /** The rows before this one have none. */
  #beginStrings(row: number): void {
    this.hasStrings = true
    this.correlationBytes.fill(0, 0, row)
    this.causationBytes.fill(0, 0, row)
    this.outcomeBytes.fill(0, 0, row)
  }

  #fillStrings(index: number, frame: AppendReader, offset: number, isLast: boolean): void {
    const correlationBytes = frame.correlationBytes
    const causationBytes = frame.causationBytes
    this.correlationOffset[index] = offset
    this.correlationBytes[index] = correlationBytes
    this.causationOffset[index] = offset + correlationBytes
    this.causationBytes[index] = causationBytes
    this.outcomeOffset[index] = offset + correlationBytes + causationBytes
    this.outcomeBytes[index] = isLast ? frame.outcomeBytes : 0
  }

  /** Appends by (shard, entity number); those of one entity stay in order, which is that of their versions. */
  #sorted(): Uint32Array {
    const count = this.#appendCount
    if (this.#order.length < count) {
      this.#order = new Uint32Array(this.#appendMemory.length)
      this.#spare = new Uint32Array(this.#appendMemory.length)
    }
    let entityMax = 0
    let shardMax = 0
    let isSorted = true
    let before = -1
    for (let index = 0; index < count; index++) {
      this.#order[index] = index
      const entity = this.#appendEntity[index] as number
      const shard = this.#appendShard[index] as number
      if (entity > entityMax) entityMax = entity
      if (shard > shardMax) shardMax = shard
      const key = shard * 0x1_0000_0000 + entity
      if (key < before) isSorted = false
      before = key
    }
    if (isSorted) return this.#order
    for (let shift = 0; shift < 32 && entityMax >>> shift > 0; shift += 8) this.#sortBy(this.#appendEntity, shift)
    for (let shift = 0; shift < 16 && shardMax >>> shift > 0; shift += 8) this.#sortBy(this.#appendShard, shift)
    return this.#order
  }

  /** One stable counting pass over a byte of the key (LSD radix sort). */
  #sortBy(keys: Uint32Array | Uint16Array, shift: number): void {
    const from = this.#order
    const to = this.#spare
    radixPass(keys, shift, this.#appendCount, from, to, this.#counts)
    this.#order = to
    this.#spare = from
  }

  #growAppends(): void {
    const count = Math.max(256, this.#appendMemory.length * 2)
    this.#appendMemory = grown(this.#appendMemory, new Uint16Array(count))
    this.#appendOffset = grown(this.#appendOffset, new Uint32Array(count))
    this.#appendBytes = grown(this.#appendBytes, new Uint32Array(count))
    this.#appendRows = grown(this.#appendRows, new Uint16Array(count))
    this.#appendShard = grown(this.#appendShard, new Uint16Array(count))
    this.#appendEntity = grown(this.#appendEntity, new Uint32Array(count))
  }

  /** What was in them is filled in again. */
  #growRows(): void {
    const count = Math.max(256, 2 ** Math.ceil(Math.log2(this.rowCount)))
    this.memory = new Uint16Array(count)
    this.shard = new Uint16Array(count)
    this.entity = new Uint32Array(count)
    this.version = new Uint32Array(count)
    this.type = new Uint16Array(count)
    this.term = new Uint32Array(count)
    this.number = new Uint32Array(count)
    this.at = new Float64Array(count)
    this.accepted = new Float64Array(count)
    this.sequence = new Float64Array(count)
    this.flags = new Uint8Array(count)
    this.sourceOffset = new Uint32Array(count)
    this.sourceBytes = new Uint32Array(count)
    this.correlationOffset = new Uint32Array(count)
    this.correlationBytes = new Uint32Array(count)
    this.causationOffset = new Uint32Array(count)
    this.causationBytes = new Uint32Array(count)
    this.outcomeKind = new Uint8Array(count)
    this.outcomeOffset = new Uint32Array(count)
    this.outcomeBytes = new Uint32Array(count)
    this.payloadOffset = new Uint32Array(count)
    this.payloadBytes = new Uint32Array(count)
  }
}

function grown<T extends Uint16Array | Uint32Array>(from: T, to: T): T {
  to.set(from)
  return to
}
