import { assert } from '#base/assert.js'
import { crc32 } from '#base/hash.js'
import { isVariable, type PayloadSlot } from '#schema/index.js'
import { RECEIPT_TYPE } from './append-frame.js'
import { isSameKey } from './byte-key.js'
import { ByteWriter } from './bytes.js'
import { ChunkEncoder, ENCODING_CONSTANT, ENCODING_RAW } from '#journal/columns/column-chunk.js'
import type { EventTypes } from './event-types.js'
import { type Memory, NameTable } from './name-table.js'
import type { PendingRows } from './pending-rows.js'
import {
  COLUMN_ACCEPTED,
  COLUMN_APPEND_NUMBER,
  COLUMN_AT,
  COLUMN_CAUSATION,
  COLUMN_CORRELATION,
  COLUMN_ENTITY,
  COLUMN_FLAGS,
  COLUMN_OUTCOME,
  COLUMN_OUTCOME_KIND,
  COLUMN_SEQUENCE,
  COLUMN_SOURCE,
  COLUMN_SOURCE_NAMES,
  COLUMN_TERM,
  COLUMN_TYPE,
  COLUMN_VERSION,
  PART_LENGTHS,
  PART_PRESENCE,
  PART_VALUES,
  PARTS,
} from './row-group.js'

export interface EncodedGroup {
  readonly bytes: number
  readonly identityBytes: number
  readonly identityCrc: number
  readonly crc: number
}

/** Encodes row groups (row-group.ts), straight from the frames. Column by column: one tight loop gathers, one encodes. */
export class GroupEncoder {
  readonly #types: EventTypes
  readonly #directory = new ByteWriter(4096)
  readonly #entries = new ByteWriter(1024)
  readonly #data = new ByteWriter(1 << 20)
  readonly #chunks = new ChunkEncoder(this.#entries, this.#data)
  readonly #names = new NameTable()
  #typeRows = new Uint32Array(0)
  /** Rows of the type at hand that have the field at hand: all of #typeRows, or the first ones of #optionalRows. */
  #presentRows = this.#typeRows
  #optionalRows = new Uint32Array(0)
  /** By row: where the next variable field of its payload begins. */
  #cursors = new Uint32Array(0)
  #identityDataBytes = 0

  constructor(types: EventTypes) {
    this.#types = types
  }

  /** Encodes the rows `order[start..end)` behind `out`. */
  encode(rows: PendingRows, order: Uint32Array, start: number, end: number, out: ByteWriter): EncodedGroup {
    const count = end - start
    this.#directory.clear()
    this.#data.clear()
    this.#chunks.staged.fit(count)
    this.#shared(rows, order, start, count)
    this.#endSection()
    this.#byType(rows, order, start, count)

    const first = out.length
    out.copy(this.#directory.bytes, 0, this.#directory.length)
    out.copy(this.#data.bytes, 0, this.#data.length)
    const identityBytes = this.#directory.length + this.#identityDataBytes
    const identityCrc = crc32(out.bytes.subarray(first, first + identityBytes))
    const crc = crc32(out.bytes.subarray(first + identityBytes, out.length), identityCrc)
    return { bytes: out.length - first, identityBytes, identityCrc, crc }
  }

  #shared(rows: PendingRows, order: Uint32Array, start: number, count: number): void {
    const chunks = this.#chunks
    const { words, wide } = chunks.staged
    const { append } = rows
    chunks.count = 0
    this.#entries.clear()

    const byAppend = (column: number, values: ArrayLike<number>, isRequired = false): void => {
      let any = 0
      for (let index = 0; index < count; index++) any |= words[index] = values[append[order[start + index] as number] as number] as number
      if (any !== 0 || isRequired) chunks.narrowChunk(column, count, 'unsigned', false)
    }
    const byRow = (column: number, values: ArrayLike<number>, isRequired = false): void => {
      let any = 0
      for (let index = 0; index < count; index++) any |= words[index] = values[order[start + index] as number] as number
      if (any !== 0 || isRequired) chunks.narrowChunk(column, count, 'unsigned', false)
    }
    const wideByAppend = (column: number, values: Float64Array, hasZoneMap: boolean): void => {
      let any = false
      for (let index = 0; index < count; index++) {
        const value = values[append[order[start + index] as number] as number] as number
        wide[index] = value
        if (value !== 0) any = true
      }
      if (any) chunks.wideChunk(column, count, 'whole', hasZoneMap)
    }

    byAppend(COLUMN_ENTITY, rows.entity, true)
    byRow(COLUMN_VERSION, rows.version, true)
    this.#identityDataBytes = this.#data.length
    byRow(COLUMN_TYPE, rows.type, true)
    wideByAppend(COLUMN_AT, rows.at, true)
    wideByAppend(COLUMN_ACCEPTED, rows.accepted, true)
    byAppend(COLUMN_FLAGS, rows.flags)
    this.#sources(rows, order, start, count)
    wideByAppend(COLUMN_SEQUENCE, rows.sequence, false)
    byRow(COLUMN_OUTCOME_KIND, rows.outcomeKind)
    this.#strings(COLUMN_OUTCOME, rows, order, start, count, rows.outcomeOffset, rows.outcomeBytes, true)
    this.#strings(COLUMN_CORRELATION, rows, order, start, count, rows.correlationOffset, rows.correlationBytes, false)
    this.#strings(COLUMN_CAUSATION, rows, order, start, count, rows.causationOffset, rows.causationBytes, false)
    byAppend(COLUMN_TERM, rows.term)
    byAppend(COLUMN_APPEND_NUMBER, rows.number)
  }

  #sources(rows: PendingRows, order: Uint32Array, start: number, count: number): void {
    const { words } = this.#chunks.staged
    const names = this.#names.clear()
    let any = 0
    for (let index = 0; index < count; index++) {
      const append = rows.append[order[start + index] as number] as number
      const length = rows.sourceBytes[append] as number
      const memory = rows.memories[rows.memory[append] as number] as Memory
      any |= words[index] = length === 0 ? 0 : names.number(memory, rows.sourceOffset[append] as number, length)
    }
    if (any === 0) return
    this.#chunks.narrowChunk(COLUMN_SOURCE, count, 'unsigned', false)
    const first = this.#data.length
    this.#data.varint(names.count)
    this.#data.copy(names.content.bytes, 0, names.content.length)
    this.#chunks.byteChunk(COLUMN_SOURCE_NAMES, ENCODING_RAW, first)
  }

  #strings(
    column: number,
    rows: PendingRows,
    order: Uint32Array,
    start: number,
    count: number,
    offsets: Uint32Array,
    lengths: Uint32Array,
    isLengthByRow: boolean,
  ): void {
    const { words } = this.#chunks.staged
    let any = 0
    for (let index = 0; index < count; index++) {
      const row = order[start + index] as number
      any |= words[index] = lengths[isLengthByRow ? row : (rows.append[row] as number)] as number
    }
    if (any === 0) return
    this.#chunks.narrowChunk(column, count, 'unsigned', false)
    const first = this.#data.length
    for (let index = 0; index < count; index++) {
      const append = rows.append[order[start + index] as number] as number
      const length = words[index] as number
      const offset = offsets[append] as number
      if (length > 0) this.#data.copy(rows.memories[rows.memory[append] as number]?.bytes as Uint8Array, offset, offset + length)
    }
    this.#chunks.byteChunk(column + 1, ENCODING_RAW, first)
  }

  /** Buckets the rows by event type, keeping their order, and encodes the columns of each. */
  #byType(rows: PendingRows, order: Uint32Array, start: number, count: number): void {
    const counts = new Map<number, number>()
    let lastType = -1
    let run = 0
    for (let index = 0; index < count; index++) {
      const type = rows.type[order[start + index] as number] as number
      if (type !== lastType) {
        if (run > 0) counts.set(lastType, (counts.get(lastType) ?? 0) + run)
        lastType = type
        run = 0
      }
      run++
    }
    if (run > 0) counts.set(lastType, (counts.get(lastType) ?? 0) + run)
    counts.delete(RECEIPT_TYPE)

    const present = [...counts.keys()].sort((a, b) => a - b)
    this.#directory.varint(present.length)
    if (this.#typeRows.length < count) {
      this.#typeRows = new Uint32Array(2 * count)
      this.#optionalRows = new Uint32Array(2 * count)
    }
    if (this.#cursors.length < rows.rowCount) this.#cursors = new Uint32Array(rows.append.length)
    for (const type of present) {
      let own = 0
      for (let index = 0; index < count; index++) {
        const row = order[start + index] as number
        if (rows.type[row] === type) this.#typeRows[own++] = row
      }
      this.#typeSection(type, own, rows)
    }
  }

  #typeSection(type: number, count: number, rows: PendingRows): void {
    const layout = this.#types.layout(type)
    const typeRows = this.#typeRows
    const cursors = this.#cursors
    for (let index = 0; index < count; index++) {
      const row = typeRows[index] as number
      cursors[row] = (rows.payloadOffset[row] as number) + layout.fixedBytes
    }
    this.#directory.varint(type)
    this.#directory.varint(count)
    this.#directory.varint(layout.slots.length)
    this.#chunks.count = 0
    this.#entries.clear()
    layout.slots.forEach((slot, field) => {
      if (isVariable(slot.field.kind)) this.#variableField(slot, field * PARTS, count, rows)
      else this.#fixedField(slot, field * PARTS, count, rows)
    })
    this.#endSection()
    for (let index = 0; index < count; index++) {
      const row = typeRows[index] as number
      assert(cursors[row] === (rows.payloadOffset[row] as number) + (rows.payloadBytes[row] as number), 'the fields of a payload fill it')
    }
  }

  #fixedField(slot: PayloadSlot, column: number, count: number, rows: PendingRows): void {
    const chunks = this.#chunks
    const { kind } = slot.field
    const isWide = kind === 'f64' || kind === 'i64' || kind === 'time'
    const isBool = kind === 'bool'
    const present = this.#presence(slot, column, count, rows)
    const presentRows = this.#presentRows
    if (present === 0) return
    const { words } = chunks.staged
    const { memories, memory, append, payloadOffset } = rows
    for (let index = 0; index < present; index++) {
      const row = presentRows[index] as number
      const at = (payloadOffset[row] as number) + slot.offset
      const { view } = memories[memory[append[row] as number] as number] as { view: DataView }
      if (isWide) {
        words[2 * index] = view.getUint32(at, true)
        words[2 * index + 1] = view.getUint32(at + 4, true)
      } else words[index] = isBool ? view.getUint8(at) : view.getUint32(at, true)
    }
    if (isWide) chunks.wideChunk(column + PART_VALUES, present, kind === 'f64' ? 'f64' : 'whole', true)
    else chunks.narrowChunk(column + PART_VALUES, present, kind === 'f32' ? 'f32' : kind === 'i32' ? 'signed' : 'unsigned', !isBool)
  }

  #variableField(slot: PayloadSlot, column: number, count: number, rows: PendingRows): void {
    const chunks = this.#chunks
    const cursors = this.#cursors
    const present = this.#presence(slot, column, count, rows)
    const presentRows = this.#presentRows
    if (present === 0) return
    const { words } = chunks.staged
    const { memories, memory, append, payloadOffset, payloadBytes } = rows
    for (let index = 0; index < present; index++) {
      const row = presentRows[index] as number
      const { view } = memories[memory[append[row] as number] as number] as { view: DataView }
      words[index] = view.getUint32((payloadOffset[row] as number) + slot.offset, true)
    }
    chunks.narrowChunk(column + PART_LENGTHS, present, 'unsigned', false)

    const data = this.#data
    const first = data.length
    const firstLength = words[0] as number
    let isConstant = true
    for (let index = 0; index < present; index++) {
      const row = presentRows[index] as number
      const { bytes } = memories[memory[append[row] as number] as number] as { bytes: Uint8Array }
      const length = words[index] as number
      const offset = cursors[row] as number
      assert(offset + length <= (payloadOffset[row] as number) + (payloadBytes[row] as number), 'the fields of a payload lie inside it')
      cursors[row] = offset + length
      const at = data.length
      data.copy(bytes, offset, offset + length)
      if (isConstant && index > 0) isConstant = length === firstLength && isSameKey(data.view, first, data.view, at, length)
    }
    if (isConstant) data.length = first + firstLength
    chunks.byteChunk(column + PART_VALUES, isConstant ? ENCODING_CONSTANT : ENCODING_RAW, first)
  }

  /** Collects the rows that have the field in #presentRows and, if some have not, writes its presence chunk. Returns how many have it. */
  #presence(slot: PayloadSlot, column: number, count: number, rows: PendingRows): number {
    const typeRows = this.#typeRows
    this.#presentRows = typeRows
    if (slot.presenceBit < 0) return count
    const at = slot.presenceBit >> 3
    const bit = slot.presenceBit & 7
    const { memories, memory, append, payloadOffset } = rows
    const present = this.#optionalRows
    const data = this.#data
    const bitmapBytes = (count + 7) >> 3
    const bitmap = data.reserve(bitmapBytes)
    data.bytes.fill(0, bitmap, bitmap + bitmapBytes)
    let found = 0
    for (let index = 0; index < count; index++) {
      const row = typeRows[index] as number
      const { view } = memories[memory[append[row] as number] as number] as { view: DataView }
      if (((view.getUint8((payloadOffset[row] as number) + at) >> bit) & 1) === 0) continue
      present[found++] = row
      const byte = bitmap + (index >> 3)
      data.bytes[byte] = (data.bytes[byte] as number) | (1 << (index & 7))
    }
    if (found === count) return count
    this.#presentRows = present
    data.length += bitmapBytes
    this.#chunks.byteChunk(column + PART_PRESENCE, ENCODING_RAW, bitmap)
    return found
  }

  /** Moves the entries of one section behind their count into the directory. */
  #endSection(): void {
    this.#directory.varint(this.#chunks.count)
    this.#directory.copy(this.#entries.bytes, 0, this.#entries.length)
  }
}
