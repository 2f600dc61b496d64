import { COMMAND_HEADER_BYTES } from '#entity/command-frame.js'
import { ENTITY_SOURCE_PREFIX, MESSAGE_CODEC, type OutboxRow, type PlantModel, SETTLED_CODEC } from '#entity/index.js'
import { MESSAGE_EVENT } from '#schema/index.js'
import type { Slot } from './slot.js'

/** Of all the payloads; with the headers of the rows, but for the first one's, which takes the place of a receipt's. */
export function outboxRowBytes(rows: readonly OutboxRow[]): number {
  let bytes = 0
  for (const row of rows) bytes += codecOf(row).encodedBytes(row.data)
  return bytes
}

/** Returns the offset behind it. */
export function encodeOutboxRow(row: OutboxRow, bytes: Uint8Array, view: DataView, offset: number): number {
  return codecOf(row).encode(row.data, bytes, view, offset)
}

/** What the frame of a message takes on its way to its target, or to its sender when it is a timer; 0 for other rows. */
export function messageBytes(row: OutboxRow, slot: Slot, correlationBytes: number, plant: PlantModel): number {
  if (row.event !== MESSAGE_EVENT) return 0
  const { to, command, data } = row.data as { readonly to: string; readonly command: string; readonly data: object }
  const model = plant.model(to.slice(0, to.indexOf('/')))
  const payload = model?.commandCodec(model.commandIndex(command)).encodedBytes(data) ?? 0
  return COMMAND_HEADER_BYTES + Buffer.byteLength(to) + ENTITY_SOURCE_PREFIX.length + slot.idLength + correlationBytes + payload
}

function codecOf({ event }: OutboxRow): typeof MESSAGE_CODEC {
  return event === MESSAGE_EVENT ? MESSAGE_CODEC : SETTLED_CODEC
}
