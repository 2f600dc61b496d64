import { messageOf } from '#base/errors.js'
import { hash32 } from '#base/hash.js'
import { parseEntityId } from '#base/ids.js'
import { decodePayload } from '#schema/index.js'
import type { PlantModel } from './plant-model.js'

/**
 * A command on its way from a door to the worker that owns its entity, as it lies in a bus frame. Little-endian, offsets in bytes from the
 * start of the payload:
 *
 *    0  u32 request            the door's number for it, echoed in the answer
 *    4  u32 doorTerm           of the process that holds the door: answers to a former one are dropped
 *    8  u32 entityHash         hash32 of the entity id, of which the shard is the remainder
 *   12  u16 commandNumber      its rank in the plant's command list (see PlantModel)
 *   14  u8  answer             ANSWER_*
 *   15  u8  flags              1: volatile, told by the entity that is its causation, and done once at most
 *   16  f64 at                 when it happened, microseconds since 1970; NaN: when it was taken
 *   24  f64 accepted           when the door took it, microseconds since 1970
 *   32  f64 sequence           of the source
 *   40  u16 entityBytes
 *   42  u16 sourceBytes
 *   44  u16 correlationBytes
 *   46  u16 causationBytes
 *   48  u32 payloadBytes
 *   52  u32 zero
 *   56  entity, source, correlation, causation (UTF-8), payload (schema codec): packed
 */
export const COMMAND_FRAME = 1
export const COMMAND_HEADER_BYTES = 56

/** Only refusals and failures are answered; success is told by the release. */
export const ANSWER_REFUSALS = 0
export const ANSWER_ALWAYS = 1
/** With the above in `CommandHeader.answer`. */
export const VOLATILE_FLAG = 0x100

export interface CommandHeader {
  request: number
  doorTerm: number
  entityHash: number
  commandNumber: number
  answer: number
  at: number
  accepted: number
  sequence: number
  entity: Uint8Array
  source: Uint8Array
  correlation: Uint8Array
  causation: Uint8Array
  payloadBytes: number
}

export function commandFrameBytes(header: CommandHeader): number {
  return (
    COMMAND_HEADER_BYTES +
    header.entity.length +
    header.source.length +
    header.correlation.length +
    header.causation.length +
    header.payloadBytes
  )
}

/** Writes all but the payload; returns the offset at which the payload belongs. */
export function writeCommandHeader(header: CommandHeader, bytes: Uint8Array, view: DataView, offset: number): number {
  view.setUint32(offset, header.request, true)
  view.setUint32(offset + 4, header.doorTerm, true)
  view.setUint32(offset + 8, header.entityHash, true)
  view.setUint16(offset + 12, header.commandNumber, true)
  view.setUint16(offset + 14, header.answer, true)
  view.setFloat64(offset + 16, header.at, true)
  view.setFloat64(offset + 24, header.accepted, true)
  view.setFloat64(offset + 32, header.sequence, true)
  view.setUint16(offset + 40, header.entity.length, true)
  view.setUint16(offset + 42, header.source.length, true)
  view.setUint16(offset + 44, header.correlation.length, true)
  view.setUint16(offset + 46, header.causation.length, true)
  view.setUint32(offset + 48, header.payloadBytes, true)
  view.setUint32(offset + 52, 0, true)
  let end = offset + COMMAND_HEADER_BYTES
  end = writePart(header.entity, bytes, end)
  end = writePart(header.source, bytes, end)
  end = writePart(header.correlation, bytes, end)
  return writePart(header.causation, bytes, end)
}

function writePart(part: Uint8Array, bytes: Uint8Array, offset: number): number {
  if (part.length > 0) bytes.set(part, offset)
  return offset + part.length
}

/** Changes what differs from one command of a line to the next, in a header that was copied to `offset`. */
export function renumberCommand(
  view: DataView,
  offset: number,
  request: number,
  at: number,
  accepted: number,
  sequence: number,
  payloadBytes: number,
): void {
  view.setUint32(offset, request, true)
  view.setFloat64(offset + 16, at, true)
  view.setFloat64(offset + 24, accepted, true)
  view.setFloat64(offset + 32, sequence, true)
  view.setUint32(offset + 48, payloadBytes, true)
}

/** Reads command frames one after the other without allocating. */
export class CommandReader {
  readonly bytes: Uint8Array
  readonly view: DataView
  #offset = 0

  constructor(bytes: Uint8Array, view: DataView) {
    this.bytes = bytes
    this.view = view
  }

  at(offset: number): this {
    this.#offset = offset
    return this
  }

  get request(): number {
    return this.view.getUint32(this.#offset, true)
  }
  get doorTerm(): number {
    return this.view.getUint32(this.#offset + 4, true)
  }
  get entityHash(): number {
    return this.view.getUint32(this.#offset + 8, true)
  }
  get commandNumber(): number {
    return this.view.getUint16(this.#offset + 12, true)
  }
  get answer(): number {
    return this.view.getUint8(this.#offset + 14)
  }
  get isVolatile(): boolean {
    return this.view.getUint8(this.#offset + 15) !== 0
  }
  get atMicros(): number {
    return this.view.getFloat64(this.#offset + 16, true)
  }
  get acceptedMicros(): number {
    return this.view.getFloat64(this.#offset + 24, true)
  }
  get sequence(): number {
    return this.view.getFloat64(this.#offset + 32, true)
  }
  get entityOffset(): number {
    return this.#offset + COMMAND_HEADER_BYTES
  }
  get entityBytes(): number {
    return this.view.getUint16(this.#offset + 40, true)
  }
  get sourceOffset(): number {
    return this.entityOffset + this.entityBytes
  }
  get sourceBytes(): number {
    return this.view.getUint16(this.#offset + 42, true)
  }
  get correlationOffset(): number {
    return this.sourceOffset + this.sourceBytes
  }
  get correlationBytes(): number {
    return this.view.getUint16(this.#offset + 44, true)
  }
  get causationOffset(): number {
    return this.correlationOffset + this.correlationBytes
  }
  get causationBytes(): number {
    return this.view.getUint16(this.#offset + 46, true)
  }
  get payloadOffset(): number {
    return this.causationOffset + this.causationBytes
  }
  get payloadBytes(): number {
    return this.view.getUint32(this.#offset + 48, true)
  }
}

/**
 * Why no door can have written the command frame at `offset`; undefined for a good one. Decodes all of it: asked when a worker cannot go on, to tell
 * whether the frame is why.
 */
export function whyNotCommand(bytes: Uint8Array, offset: number, length: number, plant: Pick<PlantModel, 'commands'>): string | undefined {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    if (length < COMMAND_HEADER_BYTES) return 'it is shorter than its header'
    const command = new CommandReader(bytes, view).at(offset)
    if (command.payloadOffset + command.payloadBytes !== offset + length) return 'its parts do not fill it'
    const id = bytes.slice(command.entityOffset, command.entityOffset + command.entityBytes)
    const { type } = parseEntityId(new TextDecoder('utf-8', { fatal: true }).decode(id))
    if (hash32(id) !== command.entityHash) return 'its hash is not that of its entity'
    const known = plant.commands[command.commandNumber]
    if (known === undefined || known.model.name !== type) return 'its entity has no such command'
    decodePayload(known.codec, bytes.slice(command.payloadOffset, offset + length))
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}
