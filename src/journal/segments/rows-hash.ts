import { createHash, type Hash } from 'node:crypto'
import type { SegmentRows } from './segment-rows.js'
import type { FieldRows, StringColumn } from './type-rows.js'

/** Rows whose values are gathered at once. */
const PIECE_ROWS = 16_384
const PIECE_BYTES = 1 << 20

/**
 * What rows say, whatever blocks they stand in and however these are encoded: SHA-256 over the columns of all rows in order of position, one
 * behind the other, little-endian.
 *
 *   u64 rows
 *   u32 shard, u32 entity, u32 version, u32 type, f64 at, f64 accepted, u32 flags, string source, f64 sequence, u32 outcome kind, string outcome,
 *   string correlation, string causation, u32 term, u32 append number
 *   per event type that has rows, ascending: u32 type number, u32 rows, u32 fields; per field: u8 presence (1: the row has it), then of those that have it
 *   the values: f64, 32 bits, or string
 *
 * A string column has the u32 lengths of all, then the bytes of all.
 *
 * `order` has the rows by position.
 */
export function hashRows(rows: SegmentRows, order: Uint32Array): Uint8Array {
  const hasher = new ColumnHasher(rows, order)
  hasher.count(rows.rowCount)
  for (const column of [rows.shard, rows.entity, rows.version, rows.type]) hasher.narrow(column)
  hasher.wide(rows.at)
  hasher.wide(rows.accepted)
  hasher.narrow(rows.flags)
  hasher.sources()
  hasher.wide(rows.sequence)
  hasher.narrow(rows.outcomeKind)
  for (const column of [rows.outcome, rows.correlation, rows.causation]) hasher.strings(column, order, rows.rowCount)
  hasher.narrow(rows.term)
  hasher.narrow(rows.appendNumber)
  hasher.types()
  return hasher.digest()
}

class ColumnHasher {
  readonly #rows: SegmentRows
  readonly #order: Uint32Array
  readonly #hash: Hash = createHash('sha256')
  readonly #words = new Uint32Array(PIECE_ROWS * 2)
  readonly #wide = new Float64Array(this.#words.buffer)
  readonly #bytes = Buffer.alloc(PIECE_BYTES)

  constructor(rows: SegmentRows, order: Uint32Array) {
    this.#rows = rows
    this.#order = order
  }

  digest(): Uint8Array {
    return new Uint8Array(this.#hash.digest())
  }

  count(rowCount: number): void {
    this.#wordsOf(rowCount, 0)
  }

  narrow(values: Uint32Array): void {
    this.#narrow(values, this.#order, this.#rows.rowCount)
  }

  wide(values: Float64Array): void {
    const order = this.#order
    this.#pieces(this.#rows.rowCount, (from, count) => {
      for (let index = 0; index < count; index++) this.#wide[index] = values[order[from + index] as number] as number
      return count * 8
    })
  }

  /** By what they are called: numbers of names are no part of a row. */
  sources(): void {
    const { source, sources, rowCount } = this.#rows
    const order = this.#order
    this.#pieces(rowCount, (from, count) => {
      for (let index = 0; index < count; index++) {
        const number = source[order[from + index] as number] as number
        this.#words[index] = number === 0 ? 0 : (sources[number - 1] as Uint8Array).length
      }
      return count * 4
    })
    let filled = 0
    for (let index = 0; index < rowCount; index++) {
      const number = source[order[index] as number] as number
      if (number > 0) filled = this.#fill(filled, sources[number - 1] as Uint8Array, 0, (sources[number - 1] as Uint8Array).length)
    }
    this.#hash.update(this.#bytes.subarray(0, filled))
  }

  strings({ starts, lengths }: StringColumn, order: Uint32Array, count: number): void {
    this.#narrow(lengths, order, count)
    if (lengths.length === 0) return
    const { bytes } = this.#rows.arena
    let filled = 0
    for (let index = 0; index < count; index++) {
      const row = order[index] as number
      const length = lengths[row] ?? 0
      if (length > 0) filled = this.#fill(filled, bytes, starts[row] as number, length)
    }
    this.#hash.update(this.#bytes.subarray(0, filled))
  }

  types(): void {
    const { type, typeRank, rowCount, types } = this.#rows
    const order = this.#order
    for (const own of types) {
      this.#wordsOf(own.typeNumber, own.rowCount, own.fieldCount)
      const ranks = new Uint32Array(own.rowCount)
      let count = 0
      for (let index = 0; index < rowCount; index++) {
        const row = order[index] as number
        if (type[row] === own.typeNumber) ranks[count++] = typeRank[row] as number
      }
      for (const field of own.fields.slice(0, own.fieldCount)) this.#field(field, ranks)
    }
  }

  #field(field: FieldRows, ranks: Uint32Array): void {
    const { presence } = field
    this.#pieces(ranks.length, (from, count) => {
      for (let index = 0; index < count; index++) this.#bytes[index] = presence[ranks[from + index] as number] as number
      this.#hash.update(this.#bytes.subarray(0, count))
      return 0
    })
    const present = ranks.filter((rank) => presence[rank] === 1)
    if (field.isVariable) return this.strings(field.strings, present, present.length)
    if (!field.isWide) return this.#narrow(field.words, present, present.length)
    const values = field.words
    this.#pieces(present.length, (from, count) => {
      for (let index = 0; index < count; index++) {
        const rank = present[from + index] as number
        this.#words[2 * index] = values[2 * rank] as number
        this.#words[2 * index + 1] = values[2 * rank + 1] as number
      }
      return count * 8
    })
  }

  #narrow(values: Uint32Array, order: Uint32Array, rowCount: number): void {
    this.#pieces(rowCount, (from, count) => {
      for (let index = 0; index < count; index++) this.#words[index] = values[order[from + index] as number] as number
      return count * 4
    })
  }

  #pieces(rowCount: number, gather: (from: number, count: number) => number): void {
    for (let from = 0; from < rowCount; from += PIECE_ROWS) {
      const bytes = gather(from, Math.min(PIECE_ROWS, rowCount - from))
      this.#hash.update(new Uint8Array(this.#words.buffer, 0, bytes))
    }
  }

  #fill(filled: number, from: Uint8Array, start: number, length: number): number {
    if (length > PIECE_BYTES) {
      this.#hash.update(this.#bytes.subarray(0, filled))
      this.#hash.update(from.subarray(start, start + length))
      return 0
    }
    let at = filled
    if (at + length > PIECE_BYTES) {
      this.#hash.update(this.#bytes.subarray(0, at))
      at = 0
    }
    if (length > 24) this.#bytes.set(from.subarray(start, start + length), at)
    else for (let index = 0; index < length; index++) this.#bytes[at + index] = from[start + index] as number
    return at + length
  }

  #wordsOf(...values: readonly number[]): void {
    this.#words.set(values)
    this.#hash.update(new Uint8Array(this.#words.buffer, 0, values.length * 4))
  }
}
