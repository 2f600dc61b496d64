/** `label`: short text that repeats (codes, states). `text`: any text. `time`: microseconds since 1970. `i64`: a safe integer. `json`: anything JSON has. */
export type FieldKind = 'f64' | 'f32' | 'i32' | 'i64' | 'bool' | 'label' | 'text' | 'time' | 'json'

/** One field of an event or a command as plain data: what the journal keeps, what crosses processes, what the schema's hash is made of. */
export interface FieldSchema {
  readonly name: string
  readonly kind: FieldKind
  readonly unit?: string
  readonly isOptional: boolean
  readonly oneOf?: readonly string[]
  /** Stands in for the field in events stored before it was added. */
  readonly defaultValue?: unknown
}

/** Bytes of a field's slot in the fixed part of a payload: variable fields hold their byte length there. */
export const SLOT_BYTES: Readonly<Record<FieldKind, number>> = {
  f64: 8,
  f32: 4,
  i32: 4,
  i64: 8,
  bool: 1,
  label: 4,
  text: 4,
  time: 8,
  json: 4,
}

export function isVariable(kind: FieldKind): boolean {
  return kind === 'label' || kind === 'text' || kind === 'json'
}

/**
 * Where the fields of a payload lie. A payload is, little-endian and unaligned:
 *
 *   presence   one bit per optional field in field order (bit 0 of byte 0 first), 1 = present; no bytes when none is optional
 *   slots      one per field in field order, SLOT_BYTES wide, absent fields too (zero): f64, time and i64 as float64, f32, i32, bool as 0/1,
 *              variable fields as uint32 byte length
 *   variable   the bytes of label, text (UTF-8) and json (msgpack) fields in field order
 */
export interface PayloadLayout {
  readonly presenceBytes: number
  /** Where the variable part begins: the length of a payload whose variable fields are empty. */
  readonly fixedBytes: number
  readonly slots: readonly PayloadSlot[]
}

export interface PayloadSlot {
  readonly field: FieldSchema
  readonly offset: number
  /** Bit of the presence bitmap, -1 for a field that is always there. */
  readonly presenceBit: number
}

export function payloadLayout(fields: readonly FieldSchema[]): PayloadLayout {
  const presenceBytes = Math.ceil(fields.filter((field) => field.isOptional).length / 8)
  let offset = presenceBytes
  let bit = 0
  const slots = fields.map((field) => {
    const slot = { field, offset, presenceBit: field.isOptional ? bit++ : -1 }
    offset += SLOT_BYTES[field.kind]
    return slot
  })
  return { presenceBytes, fixedBytes: offset, slots }
}
