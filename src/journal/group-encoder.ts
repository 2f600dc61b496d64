import { assert } from '#base/assert.js'
import { crc32 } from '#base/hash.js'
import { isVariable, type PayloadSlot } from '#schema/index.js'
import { RECEIPT_TYPE } from './append-frame.js'
import { isSameKey } from './byte-key.js'
import { ByteWriter } from './bytes.js'
import { ChunkEncoder } from '#journal/columns/chunk-encoder.js'
import { ENCODING_CONSTANT, ENCODING_RAW } from '#journal/columns/chunk-entry.js'
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
  readonly #data: ByteWriter
  readonly #chunks: ChunkEncoder
  readonly #names = new NameTable()
  #typeRows = new Uint32Array(0)
  /** Rows of the type at hand that have the field at hand: all of #typeRows, or the first ones of #optionalRows. */
  #presentRows = this.#typeRows
  #optionalRows = new Uint32Array(0)
  /** By row from #firstRow on: where the next variable field of its payload begins. */
  #cursors = new Uint32Array(0)
  #firstRow = 0
  #identityDataBytes = 0

  constructor(types: EventTypes, byteCount = 1 << 20) {
    this.#types = types
    this.#data = new ByteWriter(byteCount)
    this.#chunks = new ChunkEncoder(this.#entries, this.#data)
  }

  /** Encodes the rows from `start` to `end` behind `out`. */
  encode(rows: PendingRows, start: number, end: number, out: ByteWriter): EncodedGroup {
    const count = end - start
    this.#directory.clear()
    this.#data.clear()
    this.#chunks.staged.fit(count)
    this.#shared(rows, start, count)
    this.#endSection()
    this.#byType(rows, start, count)

    const first = out.length
    out.copy(this.#directory.bytes, 0, this.#directory.length)
    out.copy(this.#data.bytes, 0, this.#data.length)
    const identityBytes = this.#directory.length + this.#identityDataBytes
    const identityCrc = crc32(out.bytes.subarray(first, first + identityBytes))
    const crc = crc32(out.bytes.subarray(first + identityBytes, out.length), identityCrc)
    return { bytes: out.length - first, identityBytes, identityCrc, crc }
  }

  #shared(rows: PendingRows, start: number, count: number): void {
    this.#chunks.count = 0
    this.#entries.clear()
    this.#narrow(COLUMN_ENTITY, rows.entity, start, count, true)
    this.#narrow(COLUMN_VERSION, rows.version, start, count, true)
    this.#identityDataBytes = this.#data.length
    this.#narrow(COLUMN_TYPE, rows.type, start, count, true)
    this.#wide(COLUMN_AT, rows.at, start, count, true)
    this.#wide(COLUMN_ACCEPTED, rows.accepted, start, count, true)
    this.#narrow(COLUMN_FLAGS, rows.flags, start, count, false)
    this.#sources(rows, start, count)
    this.#wide(COLUMN_SEQUENCE, rows.sequence, start, count, false)
    this.#narrow(COLUMN_OUTCOME_KIND, rows.outcomeKind, start, count, false)
    if (rows.hasStrings) {
      this.#strings(COLUMN_OUTCOME, rows, start, count, rows.outcomeOffset, rows.outcomeBytes)
      this.#strings(COLUMN_CORRELATION, rows, start, count, rows.correlationOffset, rows.correlationBytes)
      this.#strings(COLUMN_CAUSATION, rows, start, count, rows.causationOffset, rows.causationBytes)
    }
    this.#narrow(COLUMN_TERM, rows.term, start, count, false)
    this.#narrow(COLUMN_APPEND_NUMBER, rows.number, start, count, false)
  }

  /** A column of nothing but zeros is left out unless it is required. */
  #narrow(column: number, values: Uint8Array | Uint16Array | Uint32Array, start: number, count: number, isRequired: boolean): void {
    this.#chunks.staged.words.set(values.subarray(start, start + count))
    if (isRequired || hasAny(values, start, count)) this.#chunks.narrowChunk(column, count, 'unsigned', false)
  }

  #wide(column: number, values: Float64Array, start: number, count: number, hasZoneMap: boolean): void {
    if (!hasAny(values, start, count)) return
    this.#chunks.staged.wide.set(values.subarray(start, start + count))
    this.#chunks.wideChunk(column, count, 'whole', hasZoneMap)
  }

  #sources(rows: PendingRows, start: number, count: number): void {
    const { sourceBytes, sourceOffset, memories, memory } = rows
    if (!hasAny(sourceBytes, start, count)) return
    const { words } = this.#chunks.staged
    const names = this.#names.clear()
    for (let index = 0; index < count; index++) {
      const row = start + index
      const length = sourceBytes[row] as number
      words[index] = length === 0 ? 0 : names.number(memories[memory[row] as number] as Memory, sourceOffset[row] as number, length)
    }
    this.#chunks.narrowChunk(COLUMN_SOURCE, count, 'unsigned', false)
    const first = this.#data.length
    this.#data.varint(names.count)
    this.#data.copy(names.content.bytes, 0, names.content.length)
    this.#chunks.byteChunk(COLUMN_SOURCE_NAMES, ENCODING_RAW, first)
  }

  #strings(column: number, rows: PendingRows, start: number, count: number, offsets: Uint32Array, lengths: Uint32Array): void {
    if (!hasAny(lengths, start, count)) return
    this.#chunks.staged.words.set(lengths.subarray(start, start + count))
    this.#chunks.narrowChunk(column, count, 'unsigned', false)
    const first = this.#data.length
    for (let row = start; row < start + count; row++) {
      const length = lengths[row] as number
      const offset = offsets[row] as number
      if (length > 0) this.#data.copy(rows.memories[rows.memory[row] as number]?.bytes as Uint8Array, offset, offset + length)
    }
    this.#chunks.byteChunk(column + 1, ENCODING_RAW, first)
  }

  /** Takes the rows of each event type together, keeping their order, and encodes its columns. */
  #byType(rows: PendingRows, start: number, count: number): void {
    const present = typesOf(rows.type, start, count)
    this.#directory.varint(present.length)
    if (this.#typeRows.length < count) {
      this.#typeRows = new Uint32Array(2 * count)
      this.#optionalRows = new Uint32Array(2 * count)
      this.#cursors = new Uint32Array(2 * count)
    }
    for (const type of present) {
      let own = 0
      for (let row = start; row < start + count; row++) if (rows.type[row] === type) this.#typeRows[own++] = row
      this.#typeSection(type, own, rows, start)
    }
  }

  #typeSection(type: number, count: number, rows: PendingRows, start: number): void {
    const layout = this.#types.layout(type)
    const typeRows = this.#typeRows
    const cursors = this.#cursors
    this.#firstRow = start
    for (let index = 0; index < count; index++) {
      const row = typeRows[index] as number
      cursors[row - start] = (rows.payloadOffset[row] as number) + layout.fixedBytes
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
      const end = (rows.payloadOffset[row] as number) + (rows.payloadBytes[row] as number)
      assert(cursors[row - start] === end, 'the fields of a payload fill it')
    }
  }

  #fixedField(slot: PayloadSlot, column: number, count: number, rows: PendingRows): void {
    const chunks = this.#chunks
    const { kind } = slot.field
    const isWide = kind === 'f64' || kind === 'i64' || kind === 'time'
    const isBool = kind === 'bool'
    const present = this.#presence(slot, column, count, rows)
    if (present === 0) return
    if (isWide) this.#gatherWide(slot.offset, present, rows)
    else if (isBool) this.#gatherBytes(slot.offset, present, rows)
    else this.#gatherNarrow(slot.offset, present, rows)
    if (isWide) chunks.wideChunk(column + PART_VALUES, present, kind === 'f64' ? 'f64' : 'whole', true)
    else chunks.narrowChunk(column + PART_VALUES, present, kind === 'f32' ? 'f32' : kind === 'i32' ? 'signed' : 'unsigned', !isBool)
  }

  #gatherWide(offset: number, count: number, rows: PendingRows): void {
    const presentRows = this.#presentRows
    const { words } = this.#chunks.staged
    const { memories, memory, payloadOffset } = rows
    for (let index = 0; index < count; index++) {
      const row = presentRows[index] as number
      const at = (payloadOffset[row] as number) + offset
      const { view } = memories[memory[row] as number] as Memory
      words[2 * index] = view.getUint32(at, true)
      words[2 * index + 1] = view.getUint32(at + 4, true)
    }
  }

  #gatherNarrow(offset: number, count: number, rows: PendingRows): void {
    const presentRows = this.#presentRows
    const { words } = this.#chunks.staged
    const { memories, memory, payloadOffset } = rows
    for (let index = 0; index < count; index++) {
      const row = presentRows[index] as number
      words[index] = (memories[memory[row] as number] as Memory).view.getUint32((payloadOffset[row] as number) + offset, true)
    }
  }

  #gatherBytes(offset: number, count: number, rows: PendingRows): void {
    const presentRows = this.#presentRows
    const { words } = this.#chunks.staged
    const { memories, memory, payloadOffset } = rows
    for (let index = 0; index < count; index++) {
      const row = presentRows[index] as number
      words[index] = (memories[memory[row] as number] as Memory).view.getUint8((payloadOffset[row] as number) + offset)
    }
  }

  #variableField(slot: PayloadSlot, column: number, count: number, rows: PendingRows): void {
    const chunks = this.#chunks
    const cursors = this.#cursors
    const present = this.#presence(slot, column, count, rows)
    const presentRows = this.#presentRows
    const firstRow = this.#firstRow
    if (present === 0) return
    const { words } = chunks.staged
    const { memories, memory, payloadOffset, payloadBytes } = rows
    this.#gatherNarrow(slot.offset, present, rows)
    let total = 0
    for (let index = 0; index < present; index++) {
      const row = presentRows[index] as number
      const length = words[index] as number
      const end = (cursors[row - firstRow] as number) + length
      assert(end <= (payloadOffset[row] as number) + (payloadBytes[row] as number), 'the fields of a payload lie inside it')
      total += length
    }
    chunks.narrowChunk(column + PART_LENGTHS, present, 'unsigned', false)

    const data = this.#data
    const first = data.reserve(total)
    const { bytes: to, view } = data
    const firstLength = words[0] as number
    let isConstant = true
    let at = first
    for (let index = 0; index < present; index++) {
      const row = presentRows[index] as number
      const { bytes } = memories[memory[row] as number] as Memory
      const length = words[index] as number
      const offset = cursors[row - firstRow] as number
      cursors[row - firstRow] = offset + length
      if (length > LONG_BYTES) to.set(bytes.subarray(offset, offset + length), at)
      else for (let byte = 0; byte < length; byte++) to[at + byte] = bytes[offset + byte] as number
      if (isConstant && index > 0) isConstant = length === firstLength && isSameKey(view, first, view, at, length)
      at += length
    }
    data.length = isConstant ? first + firstLength : at
    chunks.byteChunk(column + PART_VALUES, isConstant ? ENCODING_CONSTANT : ENCODING_RAW, first)
  }

  /** Collects the rows that have the field in #presentRows and, if some have not, writes its presence chunk. Returns how many have it. */
  #presence(slot: PayloadSlot, column: number, count: number, rows: PendingRows): number {
    const typeRows = this.#typeRows
    this.#presentRows = typeRows
    if (slot.presenceBit < 0) return count
    const at = slot.presenceBit >> 3
    const bit = slot.presenceBit & 7
    const { memories, memory, payloadOffset } = rows
    const present = this.#optionalRows
    const data = this.#data
    const bitmapBytes = (count + 7) >> 3
    const bitmap = data.reserve(bitmapBytes)
    data.bytes.fill(0, bitmap, bitmap + bitmapBytes)
    let found = 0
    for (let index = 0; index < count; index++) {
      const row = typeRows[index] as number
      const { view } = memories[memory[row] as number] as Memory
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

/** Up to so many bytes a loop beats the call of a native copy. */
const LONG_BYTES = 32

function hasAny(values: Uint8Array | Uint16Array | Uint32Array | Float64Array, start: number, count: number): boolean {
  for (let index = start; index < start + count; index++) if (values[index] !== 0) return true
  return false
}

/** The event types among the rows, receipts left out, ascending. */
function typesOf(type: Uint16Array, start: number, count: number): number[] {
  const found = new Set<number>()
  let last: number = RECEIPT_TYPE
  for (let row = start; row < start + count; row++) {
    const own = type[row] as number
    if (own !== last) found.add(own)
    last = own
  }
  found.delete(RECEIPT_TYPE)
  return [...found].sort((a, b) => a - b)
}
