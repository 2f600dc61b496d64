import { assert } from '#base/assert.js'

/**
 * What one command did to one entity: its rows, stored together or not at all. Written by a worker straight into a claimed frame of its
 * append ring and read there by the journal, which builds a block from it; never stored as such. Little-endian, unaligned, offsets in
 * bytes from the start of the payload:
 *
 *    0  u32 number            of this append in its writer's term, from 1
 *    4  u32 term              of the writer
 *    8  u32 expectedVersion   version of the row it builds on, 0 when the entity has none
 *   12  u32 baseTerm          writer term and append number of that row, 0 and 0 when there is none:
 *   16  u32 baseNumber          a version alone is fooled by a conflict before it
 *   20  u16 shard
 *   22  u16 rowCount
 *   24  f64 at                when it happened, microseconds since 1970
 *   32  f64 accepted          when the plant took it, microseconds since 1970
 *   40  f64 sequence          of the source; meaningless when sourceBytes is 0
 *   48  u16 entityBytes
 *   50  u16 sourceBytes
 *   52  u16 correlationBytes
 *   54  u16 causationBytes
 *   56  u32 outcomeBytes      msgpack of the reply or the refusal
 *   60  u8  outcomeKind       OUTCOME_*
 *   61  u8  flags             FLAG_*
 *   62  u16 zero
 *   64  entity, source, correlation, causation (UTF-8), outcome: packed, in this order
 *       then rowCount times: u16 event type number, u16 zero, u32 payloadBytes, payload (schema codec)
 *
 * A receipt (a command that emitted nothing or was refused) is one row of type RECEIPT_TYPE with an empty payload. It takes a version like any row.
 */
export const APPEND_HEADER_BYTES = 64
export const ROW_HEADER_BYTES = 8

/** The event type number of a receipt row. Numbers of real event types start at 1. */
export const RECEIPT_TYPE = 0

/** No outcome is stored: the row is not the last of its command. */
export const OUTCOME_NONE = 0
/** The command was done; the bytes are its reply, empty when it gave none. */
export const OUTCOME_REPLY = 1
/** The command was refused; the bytes are `[code, detail]`. */
export const OUTCOME_REFUSAL = 2
export type OutcomeKind = typeof OUTCOME_NONE | typeof OUTCOME_REPLY | typeof OUTCOME_REFUSAL

/** `at` lies before the `at` of an earlier row of the same entity. */
export const FLAG_LATE = 1

const NUMBER = 0
const TERM = 4
const EXPECTED_VERSION = 8
const BASE_TERM = 12
const BASE_NUMBER = 16
const SHARD = 20
const ROW_COUNT = 22
const AT = 24
const ACCEPTED = 32
const SEQUENCE = 40
const ENTITY_BYTES = 48
const SOURCE_BYTES = 50
const CORRELATION_BYTES = 52
const CAUSATION_BYTES = 54
const OUTCOME_BYTES = 56
const OUTCOME_KIND = 60
const FLAGS = 61

/** The fields of a header, for writing one. Byte strings are given, so that hot callers can keep them encoded. */
export interface AppendHeader {
  readonly number: number
  readonly term: number
  readonly expectedVersion: number
  readonly baseTerm: number
  readonly baseNumber: number
  readonly shard: number
  readonly rowCount: number
  readonly at: number
  readonly accepted: number
  readonly sequence: number
  readonly entity: Uint8Array
  readonly source: Uint8Array
  readonly correlation: Uint8Array
  readonly causation: Uint8Array
  readonly outcome: Uint8Array
  readonly outcomeKind: OutcomeKind
  readonly flags: number
}

export function appendHeaderBytes(header: AppendHeader): number {
  return (
    APPEND_HEADER_BYTES +
    header.entity.length +
    header.source.length +
    header.correlation.length +
    header.causation.length +
    header.outcome.length
  )
}

/** The fixed part of a header, for whoever writes the strings behind it by itself. */
export interface AppendNumbers extends Omit<AppendHeader, 'entity' | 'source' | 'correlation' | 'causation' | 'outcome'> {
  readonly entityBytes: number
  readonly sourceBytes: number
  readonly correlationBytes: number
  readonly causationBytes: number
  readonly outcomeBytes: number
}

/** Writes the fixed part at `offset`; returns the offset at which the strings begin. */
export function writeAppendNumbers(header: AppendNumbers, view: DataView, offset: number): number {
  view.setUint32(offset + NUMBER, header.number, true)
  view.setUint32(offset + TERM, header.term, true)
  view.setUint32(offset + EXPECTED_VERSION, header.expectedVersion, true)
  view.setUint32(offset + BASE_TERM, header.baseTerm, true)
  view.setUint32(offset + BASE_NUMBER, header.baseNumber, true)
  view.setUint32(offset + SHARD, header.shard | (header.rowCount << 16), true)
  view.setFloat64(offset + AT, header.at, true)
  view.setFloat64(offset + ACCEPTED, header.accepted, true)
  view.setFloat64(offset + SEQUENCE, header.sequence, true)
  view.setUint32(offset + ENTITY_BYTES, header.entityBytes | (header.sourceBytes << 16), true)
  view.setUint32(offset + CORRELATION_BYTES, header.correlationBytes | (header.causationBytes << 16), true)
  view.setUint32(offset + OUTCOME_BYTES, header.outcomeBytes, true)
  view.setUint32(offset + OUTCOME_KIND, header.outcomeKind | (header.flags << 8), true)
  return offset + APPEND_HEADER_BYTES
}

/** Writes header and packed strings at `offset`; returns the offset at which the first row begins. */
export function writeAppendHeader(header: AppendHeader, bytes: Uint8Array, view: DataView, offset: number): number {
  const { entity, source, correlation, causation, outcome } = header
  const numbers: AppendNumbers = {
    number: header.number,
    term: header.term,
    expectedVersion: header.expectedVersion,
    baseTerm: header.baseTerm,
    baseNumber: header.baseNumber,
    shard: header.shard,
    rowCount: header.rowCount,
    at: header.at,
    accepted: header.accepted,
    sequence: header.sequence,
    entityBytes: entity.length,
    sourceBytes: source.length,
    correlationBytes: correlation.length,
    causationBytes: causation.length,
    outcomeBytes: outcome.length,
    outcomeKind: header.outcomeKind,
    flags: header.flags,
  }
  let end = writePart(entity, bytes, writeAppendNumbers(numbers, view, offset))
  end = writePart(source, bytes, end)
  end = writePart(correlation, bytes, end)
  end = writePart(causation, bytes, end)
  return writePart(outcome, bytes, end)
}

function writePart(part: Uint8Array, bytes: Uint8Array, offset: number): number {
  if (part.length > 0) bytes.set(part, offset)
  return offset + part.length
}

/** Writes the header of one row; its payload belongs at the returned offset. */
export function writeRowHeader(typeNumber: number, payloadBytes: number, view: DataView, offset: number): number {
  view.setUint16(offset, typeNumber, true)
  view.setUint16(offset + 2, 0, true)
  view.setUint32(offset + 4, payloadBytes, true)
  return offset + ROW_HEADER_BYTES
}

/** Reads frames one after the other without allocating: point it at one with `at`, then read its fields. */
export class AppendReader {
  bytes: Uint8Array
  view: DataView
  #offset = 0
  #length = 0

  constructor(bytes: Uint8Array, view: DataView) {
    this.bytes = bytes
    this.view = view
  }

  /** Points at a frame of `length` bytes. Checks that the parts it declares fit into it. */
  at(offset: number, length: number): this {
    assert(length >= APPEND_HEADER_BYTES, 'an append frame holds at least its header')
    this.moveTo(offset, length)
    assert(this.rowsOffset <= offset + length, 'the strings of an append frame lie inside it')
    return this
  }

  /** The same for a frame that `at` has checked before. */
  moveTo(offset: number, length: number): this {
    this.#offset = offset
    this.#length = length
    return this
  }

  get number(): number {
    return this.view.getUint32(this.#offset + NUMBER, true)
  }
  get term(): number {
    return this.view.getUint32(this.#offset + TERM, true)
  }
  get expectedVersion(): number {
    return this.view.getUint32(this.#offset + EXPECTED_VERSION, true)
  }
  get baseTerm(): number {
    return this.view.getUint32(this.#offset + BASE_TERM, true)
  }
  get baseNumber(): number {
    return this.view.getUint32(this.#offset + BASE_NUMBER, true)
  }
  get shard(): number {
    return this.view.getUint16(this.#offset + SHARD, true)
  }
  get rowCount(): number {
    return this.view.getUint16(this.#offset + ROW_COUNT, true)
  }
  get atMicros(): number {
    return this.view.getFloat64(this.#offset + AT, true)
  }
  get acceptedMicros(): number {
    return this.view.getFloat64(this.#offset + ACCEPTED, true)
  }
  get sequence(): number {
    return this.view.getFloat64(this.#offset + SEQUENCE, true)
  }
  get outcomeKind(): OutcomeKind {
    return this.view.getUint8(this.#offset + OUTCOME_KIND) as OutcomeKind
  }
  get flags(): number {
    return this.view.getUint8(this.#offset + FLAGS)
  }
  get entityOffset(): number {
    return this.#offset + APPEND_HEADER_BYTES
  }
  get entityBytes(): number {
    return this.view.getUint16(this.#offset + ENTITY_BYTES, true)
  }
  get sourceOffset(): number {
    return this.entityOffset + this.entityBytes
  }
  get sourceBytes(): number {
    return this.view.getUint16(this.#offset + SOURCE_BYTES, true)
  }
  get correlationOffset(): number {
    return this.sourceOffset + this.sourceBytes
  }
  get correlationBytes(): number {
    return this.view.getUint16(this.#offset + CORRELATION_BYTES, true)
  }
  get causationOffset(): number {
    return this.correlationOffset + this.correlationBytes
  }
  get causationBytes(): number {
    return this.view.getUint16(this.#offset + CAUSATION_BYTES, true)
  }
  get outcomeOffset(): number {
    return this.causationOffset + this.causationBytes
  }
  get outcomeBytes(): number {
    return this.view.getUint32(this.#offset + OUTCOME_BYTES, true)
  }
  /** Where the first row's header begins. The next row begins ROW_HEADER_BYTES + payloadBytes further on. */
  get rowsOffset(): number {
    const { view } = this
    const offset = this.#offset
    const entityAndSource = view.getUint32(offset + ENTITY_BYTES, true)
    const labels = view.getUint32(offset + CORRELATION_BYTES, true)
    const strings = (entityAndSource & 0xffff) + (entityAndSource >>> 16) + (labels & 0xffff) + (labels >>> 16)
    return offset + APPEND_HEADER_BYTES + strings + view.getUint32(offset + OUTCOME_BYTES, true)
  }
  get endOffset(): number {
    return this.#offset + this.#length
  }
  get offset(): number {
    return this.#offset
  }
  get length(): number {
    return this.#length
  }
  rowType(rowOffset: number): number {
    return this.view.getUint16(rowOffset, true)
  }
  rowPayloadBytes(rowOffset: number): number {
    return this.view.getUint32(rowOffset + 4, true)
  }
}
