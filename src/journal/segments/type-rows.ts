import type { ByteReader, ByteWriter } from '#journal/bytes.js'
import type { EventType } from '#journal/journal.js'
import type { FieldColumn, TypeSection, VariableColumn } from '#journal/row-group.js'
import { type FieldKind, isVariable } from '#schema/index.js'

/** Byte strings by row, as places in an arena. */
export class StringColumn {
  starts = new Uint32Array(0)
  lengths = new Uint32Array(0)

  /** Takes the strings of rows `kept[0..count)` as those from `at` on; nothing to take from means that all are empty. */
  take(from: VariableColumn | undefined, kept: Uint32Array, count: number, at: number, arena: ByteWriter): void {
    // While all are empty nothing is kept: what is not there is read as 0.
    if (from === undefined && this.starts.length === 0) return
    this.#fit(at + count)
    const { starts, lengths } = this
    if (from === undefined) {
      lengths.fill(0, at, at + count)
      return
    }
    if (from.isConstant) {
      starts.fill(arena.length, at, at + count)
      lengths.fill(from.bytes.length, at, at + count)
      arena.copy(from.bytes)
      return
    }
    for (let index = 0; index < count; index++) {
      const row = kept[index] as number
      const start = from.starts[row] as number
      const end = from.starts[row + 1] as number
      starts[at + index] = arena.length
      lengths[at + index] = end - start
      if (end > start) arena.copy(from.bytes, start, end)
    }
  }

  #fit(count: number): void {
    if (this.starts.length >= count) return
    const starts = new Uint32Array(Math.max(1024, count * 2))
    starts.set(this.starts)
    this.starts = starts
    const lengths = new Uint32Array(starts.length)
    lengths.set(this.lengths)
    this.lengths = lengths
  }
}

/** The values of one field by rank among the rows of its type. */
export class FieldRows {
  readonly kind: FieldKind
  readonly isWide: boolean
  readonly isVariable: boolean
  /** Narrow values, or wide ones as two words, so that every bit of a NaN is kept. */
  words = new Uint32Array(0)
  /** 1: the row has the field. */
  presence = new Uint8Array(0)
  readonly strings = new StringColumn()

  constructor(kind: FieldKind) {
    this.kind = kind
    this.isWide = kind === 'f64' || kind === 'i64' || kind === 'time'
    this.isVariable = isVariable(kind)
  }

  fit(count: number): void {
    if (this.presence.length >= count) return
    const capacity = Math.max(1024, count * 2)
    const presence = new Uint8Array(capacity)
    presence.set(this.presence)
    this.presence = presence
    if (this.isVariable) return
    const words = new Uint32Array(this.isWide ? capacity * 2 : capacity)
    words.set(this.words)
    this.words = words
  }
}

/** The rows of one event type, with their fields. A row stored before a field was declared does not have it. */
export class TypeRows {
  readonly typeNumber: number
  readonly fields: readonly FieldRows[]
  rowCount = 0
  /** How many fields any of the rows was stored with. */
  fieldCount = 0
  readonly #type: EventType
  #kept = new Uint32Array(64)
  #keptCount = 0

  constructor(type: EventType) {
    this.#type = type
    this.typeNumber = type.number
    this.fields = type.fields.map((field) => new FieldRows(field.kind))
  }

  /** How long the byte strings of each row are together. */
  stringBytes(): Float64Array | undefined {
    const fields = this.fields.filter((field) => field.isVariable)
    if (fields.length === 0) return undefined
    const bytes = new Float64Array(this.rowCount)
    for (const { presence, strings } of fields)
      for (let rank = 0; rank < this.rowCount; rank++)
        if (presence[rank] === 1) bytes[rank] = (bytes[rank] as number) + (strings.lengths[rank] ?? 0)
    return bytes
  }

  /** Notes that the row with this rank in the section at hand is taken, and returns the rank that it has here. */
  keep(rank: number): number {
    if (this.#keptCount === this.#kept.length) {
      const kept = new Uint32Array(this.#kept.length * 2)
      kept.set(this.#kept)
      this.#kept = kept
    }
    this.#kept[this.#keptCount] = rank
    return this.rowCount + this.#keptCount++
  }

  /** Takes the noted rows of a section. */
  take(section: TypeSection, block: ByteReader, scratch: FieldColumn, arena: ByteWriter): void {
    const count = this.#keptCount
    const at = this.rowCount
    this.fieldCount = Math.max(this.fieldCount, section.fieldCount)
    this.fields.forEach((field, index) => {
      field.fit(at + count)
      if (index >= section.fieldCount) {
        if (field.isVariable) field.strings.take(undefined, this.#kept, count, at, arena)
        return
      }
      scratch.open(section, index, this.#type, block)
      this.#takeField(field, scratch, arena)
    })
    this.rowCount = at + count
    this.#keptCount = 0
  }

  #takeField(field: FieldRows, from: FieldColumn, arena: ByteWriter): void {
    const kept = this.#kept
    const count = this.#keptCount
    const at = this.rowCount
    const { presence: has } = from
    for (let index = 0; index < count; index++) {
      field.presence[at + index] = has === undefined ? 1 : (has[kept[index] as number] as number)
    }
    if (field.isVariable) return field.strings.take(from.variable, kept, count, at, arena)
    const { words } = from.values
    const to = field.words
    if (field.isWide) {
      for (let index = 0; index < count; index++) {
        const row = kept[index] as number
        to[2 * (at + index)] = words[2 * row] as number
        to[2 * (at + index) + 1] = words[2 * row + 1] as number
      }
    } else for (let index = 0; index < count; index++) to[at + index] = words[kept[index] as number] as number
  }
}
