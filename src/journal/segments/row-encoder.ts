import { crc32 } from '#base/hash.js'
import { RECEIPT_TYPE } from '#journal/append-frame.js'
import { ByteWriter } from '#journal/bytes.js'
import { ChunkChooser } from '#journal/columns/chunk-chooser.js'
import { ENCODING_RAW } from '#journal/columns/chunk-entry.js'
import type { EncodedGroup } from '#journal/group-encoder.js'
import {
  COLUMN_ACCEPTED,
  COLUMN_APPEND_NUMBER,
  COLUMN_AT,
  COLUMN_BLOCK_ORDINAL,
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
} from '#journal/row-group.js'
import { type Chunks, PlainChunks } from './plain-chunks.js'
import type { SegmentRows } from './segment-rows.js'
import type { FieldRows, StringColumn, TypeRows } from './type-rows.js'

/** Encodes row groups (row-group.ts) from rows that were taken apart: column by column, one loop gathers, one encodes. */
export class RowEncoder {
  readonly #rows: SegmentRows
  readonly #keepsOrdinals: boolean
  readonly #directory = new ByteWriter(4096)
  readonly #entries = new ByteWriter(1024)
  readonly #data = new ByteWriter(1 << 20)
  readonly #chunks: Chunks
  /** Byte strings gathered for one chunk. */
  readonly #gathered = new ByteWriter(1 << 16)
  #starts = new Uint32Array(0)
  /** Of the rows at hand of one type: their ranks; and those among them that have the field at hand. */
  #ranks = new Uint32Array(0)
  #present = new Uint32Array(0)
  #identityDataBytes = 0

  /** `keepsOrdinals`: for clustered blocks, whose rows say which original block they are from. `isPlain`: no time is taken for making it small. */
  constructor(rows: SegmentRows, { keepsOrdinals, isPlain }: { readonly keepsOrdinals: boolean; readonly isPlain: boolean }) {
    this.#rows = rows
    this.#keepsOrdinals = keepsOrdinals
    this.#chunks = new (isPlain ? PlainChunks : ChunkChooser)(this.#entries, this.#data)
  }

  /** Encodes the rows `order[start..end)` behind `out`. */
  encode(order: Uint32Array, start: number, end: number, out: ByteWriter): EncodedGroup {
    const count = end - start
    this.#directory.clear()
    this.#data.clear()
    this.#chunks.staged.fit(count)
    if (this.#starts.length <= count) this.#starts = new Uint32Array(count * 2 + 1)
    this.#shared(order, start, count)
    this.#endSection()
    this.#byType(order, start, count)

    const first = out.length
    out.copy(this.#directory.bytes, 0, this.#directory.length)
    out.copy(this.#data.bytes, 0, this.#data.length)
    const identityBytes = this.#directory.length + this.#identityDataBytes
    const identityCrc = crc32(out.bytes.subarray(first, first + identityBytes))
    const crc = crc32(out.bytes.subarray(first + identityBytes, out.length), identityCrc)
    return { bytes: out.length - first, identityBytes, identityCrc, crc }
  }

  #shared(order: Uint32Array, start: number, count: number): void {
    const rows = this.#rows
    this.#beginSection()
    this.#narrow(COLUMN_ENTITY, rows.entity, order, start, count, true)
    this.#narrow(COLUMN_VERSION, rows.version, order, start, count, true)
    this.#identityDataBytes = this.#data.length
    this.#narrow(COLUMN_TYPE, rows.type, order, start, count, true)
    this.#wide(COLUMN_AT, rows.at, order, start, count, true)
    this.#wide(COLUMN_ACCEPTED, rows.accepted, order, start, count, true)
    this.#narrow(COLUMN_FLAGS, rows.flags, order, start, count)
    this.#sources(order, start, count)
    this.#wide(COLUMN_SEQUENCE, rows.sequence, order, start, count, false)
    this.#narrow(COLUMN_OUTCOME_KIND, rows.outcomeKind, order, start, count)
    this.#strings(COLUMN_OUTCOME, rows.outcome, order, start, count)
    this.#strings(COLUMN_CORRELATION, rows.correlation, order, start, count)
    this.#strings(COLUMN_CAUSATION, rows.causation, order, start, count)
    this.#narrow(COLUMN_TERM, rows.term, order, start, count)
    this.#narrow(COLUMN_APPEND_NUMBER, rows.appendNumber, order, start, count)
    if (this.#keepsOrdinals) this.#narrow(COLUMN_BLOCK_ORDINAL, rows.ordinal, order, start, count)
  }

  #narrow(column: number, values: Uint32Array, order: Uint32Array, start: number, count: number, isRequired = false): void {
    const { words } = this.#chunks.staged
    let any = 0
    for (let index = 0; index < count; index++) any |= words[index] = values[order[start + index] as number] as number
    if (any !== 0 || isRequired) this.#chunks.narrowChunk(column, count, 'unsigned', false)
  }

  #wide(column: number, values: Float64Array, order: Uint32Array, start: number, count: number, hasZoneMap: boolean): void {
    const { wide, words } = this.#chunks.staged
    let any = 0
    for (let index = 0; index < count; index++) {
      wide[index] = values[order[start + index] as number] as number
      any |= (words[2 * index] as number) | (words[2 * index + 1] as number)
    }
    if (any !== 0) this.#chunks.wideChunk(column, count, 'whole', hasZoneMap)
  }

  /** Names are numbered anew, in order of appearance. */
  #sources(order: Uint32Array, start: number, count: number): void {
    const rows = this.#rows
    const { words } = this.#chunks.staged
    const numbers = new Map<number, number>([[0, 0]])
    for (let index = 0; index < count; index++) {
      const source = rows.source[order[start + index] as number] as number
      let number = numbers.get(source)
      if (number === undefined) numbers.set(source, (number = numbers.size))
      words[index] = number
    }
    if (numbers.size === 1) return
    this.#chunks.narrowChunk(COLUMN_SOURCE, count, 'unsigned', false)
    const first = this.#data.length
    this.#data.varint(numbers.size - 1)
    for (const source of numbers.keys()) {
      if (source === 0) continue
      const name = rows.sources[source - 1] as Uint8Array
      this.#data.varint(name.length)
      this.#data.copy(name)
    }
    this.#chunks.byteChunk(COLUMN_SOURCE_NAMES, ENCODING_RAW, first)
  }

  #strings(column: number, strings: StringColumn, order: Uint32Array, start: number, count: number): void {
    let any = 0
    if (strings.lengths.length === 0) return
    for (let index = 0; index < count; index++) any |= strings.lengths[order[start + index] as number] as number
    if (any === 0) return
    this.#gathered.clear()
    for (let index = 0; index < count; index++) this.#gather(strings, order[start + index] as number, index)
    this.#starts[count] = this.#gathered.length
    this.#chunks.variableChunk(column, count, this.#starts, this.#gathered.bytes)
  }

  #gather(strings: StringColumn, row: number, index: number): void {
    this.#starts[index] = this.#gathered.length
    const from = strings.starts[row] as number
    const length = strings.lengths[row] ?? 0
    if (length > 0) this.#gathered.copy(this.#rows.arena.bytes, from, from + length)
  }

  #byType(order: Uint32Array, start: number, count: number): void {
    const rows = this.#rows
    const counts = new Map<number, number>()
    for (let index = 0; index < count; index++) {
      const type = rows.type[order[start + index] as number] as number
      counts.set(type, (counts.get(type) ?? 0) + 1)
    }
    counts.delete(RECEIPT_TYPE)
    if (this.#ranks.length < count) {
      this.#ranks = new Uint32Array(count * 2)
      this.#present = new Uint32Array(count * 2)
    }
    this.#directory.varint(counts.size)
    for (const type of [...counts.keys()].sort((a, b) => a - b)) {
      let own = 0
      for (let index = 0; index < count; index++) {
        const row = order[start + index] as number
        if (rows.type[row] === type) this.#ranks[own++] = rows.typeRank[row] as number
      }
      this.#typeSection(rows.typeRows(type), own)
    }
  }

  #typeSection(type: TypeRows, count: number): void {
    this.#directory.varint(type.typeNumber)
    this.#directory.varint(count)
    this.#directory.varint(type.fieldCount)
    this.#beginSection()
    for (let index = 0; index < type.fieldCount; index++) this.#field(type.fields[index] as FieldRows, index * PARTS, count)
    this.#endSection()
  }

  #field(field: FieldRows, column: number, count: number): void {
    const chunks = this.#chunks
    const present = this.#presence(field, column, count)
    if (present === 0) return
    const ranks = this.#present
    if (field.isVariable) {
      this.#gathered.clear()
      for (let index = 0; index < present; index++) this.#gather(field.strings, ranks[index] as number, index)
      this.#starts[present] = this.#gathered.length
      return chunks.variableChunk(column + PART_LENGTHS, present, this.#starts, this.#gathered.bytes)
    }
    const { words } = chunks.staged
    const values = field.words
    if (field.isWide) {
      for (let index = 0; index < present; index++) {
        const rank = ranks[index] as number
        words[2 * index] = values[2 * rank] as number
        words[2 * index + 1] = values[2 * rank + 1] as number
      }
      return chunks.wideChunk(column + PART_VALUES, present, field.kind === 'f64' ? 'f64' : 'whole', true)
    }
    for (let index = 0; index < present; index++) words[index] = values[ranks[index] as number] as number
    const kind = field.kind === 'f32' ? 'f32' : field.kind === 'i32' ? 'signed' : 'unsigned'
    chunks.narrowChunk(column + PART_VALUES, present, kind, field.kind !== 'bool')
  }

  /** Collects the ranks that have the field in #present and, if some have not, writes its presence chunk. Returns how many have it. */
  #presence(field: FieldRows, column: number, count: number): number {
    const data = this.#data
    const bitmapBytes = (count + 7) >> 3
    const bitmap = data.reserve(bitmapBytes)
    data.bytes.fill(0, bitmap, bitmap + bitmapBytes)
    let found = 0
    for (let index = 0; index < count; index++) {
      const rank = this.#ranks[index] as number
      if (field.presence[rank] === 0) continue
      this.#present[found++] = rank
      const byte = bitmap + (index >> 3)
      data.bytes[byte] = (data.bytes[byte] as number) | (1 << (index & 7))
    }
    if (found === count) return count
    data.length += bitmapBytes
    this.#chunks.byteChunk(column + PART_PRESENCE, ENCODING_RAW, bitmap)
    return found
  }

  #beginSection(): void {
    this.#chunks.count = 0
    this.#entries.clear()
  }

  /** Moves the entries of one section behind their count into the directory. */
  #endSection(): void {
    this.#directory.varint(this.#chunks.count)
    this.#directory.copy(this.#entries.bytes, 0, this.#entries.length)
  }
}
