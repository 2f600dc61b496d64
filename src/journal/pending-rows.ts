import { assert } from '#base/assert.js'
import type { AppendReader } from './append-frame.js'
import { OUTCOME_NONE, ROW_HEADER_BYTES } from './append-frame.js'
import type { EventTypes } from './event-types.js'

/**
 * The accepted appends of a batch, taken apart into one array per field, and their rows. Payloads and strings stay in the frames; offsets
 * point into `memories`. All arrays are reused from batch to batch.
 */
export class PendingRows {
  memories: readonly { readonly bytes: Uint8Array; readonly view: DataView }[] = []
  appendCount = 0
  rowCount = 0

  // By append.
  memory = new Uint16Array(0)
  shard = new Uint16Array(0)
  /** Number of the entity within its shard. */
  entity = new Uint32Array(0)
  term = new Uint32Array(0)
  number = new Uint32Array(0)
  at = new Float64Array(0)
  accepted = new Float64Array(0)
  sequence = new Float64Array(0)
  flags = new Uint8Array(0)
  sourceOffset = new Uint32Array(0)
  sourceBytes = new Uint32Array(0)
  correlationOffset = new Uint32Array(0)
  correlationBytes = new Uint32Array(0)
  causationOffset = new Uint32Array(0)
  causationBytes = new Uint32Array(0)
  outcomeOffset = new Uint32Array(0)
  firstRow = new Uint32Array(0)

  // By row.
  append = new Uint32Array(0)
  version = new Uint32Array(0)
  type = new Uint16Array(0)
  payloadOffset = new Uint32Array(0)
  payloadBytes = new Uint32Array(0)
  outcomeKind = new Uint8Array(0)
  outcomeBytes = new Uint32Array(0)

  #order = new Uint32Array(0)
  #spare = new Uint32Array(0)
  #rowOrder = new Uint32Array(0)
  readonly #counts = new Uint32Array(256)

  clear(): void {
    this.appendCount = 0
    this.rowCount = 0
  }

  /** Takes the append that `frame` points at. Its rows get the versions behind its expected version. A frame that does not add up is a bug of its writer. */
  add(frame: AppendReader, memory: number, entity: number, types: EventTypes): void {
    const index = this.appendCount
    if (index === this.memory.length) this.#growAppends()
    const rows = frame.rowCount
    assert(rows > 0, 'an append has at least one row')
    const outcomeBytes = frame.outcomeBytes
    const outcomeKind = frame.outcomeKind
    this.memory[index] = memory
    this.shard[index] = frame.shard
    this.entity[index] = entity
    this.term[index] = frame.term
    this.number[index] = frame.number
    this.at[index] = frame.atMicros
    this.accepted[index] = frame.acceptedMicros
    const sourceBytes = frame.sourceBytes
    this.sequence[index] = sourceBytes === 0 ? 0 : frame.sequence
    this.flags[index] = frame.flags
    let offset = frame.sourceOffset
    this.sourceOffset[index] = offset
    this.sourceBytes[index] = sourceBytes
    offset += sourceBytes
    this.correlationOffset[index] = offset
    offset += this.correlationBytes[index] = frame.correlationBytes
    this.causationOffset[index] = offset
    offset += this.causationBytes[index] = frame.causationBytes
    this.outcomeOffset[index] = offset
    offset += outcomeBytes
    this.firstRow[index] = this.rowCount

    const end = frame.endOffset
    const firstVersion = frame.expectedVersion + 1
    while (this.rowCount + rows > this.append.length) this.#growRows()
    for (let row = this.rowCount, last = row + rows - 1; row <= last; row++) {
      assert(offset + ROW_HEADER_BYTES <= end, 'the rows of an append lie inside its frame')
      const type = frame.rowType(offset)
      const payloadBytes = frame.rowPayloadBytes(offset)
      this.append[row] = index
      this.version[row] = firstVersion + row - this.rowCount
      this.type[row] = type
      this.payloadOffset[row] = offset + ROW_HEADER_BYTES
      this.payloadBytes[row] = payloadBytes
      this.outcomeKind[row] = row === last ? outcomeKind : OUTCOME_NONE
      this.outcomeBytes[row] = row === last ? outcomeBytes : 0
      offset += ROW_HEADER_BYTES + payloadBytes
      assert(offset <= end, 'the payloads of an append lie inside its frame')
      assert(payloadBytes >= types.fixedBytes(type), 'a payload holds at least the fixed fields of its event type')
    }
    assert(offset === end, 'the rows of an append fill its frame')
    this.appendCount++
    this.rowCount += rows
  }

  /** Row indices by (shard, entity number, version). Valid until the next call. */
  sorted(): Uint32Array {
    const { appendCount, rowCount } = this
    if (this.#order.length < appendCount) {
      this.#order = new Uint32Array(this.memory.length)
      this.#spare = new Uint32Array(this.memory.length)
    }
    let entityMax = 0
    let shardMax = 0
    for (let index = 0; index < appendCount; index++) {
      this.#order[index] = index
      entityMax = Math.max(entityMax, this.entity[index] as number)
      shardMax = Math.max(shardMax, this.shard[index] as number)
    }
    for (let shift = 0; shift < 32 && entityMax >>> shift > 0; shift += 8) this.#sortBy(this.entity, shift)
    for (let shift = 0; shift < 16 && shardMax >>> shift > 0; shift += 8) this.#sortBy(this.shard, shift)

    if (this.#rowOrder.length < rowCount) this.#rowOrder = new Uint32Array(this.append.length)
    const order = this.#rowOrder
    let rank = 0
    for (let index = 0; index < appendCount; index++) {
      const append = this.#order[index] as number
      const end = append + 1 < appendCount ? (this.firstRow[append + 1] as number) : rowCount
      for (let row = this.firstRow[append] as number; row < end; row++) order[rank++] = row
    }
    return order
  }

  /** One stable counting pass over a byte of the key (LSD radix sort): appends of one entity stay in order of version. */
  #sortBy(keys: Uint32Array | Uint16Array, shift: number): void {
    const counts = this.#counts.fill(0)
    const from = this.#order
    const to = this.#spare
    const count = this.appendCount
    for (let index = 0; index < count; index++) {
      const digit = ((keys[index] as number) >>> shift) & 0xff
      counts[digit] = (counts[digit] as number) + 1
    }
    let start = 0
    for (let digit = 0; digit < 256; digit++) {
      const own = counts[digit] as number
      counts[digit] = start
      start += own
    }
    for (let index = 0; index < count; index++) {
      const append = from[index] as number
      const digit = ((keys[append] as number) >>> shift) & 0xff
      const at = counts[digit] as number
      to[at] = append
      counts[digit] = at + 1
    }
    this.#order = to
    this.#spare = from
  }

  #growAppends(): void {
    const count = Math.max(256, this.memory.length * 2)
    this.memory = grown(this.memory, new Uint16Array(count))
    this.shard = grown(this.shard, new Uint16Array(count))
    this.flags = grown(this.flags, new Uint8Array(count))
    this.at = grown(this.at, new Float64Array(count))
    this.accepted = grown(this.accepted, new Float64Array(count))
    this.sequence = grown(this.sequence, new Float64Array(count))
    this.entity = grown(this.entity, new Uint32Array(count))
    this.term = grown(this.term, new Uint32Array(count))
    this.number = grown(this.number, new Uint32Array(count))
    this.sourceOffset = grown(this.sourceOffset, new Uint32Array(count))
    this.sourceBytes = grown(this.sourceBytes, new Uint32Array(count))
    this.correlationOffset = grown(this.correlationOffset, new Uint32Array(count))
    this.correlationBytes = grown(this.correlationBytes, new Uint32Array(count))
    this.causationOffset = grown(this.causationOffset, new Uint32Array(count))
    this.causationBytes = grown(this.causationBytes, new Uint32Array(count))
    this.outcomeOffset = grown(this.outcomeOffset, new Uint32Array(count))
    this.firstRow = grown(this.firstRow, new Uint32Array(count))
  }

  #growRows(): void {
    const count = Math.max(256, this.append.length * 2)
    this.append = grown(this.append, new Uint32Array(count))
    this.version = grown(this.version, new Uint32Array(count))
    this.type = grown(this.type, new Uint16Array(count))
    this.payloadOffset = grown(this.payloadOffset, new Uint32Array(count))
    this.payloadBytes = grown(this.payloadBytes, new Uint32Array(count))
    this.outcomeKind = grown(this.outcomeKind, new Uint8Array(count))
    this.outcomeBytes = grown(this.outcomeBytes, new Uint32Array(count))
  }
}

function grown<T extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(from: T, to: T): T {
  to.set(from)
  return to
}
