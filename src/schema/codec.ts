import { assert } from '#base/assert.js'
import { MillraceError } from '#base/errors.js'
import { codecSource } from './codec-source.js'
import { whatIsWrong } from './field-check.js'
import { type FieldSchema, type PayloadLayout, payloadLayout } from './field-schema.js'
import { copyJson, packJson, unpackJson } from './json-value.js'
import { checkFields } from './schema-check.js'
import { LabelReader, readUtf8, utf8Bytes, writeUtf8 } from './utf8.js'

/** The data of an event or a command: one property per field that is present. */
export type Data = Record<string, unknown>

/**
 * Reads and writes the payloads of one event or command, laid out as field-schema.ts says. Its functions are generated from the schema
 * once: straight code with one property load and one DataView call per field (bench/codec.ts). `bytes` and `view` lie over the same memory.
 */
export interface Codec {
  readonly fields: readonly FieldSchema[]
  readonly layout: PayloadLayout
  /** The first thing that is wrong with data from outside, `temperature: expected a number, got 'x'`, or undefined. */
  check(value: unknown): string | undefined
  /**
   * A copy of checked data exactly as `decode` would give it back: defaults filled in, fields in order, f32 rounded, absent fields left
   * out, nothing shared with the original. So what is folded live and what is folded again after a crash are the same.
   */
  normalise(value: object): Data
  /** Of checked data. */
  encodedBytes(value: object): number
  /** Writes checked data at `offset`, where `encodedBytes` said there is room, and returns the offset behind it. */
  encode(value: object, bytes: Uint8Array, view: DataView, offset: number): number
  /** Throws ERR_PAYLOAD_DAMAGED when the payload is not exactly `length` bytes; never looks outside of them. */
  decode(bytes: Uint8Array, view: DataView, offset: number, length: number): Data
}

/** What the generated functions call. */
export interface CodecRuntime {
  readonly utf8Bytes: typeof utf8Bytes
  readonly writeUtf8: typeof writeUtf8
  readonly copyJson: typeof copyJson
  /** One per field, so that fields do not push each other's labels out. */
  readonly labels: readonly LabelReader[]
  readonly defaults: readonly unknown[]
  readText(bytes: Uint8Array, start: number, length: number, field: number): string
  readLabel(bytes: Uint8Array, start: number, length: number, field: number): string
  readJson(bytes: Uint8Array, start: number, length: number, field: number): unknown
  /** Packs and keeps the bytes for the `writeJson` of the same value that follows. */
  jsonBytes(value: unknown, field: number): number
  writeJson(value: unknown, bytes: Uint8Array, offset: number, field: number): number
  damaged(what: string): never
}

type Generated = Pick<Codec, 'normalise' | 'encodedBytes' | 'encode' | 'decode'> & { isSurelyRight(value: unknown): boolean }

/** Throws ERR_SCHEMA_INVALID naming the field when the schema itself is wrong. */
export function createCodec(fields: readonly FieldSchema[]): Codec {
  const wrong = checkFields(fields)
  if (wrong !== undefined) throw new MillraceError('ERR_SCHEMA_INVALID', { fact: `a schema is wrong, ${wrong}`, action: 'operator' })
  const layout = payloadLayout(fields)
  const generated = new Function('runtime', codecSource(layout))(createRuntime(fields)) as Generated
  return {
    fields,
    layout,
    check: (value) => (generated.isSurelyRight(value) ? undefined : whatIsWrong(fields, value)),
    normalise: generated.normalise,
    encodedBytes: generated.encodedBytes,
    encode: generated.encode,
    decode: generated.decode,
  }
}

/** For callers off the hot path. */
export function encodePayload(codec: Codec, value: object): Uint8Array {
  const bytes = new Uint8Array(codec.encodedBytes(value))
  const end = codec.encode(value, bytes, new DataView(bytes.buffer), 0)
  assert(end === bytes.length, 'a payload is as long as it was said to be')
  return bytes
}

/** For callers off the hot path. */
export function decodePayload(codec: Codec, bytes: Uint8Array): Data {
  return codec.decode(bytes, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length)
}

function createRuntime(fields: readonly FieldSchema[]): CodecRuntime {
  const labels = fields.map(() => new LabelReader())
  const packed: { value: unknown; bytes: Uint8Array | undefined }[] = fields.map(() => ({ value: undefined, bytes: undefined }))
  const damaged = (what: string, cause?: unknown): never => {
    throw new MillraceError('ERR_PAYLOAD_DAMAGED', { fact: `a payload does not fit its schema, ${what}`, action: 'operator', cause })
  }
  const nameOf = (field: number) => (fields[field] as FieldSchema).name
  return {
    utf8Bytes,
    writeUtf8,
    copyJson,
    labels,
    defaults: fields.map((field) => field.defaultValue),
    readText(bytes, start, length, field) {
      try {
        return readUtf8(bytes, start, length)
      } catch (cause) {
        return damaged(`${nameOf(field)} is not UTF-8`, cause)
      }
    },
    readLabel(bytes, start, length, field) {
      try {
        return (labels[field] as LabelReader).read(bytes, start, length)
      } catch (cause) {
        return damaged(`${nameOf(field)} is not UTF-8`, cause)
      }
    },
    readJson(bytes, start, length, field) {
      try {
        return unpackJson(bytes.subarray(start, start + length))
      } catch (cause) {
        return damaged(`${nameOf(field)} is not msgpack`, cause)
      }
    },
    jsonBytes(value, field) {
      const bytes = packJson(value)
      packed[field] = { value, bytes }
      return bytes.length
    },
    writeJson(value, bytes, offset, field) {
      const kept = packed[field]
      const mine = kept?.bytes !== undefined && kept.value === value ? kept.bytes : packJson(value)
      packed[field] = { value: undefined, bytes: undefined }
      bytes.set(mine, offset)
      return offset + mine.length
    },
    damaged,
  }
}
