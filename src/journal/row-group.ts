import { crc32 } from '#base/hash.js'
import { isVariable } from '#schema/index.js'
import type { BlockGroup } from './block-format.js'
import { ByteReader, Damage } from './bytes.js'
import { decodeNarrow, decodeWide } from '#journal/columns/chunk-decoder.js'
import { type ChunkEntry, ENCODING_RAW, newerEncoding, openChunk, readEntry } from '#journal/columns/chunk-entry.js'
import { ColumnBuffer } from '#journal/columns/column-buffer.js'
import type { ZoneMap } from '#journal/columns/zone-map.js'
import { decodeVariable, type VariableColumn } from '#journal/columns/variable.js'
import type { EventType } from './journal.js'
import { newerFormat } from './block-format.js'

/**
 * A row group: rows of a contiguous run of shards with column chunks of their own, so that they decode without the rest of the block.
 *
 *   directory  varint count, then entries (columns/chunk-entry.ts) of the shared columns, ascending;
 *              varint count of types, then per event type, ascending: varint type number, varint rows, varint fields that the type had,
 *              varint count, then entries of its columns, ascending
 *   data       of all chunks in the order of their entries
 *
 * A shared column of nothing but zeros or empty values is left out, save entity, version and type. The columns of a type have the rows of
 * that type only, in row order; column = 4 × field index + part. A field whose values are all there has no presence chunk; one with
 * absent values has the values that are there, close together, and one bit per row of the type (bit 0 of byte 0 first, 1 = there).
 */
export const COLUMN_ENTITY = 1
export const COLUMN_VERSION = 2
export const COLUMN_TYPE = 3
export const COLUMN_AT = 4
export const COLUMN_ACCEPTED = 5
export const COLUMN_FLAGS = 6
/** 0 = the row has no source, else 1 + index in COLUMN_SOURCE_NAMES. */
export const COLUMN_SOURCE = 7
/** A byte column, not one value per row: varint count, then per name varint bytes, UTF-8. */
export const COLUMN_SOURCE_NAMES = 8
export const COLUMN_SEQUENCE = 9
export const COLUMN_OUTCOME_KIND = 10
/** Lengths, and in the next column the bytes: also of correlation and causation. */
export const COLUMN_OUTCOME = 11
export const COLUMN_CORRELATION = 13
export const COLUMN_CAUSATION = 15
export const COLUMN_TERM = 17
export const COLUMN_APPEND_NUMBER = 18
/** Of clustered blocks: the original block, counted within the segment, that the row was stored in first. */
export const COLUMN_BLOCK_ORDINAL = 19
const SHARED_COLUMNS = COLUMN_BLOCK_ORDINAL + 1

export const PART_PRESENCE = 0
/** Byte lengths of a variable field. */
export const PART_LENGTHS = 1
/** The values of a fixed field, or the bytes of a variable one. */
export const PART_VALUES = 2
export const PARTS = 4

/** The columns of one event type in a group. */
export interface TypeSection {
  readonly typeNumber: number
  readonly rowCount: number
  /** Fields that the type had when the block was written; columns of later ones are not here. */
  readonly fieldCount: number
  /** By column. */
  readonly chunks: readonly (ChunkEntry | undefined)[]
}

export type { VariableColumn }

/** More rows than this no group has: a longer one is damaged. */
const GROUP_ROWS_MAX = 1 << 22

/** One group opened for reading; made once and pointed at group after group. Columns are decoded when asked for, and stay until the next `open`. */
export class RowGroup {
  rowCount = 0
  sections: readonly TypeSection[] = []
  #reader: ByteReader | undefined
  #shared: readonly (ChunkEntry | undefined)[] = []
  readonly #columns = Array.from({ length: SHARED_COLUMNS }, () => new ColumnBuffer())
  readonly #decoded = new Uint8Array(SHARED_COLUMNS)

  /** Checks the CRC and parses the directory. Throws Damage. */
  open(block: Uint8Array, group: BlockGroup): this {
    if (crc32(block.subarray(group.offset, group.offset + group.bytes)) !== group.crc)
      throw new Damage('the checksum of a row group is wrong')
    return this.openUnchecked(block, group)
  }

  /** For verify, which reads the identity of rows in a group whose CRC is wrong. */
  openUnchecked(block: Uint8Array, group: BlockGroup): this {
    const reader = new ByteReader(block, group.offset, group.offset + group.bytes)
    const entries: ChunkEntry[] = []
    if (group.rowCount > GROUP_ROWS_MAX) throw new Damage('a row group has more rows than one can have')
    this.rowCount = group.rowCount
    this.#shared = readEntries(reader, SHARED_COLUMNS - 1, entries)
    const sections: TypeSection[] = []
    let rows = 0
    for (let count = reader.varint(); count > 0; count--) {
      const typeNumber = reader.varint()
      const rowCount = reader.varint()
      const fieldCount = reader.varint()
      sections.push({ typeNumber, rowCount, fieldCount, chunks: readEntries(reader, fieldCount * PARTS - 1, entries) })
      rows += rowCount
    }
    if (rows > group.rowCount) throw new Damage('its event types have more rows than it has')
    let offset = reader.at
    for (const entry of entries) {
      entry.offset = offset
      offset += entry.bytes
    }
    if (offset !== reader.end) throw new Damage('its chunks do not fill a row group')
    for (const column of [COLUMN_ENTITY, COLUMN_VERSION, COLUMN_TYPE])
      if (this.#shared[column] === undefined) throw new Damage('it lacks a column')
    this.sections = sections
    this.#reader = reader
    this.#decoded.fill(0)
    return this
  }

  /** What the directory knows of a shared column; undefined when it knows nothing. */
  zone(column: number): ZoneMap | undefined {
    return this.#shared[column]?.zone
  }

  /** A shared column of u32 values. */
  narrow(column: number): Uint32Array {
    const buffer = this.#columns[column] as ColumnBuffer
    if (this.#decoded[column] === 0) {
      this.#decoded[column] = 1
      const chunk = this.#shared[column]
      if (chunk === undefined) buffer.fit(this.rowCount).words.fill(0, 0, this.rowCount)
      else decodeNarrow(chunk, this.#bytes, this.rowCount, buffer)
    }
    return buffer.words
  }

  /** A shared column of float64 values. */
  wide(column: number): Float64Array {
    const buffer = this.#columns[column] as ColumnBuffer
    if (this.#decoded[column] === 0) {
      this.#decoded[column] = 1
      const chunk = this.#shared[column]
      if (chunk === undefined) buffer.fit(this.rowCount).wide.fill(0, 0, this.rowCount)
      else decodeWide(chunk, this.#bytes, this.rowCount, buffer)
    }
    return buffer.wide
  }

  /** A shared column of byte strings, or undefined when all are empty. */
  variable(column: number, out: VariableColumn): VariableColumn | undefined {
    const lengths = this.#shared[column]
    const bytes = this.#shared[column + 1]
    if (lengths === undefined) return undefined
    return decodeVariable(lengths, bytes, this.#bytes, this.rowCount, this.#columns[column] as ColumnBuffer, out)
  }

  /** The names that COLUMN_SOURCE counts from 1. */
  sourceNames(): Uint8Array[] {
    const chunk = this.#shared[COLUMN_SOURCE_NAMES]
    if (chunk === undefined) return []
    const { bytes, at, end } = openChunk(chunk, this.#bytes)
    const reader = new ByteReader(bytes, at, end)
    return Array.from({ length: boundedCount(reader) }, () => reader.slice(reader.varint()))
  }

  /** The reader of the whole block that chunk offsets refer to. */
  get #bytes(): ByteReader {
    if (this.#reader === undefined) throw new Damage('no row group is open')
    return this.#reader
  }

  get blockReader(): ByteReader {
    return this.#bytes
  }
}

/** The columns of a type section by field, decoded; absent values are spread out so that index i is row i of the section. */
export class FieldColumn {
  readonly values = new ColumnBuffer()
  readonly variable: VariableColumn = { bytes: new Uint8Array(0), starts: new Uint32Array(0), isConstant: false }
  /** 1 = there, per row; undefined when all are. */
  presence: Uint8Array | undefined
  readonly #lengths = new ColumnBuffer()
  #presence = new Uint8Array(0)

  /** Decodes field `index` of the section. The field must have been declared when the block was written. */
  open(section: TypeSection, index: number, type: EventType, block: ByteReader): this {
    const kind = type.fields[index]?.kind
    if (kind === undefined) throw new Damage(`it has fields that event type ${type.entity}.${type.event} lacks`)
    const present = this.#openPresence(section.chunks[index * PARTS + PART_PRESENCE], section.rowCount, block)
    const values = section.chunks[index * PARTS + PART_VALUES]
    if (isVariable(kind)) {
      const lengths = section.chunks[index * PARTS + PART_LENGTHS]
      if (lengths === undefined) {
        if (present > 0) throw new Damage('it lacks a column')
        this.variable.isConstant = true
        this.variable.bytes = new Uint8Array(0)
        return this
      }
      decodeVariable(lengths, values, block, present, this.#lengths, this.variable)
      if (present < section.rowCount && !this.variable.isConstant) this.#spreadStarts(section.rowCount, present)
      return this
    }
    if (values === undefined) {
      if (present > 0) throw new Damage('it lacks a column')
      this.values.fit(section.rowCount)
      return this
    }
    const isWide = kind === 'f64' || kind === 'i64' || kind === 'time'
    this.values.fit(section.rowCount)
    if (isWide) decodeWide(values, block, present, this.values)
    else decodeNarrow(values, block, present, this.values)
    if (present < section.rowCount) this.#spread(section.rowCount, present, isWide)
    return this
  }

  #openPresence(chunk: ChunkEntry | undefined, rowCount: number, block: ByteReader): number {
    this.presence = undefined
    if (chunk === undefined) return rowCount
    if (chunk.encoding !== ENCODING_RAW) throw newerEncoding(chunk.encoding)
    const { bytes, at, left } = openChunk(chunk, block)
    if (left !== (rowCount + 7) >> 3) throw new Damage('a chunk has the wrong length')
    if (this.#presence.length < rowCount) this.#presence = new Uint8Array(rowCount)
    this.presence = this.#presence
    let present = 0
    for (let row = 0; row < rowCount; row++) {
      const bit = ((bytes[at + (row >> 3)] as number) >> (row & 7)) & 1
      this.#presence[row] = bit
      present += bit
    }
    return present
  }

  #spread(rowCount: number, present: number, isWide: boolean): void {
    const { words } = this.values
    for (let row = rowCount - 1, from = present - 1; row >= 0 && from >= 0; row--) {
      if (this.#presence[row] === 0) continue
      if (isWide) {
        words[2 * row + 1] = words[2 * from + 1] as number
        words[2 * row] = words[2 * from] as number
      } else words[row] = words[from] as number
      from--
    }
  }

  #spreadStarts(rowCount: number, present: number): void {
    const { starts } = this.variable
    const spread = new Uint32Array(rowCount + 1)
    for (let row = 0, from = 0; row < rowCount; row++) {
      spread[row] = starts[from] as number
      if (this.#presence[row] === 1) from++
      spread[row + 1] = starts[Math.min(from, present)] as number
    }
    this.variable.starts = spread
  }
}

function readEntries(reader: ByteReader, columnMax: number, all: ChunkEntry[]): (ChunkEntry | undefined)[] {
  const chunks: (ChunkEntry | undefined)[] = []
  let last = -1
  for (let count = reader.varint(); count > 0; count--) {
    const entry = readEntry(reader)
    if (entry.column <= last) throw new Damage('its columns are out of order')
    if (entry.column > columnMax) throw newerFormat('column', entry.column)
    last = entry.column
    chunks[last] = entry
    all.push(entry)
  }
  return chunks
}

function boundedCount(reader: ByteReader): number {
  const count = reader.varint()
  if (count > reader.left) throw new Damage('a list in it is longer than its bytes')
  return count
}
