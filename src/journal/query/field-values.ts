import { Damage, type ByteReader } from '#journal/bytes.js'
import type { EventType } from '#journal/journal.js'
import { FieldColumn, type TypeSection } from '#journal/row-group.js'
import { type FieldSchema, isVariable } from '#schema/index.js'
import { copyJson, unpackJson } from '#schema/json-value.js'
import { LabelReader, readUtf8 } from '#schema/utf8.js'

/**
 * One field of the rows of one event type in a row group, by rank among these rows. As events have it: where it is absent, or was not there yet
 * when the rows were stored, its default stands in, if it has one. Made once and opened section after section.
 */
export class FieldValues {
  readonly #column = new FieldColumn()
  readonly #labels = new LabelReader()
  #field: FieldSchema | undefined
  #rowCount = 0
  /** Whether rows of the section may have stored values. */
  #isStored = false
  #numbers = new Float64Array(0)
  #areNumbers = false
  #decodedText: string | undefined

  /** Decodes the field with this index. Answers how many values that took. Throws Damage. */
  open(section: TypeSection, index: number, type: EventType, block: ByteReader): number {
    this.#field = type.fields[index]
    this.#rowCount = section.rowCount
    this.#areNumbers = false
    this.#decodedText = undefined
    this.#isStored = index < section.fieldCount
    if (!this.#isStored) return 0
    this.#column.open(section, index, type, block)
    return section.rowCount
  }

  get field(): FieldSchema {
    return this.#field as FieldSchema
  }

  /** 1 = there, per row; undefined when all are. */
  get presence(): Uint8Array | undefined {
    if (this.field.defaultValue !== undefined) return undefined
    if (this.#isStored) return this.#column.presence
    if (absent.length < this.#rowCount) absent = new Uint8Array(this.#rowCount * 2)
    return absent
  }

  /** The values of a field of numbers or of truths, as 0 and 1. What stands at an absent one is anything. Valid until the next `open`. */
  numbers(): Float64Array {
    const { kind, defaultValue } = this.field
    const { presence, values } = this.#column
    const isWide = kind === 'f64' || kind === 'i64' || kind === 'time'
    const isFilled = this.#isStored && (presence === undefined || defaultValue === undefined)
    if (isFilled && isWide) return values.wide
    if (this.#areNumbers) return this.#numbers
    this.#areNumbers = true
    const count = this.#rowCount
    if (this.#numbers.length < count) this.#numbers = new Float64Array(count * 2)
    const numbers = this.#numbers
    if (this.#isStored) {
      const from = isWide ? values.wide : kind === 'f32' ? values.single : kind === 'i32' ? values.signed : values.words
      for (let row = 0; row < count; row++) numbers[row] = from[row] as number
      if (kind === 'bool') for (let row = 0; row < count; row++) if (numbers[row] !== 0) numbers[row] = 1
    }
    if (isFilled || defaultValue === undefined) return numbers
    const instead = Number(defaultValue)
    if (!this.#isStored) numbers.fill(instead, 0, count)
    else for (let row = 0; row < count; row++) if (presence?.[row] === 0) numbers[row] = instead
    return numbers
  }

  /** The value as an event has it, undefined where it is absent. Json values are copies. */
  value(rank: number): unknown {
    const { kind, defaultValue } = this.field
    if (!this.#isStored || this.#column.presence?.[rank] === 0)
      return kind === 'json' && defaultValue !== undefined ? copyJson(defaultValue) : defaultValue
    const { values } = this.#column
    switch (kind) {
      case 'f64':
      case 'i64':
      case 'time':
        return values.wide[rank]
      case 'f32':
        return values.single[rank]
      case 'i32':
        return values.signed[rank]
      case 'bool':
        return values.words[rank] !== 0
      case 'label':
        return this.#label(rank)
      case 'text':
        return this.#text(rank)
      case 'json':
        return this.#json(rank)
    }
  }

  get isVariable(): boolean {
    return isVariable(this.field.kind)
  }

  #label(rank: number): string {
    const { bytes, starts, isConstant } = this.#column.variable
    try {
      if (isConstant) return (this.#decodedText ??= readUtf8(bytes, 0, bytes.length))
      const start = starts[rank] as number
      return this.#labels.read(bytes, start, (starts[rank + 1] as number) - start)
    } catch {
      throw new Damage('a label in it is not UTF-8')
    }
  }

  #text(rank: number): string {
    const { bytes, starts, isConstant } = this.#column.variable
    try {
      if (isConstant) return (this.#decodedText ??= readUtf8(bytes, 0, bytes.length))
      const start = starts[rank] as number
      return readUtf8(bytes, start, (starts[rank + 1] as number) - start)
    } catch {
      throw new Damage('a text in it is not UTF-8')
    }
  }

  #json(rank: number): unknown {
    const { bytes, starts, isConstant } = this.#column.variable
    try {
      return unpackJson(isConstant ? bytes.slice() : bytes.slice(starts[rank], starts[rank + 1]))
    } catch {
      throw new Damage('a json value in it is not msgpack')
    }
  }
}

let absent = new Uint8Array(0)
