import { pack } from '#base/pack.js'
import { COMMAND_HEADER_BYTES } from '#entity/command-frame.js'
import { ENTITY_SOURCE_PREFIX, outboxCodec, type OutboxRow, type PlantModel } from '#entity/index.js'
import { type AppendHeader, OUTCOME_NONE, ROW_HEADER_BYTES } from '#journal/append-frame.js'
import { MESSAGE_EVENT } from '#schema/index.js'
import type { Slot } from './slot.js'

/** An append that no command caused. */
export interface SettledAppend {
  readonly appendNumber: number
  /** As JournalClient counts: its end. */
  readonly position: number
  /** How many rows it has. */
  readonly count: number
}

const NO_BYTES = new Uint8Array(0)
/** What the frame of an effect takes besides its data and names at most, the name of the command that takes its answer included. */
const EFFECT_OWN_BYTES = 192

/** Of an append that no command caused, to be numbered so. */
export function settledHeader(slot: Slot, rowCount: number, number: number, term: number, accepted: number): AppendHeader {
  return {
    number,
    term,
    expectedVersion: slot.version,
    baseTerm: slot.term,
    baseNumber: slot.appendNumber,
    shard: slot.shard,
    rowCount,
    // No other time than the entity knows already, which could make late what is not.
    at: slot.latestAt,
    accepted,
    sequence: 0,
    entity: slot.idBytes,
    source: NO_BYTES,
    correlation: NO_BYTES,
    causation: NO_BYTES,
    outcome: NO_BYTES,
    outcomeKind: OUTCOME_NONE,
    flags: 0,
  }
}

/** As many of the first rows as that many bytes hold, one at least. */
export function rowsThatFit(rows: readonly OutboxRow[], bytesMax: number): readonly OutboxRow[] {
  let bytes = 0
  for (const [index, row] of rows.entries()) {
    bytes += ROW_HEADER_BYTES + outboxRowBytes([row])
    if (bytes > bytesMax && index > 0) return rows.slice(0, index)
  }
  return rows
}

/** Of all the payloads. */
export function outboxRowBytes(rows: readonly OutboxRow[]): number {
  let bytes = 0
  for (const row of rows) bytes += outboxCodec(row.event).encodedBytes(row.data)
  return bytes
}

/** Returns the offset behind it. */
export function encodeOutboxRow(row: OutboxRow, bytes: Uint8Array, view: DataView, offset: number): number {
  return outboxCodec(row.event).encode(row.data, bytes, view, offset)
}

/** What the frame of a message takes on its way to its target, to a gateway, or to its sender when it is a timer; 0 for other rows. */
export function messageBytes(row: OutboxRow, slot: Slot, correlationBytes: number, plant: PlantModel): number {
  if (row.event !== MESSAGE_EVENT) return 0
  const { kind, to, command, data } = row.data as { readonly [name in 'kind' | 'to' | 'command']: string } & { readonly data: object }
  if (kind === 'effect') return EFFECT_OWN_BYTES + Buffer.byteLength(to) + slot.idLength + correlationBytes + pack(data).length
  const model = plant.model(to.slice(0, to.indexOf('/')))
  const payload = model?.commandCodec(model.commandIndex(command)).encodedBytes(data) ?? 0
  return COMMAND_HEADER_BYTES + Buffer.byteLength(to) + ENTITY_SOURCE_PREFIX.length + slot.idLength + correlationBytes + payload
}
