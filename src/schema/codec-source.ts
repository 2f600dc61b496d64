import { LABEL_BYTES_MAX, TEXT_BYTES_MAX } from './field-check.js'
import { isVariable, type PayloadLayout, type PayloadSlot } from './field-schema.js'

/**
 * The body of `function (runtime)` that returns the functions of a Codec for one layout. Names and values from the schema enter it as
 * JSON strings only, so that no schema can bring code with it. `LABEL_BYTES_MAX` and the like are checked in UTF-16 units times three
 * first: longer texts take the slow way.
 */
export function codecSource(layout: PayloadLayout): string {
  const slots = layout.slots.map((slot, index) => new SlotSource(slot, index))
  return `'use strict'
const { utf8Bytes, writeUtf8, copyJson, defaults, readText, readLabel, readJson, jsonBytes, writeJson, damaged } = runtime
return {
  isSurelyRight(value) {
    if (typeof value !== 'object' || value === null) return false
    let v, expected = 0, found = 0
    ${slots.map((slot) => slot.check()).join('\n    ')}
    for (const name in value) found++
    return found === expected
  },
  normalise(value) {
    ${slots.map((slot) => slot.load()).join('\n    ')}
    ${build(
      slots,
      (slot) => slot.normalised(),
      (slot) => `${slot.variable} !== undefined`,
    )}
  },
  encodedBytes(value) {
    let total = ${layout.fixedBytes}, v
    ${slots.map((slot) => slot.measure()).join('\n    ')}
    return total
  },
  encode(value, bytes, view, offset) {
    let v, start, end = offset + ${layout.fixedBytes}
    ${range(layout.presenceBytes)
      .map((byte) => `let presence${byte} = 0`)
      .join('\n    ')}
    ${slots.map((slot) => slot.write()).join('\n    ')}
    ${range(layout.presenceBytes)
      .map((byte) => `bytes[offset + ${byte}] = presence${byte}`)
      .join('\n    ')}
    return end
  },
  decode(bytes, view, offset, length) {
    if (length < ${layout.fixedBytes}) damaged('it is shorter than its fixed part')
    if (offset < 0 || offset + length > bytes.length) damaged('it ends behind the memory it lies in')
    const limit = offset + length
    let end = offset + ${layout.fixedBytes}, size
    ${slots.map((slot) => slot.read()).join('\n    ')}
    if (end !== limit) damaged('it is longer than its fields')
    ${build(
      slots,
      (slot) => slot.variable,
      (slot) => slot.isPresent(),
    )}
  },
}`
}

/** An object literal as long as fields are always there, then one assignment per field, so that the fields come in schema order. */
function build(slots: readonly SlotSource[], value: (slot: SlotSource) => string, isPresent: (slot: SlotSource) => string): string {
  const firstOptional = slots.findIndex((slot) => slot.mayBeAbsent)
  const always = firstOptional < 0 ? slots : slots.slice(0, firstOptional)
  const literal = `{ ${always.map((slot) => `${slot.name}: ${value(slot)}`).join(', ')} }`
  if (firstOptional < 0) return `return ${literal}`
  const rest = slots.slice(firstOptional).map((slot) => {
    const assignment = `built[${slot.name}] = ${value(slot)}`
    return slot.mayBeAbsent ? `if (${isPresent(slot)}) ${assignment}` : assignment
  })
  return [`const built = ${literal}`, ...rest, 'return built'].join('\n    ')
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

/** The statements about one field. */
class SlotSource {
  readonly name: string
  readonly variable: string
  readonly #slot: PayloadSlot
  readonly #index: number

  constructor(slot: PayloadSlot, index: number) {
    this.#slot = slot
    this.#index = index
    this.name = JSON.stringify(slot.field.name)
    this.variable = `v${index}`
  }

  /** Not only optional, but without a default to stand in. */
  get mayBeAbsent(): boolean {
    return this.#slot.field.isOptional && !this.#hasDefault
  }

  get #hasDefault(): boolean {
    return this.#slot.field.defaultValue !== undefined
  }

  get #default(): string {
    const value = `defaults[${this.#index}]`
    return this.#slot.field.kind === 'json' ? `copyJson(${value})` : value
  }

  get #presence(): { variable: string; byte: number; bit: number } {
    const byte = this.#slot.presenceBit >> 3
    return { variable: `presence${byte}`, byte, bit: 1 << (this.#slot.presenceBit & 7) }
  }

  isPresent(): string {
    const { byte, bit } = this.#presence
    return `(bytes[offset + ${byte}] & ${bit}) !== 0`
  }

  check(): string {
    const test = `if (${this.#isWrong()}) return false`
    const isOptional = this.#slot.field.isOptional || this.#hasDefault
    return isOptional
      ? `v = value[${this.name}]; if (v !== undefined) { ${test}; expected++ }`
      : `v = value[${this.name}]; ${test}; expected++`
  }

  #isWrong(): string {
    const { kind, oneOf } = this.#slot.field
    switch (kind) {
      case 'f64':
        return `typeof v !== 'number'`
      case 'f32':
        return `typeof v !== 'number' || v > 3e38 || v < -3e38`
      case 'i32':
        return `typeof v !== 'number' || (v | 0) !== v`
      case 'i64':
      case 'time':
        return `!Number.isSafeInteger(v)`
      case 'bool':
        return `v !== true && v !== false`
      case 'json':
        return 'true'
      case 'label':
        if (oneOf !== undefined) return oneOf.map((one) => `v !== ${JSON.stringify(one)}`).join(' && ')
        return `typeof v !== 'string' || v.length > ${Math.floor(LABEL_BYTES_MAX / 3)} || !v.isWellFormed()`
      case 'text':
        return `typeof v !== 'string' || v.length > ${Math.floor(TEXT_BYTES_MAX / 3)} || !v.isWellFormed()`
    }
  }

  load(): string {
    const fallback = this.#hasDefault ? `; if (${this.variable} === undefined) ${this.variable} = ${this.#default}` : ''
    return `let ${this.variable} = value[${this.name}]${fallback}`
  }

  normalised(): string {
    const { kind } = this.#slot.field
    if (kind === 'f32') return `Math.fround(${this.variable})`
    if (kind === 'i32' || kind === 'i64' || kind === 'time') return `${this.variable} + 0`
    return kind === 'json' ? `copyJson(${this.variable})` : this.variable
  }

  measure(): string {
    const { kind } = this.#slot.field
    if (!isVariable(kind)) return ''
    const more = kind === 'json' ? `jsonBytes(v, ${this.#index})` : 'utf8Bytes(v)'
    return `v = value[${this.name}]; ${this.#orDefault()}${this.mayBeAbsent ? 'if (v !== undefined) ' : ''}total += ${more}`
  }

  #orDefault(): string {
    return this.#hasDefault ? `if (v === undefined) v = defaults[${this.#index}]; ` : ''
  }

  write(): string {
    const load = `v = value[${this.name}]; ${this.#orDefault()}`
    if (!this.#slot.field.isOptional) return load + this.#writeSlot()
    const { variable, bit } = this.#presence
    const present = `${variable} |= ${bit}; ${this.#writeSlot()}`
    return this.#hasDefault ? load + present : `${load}if (v === undefined) ${this.#writeZero()} else { ${present} }`
  }

  get #at(): string {
    return `offset + ${this.#slot.offset}`
  }

  #writeSlot(): string {
    switch (this.#slot.field.kind) {
      case 'f64':
        return `view.setFloat64(${this.#at}, v, true)`
      case 'i64':
      case 'time':
        return `view.setFloat64(${this.#at}, v + 0, true)`
      case 'f32':
        return `view.setFloat32(${this.#at}, v, true)`
      case 'i32':
        return `view.setInt32(${this.#at}, v, true)`
      case 'bool':
        return `bytes[${this.#at}] = v ? 1 : 0`
      case 'json':
        return `start = end; end = writeJson(v, bytes, start, ${this.#index}); view.setUint32(${this.#at}, end - start, true)`
      default:
        return `start = end; end = writeUtf8(v, bytes, start); view.setUint32(${this.#at}, end - start, true)`
    }
  }

  #writeZero(): string {
    switch (this.#slot.field.kind) {
      case 'f64':
      case 'i64':
      case 'time':
        return `view.setFloat64(${this.#at}, 0, true);`
      case 'bool':
        return `bytes[${this.#at}] = 0;`
      default:
        return `view.setUint32(${this.#at}, 0, true);`
    }
  }

  read(): string {
    const { kind } = this.#slot.field
    const declare = `let ${this.variable} = `
    if (!isVariable(kind)) return declare + this.#readFixed() + this.#absentToDefault()
    const reader = kind === 'label' ? 'readLabel' : kind === 'text' ? 'readText' : 'readJson'
    const sized = `size = view.getUint32(${this.#at}, true); if (size > limit - end) damaged(${JSON.stringify(`${this.#slot.field.name} ends behind it`)})`
    const found = `${reader}(bytes, end, size, ${this.#index})`
    const value = this.#slot.field.isOptional ? `${this.isPresent()} ? ${found} : undefined` : found
    return `${sized}; ${declare}${value}; end += size${this.#absentToDefault()}`
  }

  #readFixed(): string {
    switch (this.#slot.field.kind) {
      case 'f32':
        return `view.getFloat32(${this.#at}, true)`
      case 'i32':
        return `view.getInt32(${this.#at}, true)`
      case 'bool':
        return `bytes[${this.#at}] !== 0`
      default:
        return `view.getFloat64(${this.#at}, true)`
    }
  }

  #absentToDefault(): string {
    return this.#slot.field.isOptional && this.#hasDefault ? `; if (!(${this.isPresent()})) ${this.variable} = ${this.#default}` : ''
  }
}
