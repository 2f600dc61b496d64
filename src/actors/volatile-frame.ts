import { type CommandHeader, CommandReader, commandFrameBytes, VOLATILE_FLAG, writeCommandHeader } from '#entity/command-frame.js'
import type { EntityModel, PlantModel, VolatileMessage } from '#entity/index.js'
import { sourceOf } from './message-sender.js'
import type { Slot } from './slot.js'

const NO_BYTES = new Uint8Array(0)
const utf8 = new TextEncoder()
/** Whoever copies whole words reads up to three bytes more than there are. */
const SPARE_BYTES = 8

/** The header of a volatile message, all but its request, answer and payload: no source, since it has no sequence; its sender is its causation. */
export function volatileHeader(
  message: VolatileMessage,
  from: Slot,
  to: { readonly idBytes: Uint8Array; readonly hash: number },
  accepted: number,
  plant: PlantModel,
): CommandHeader {
  const { target, commandIndex, cause } = message
  return {
    ...{ request: 0, doorTerm: 0, answer: VOLATILE_FLAG, sequence: 0, payloadBytes: 0 },
    ...{ entity: to.idBytes, entityHash: to.hash, at: cause.at, accepted, source: NO_BYTES, causation: sourceOf(from) },
    commandNumber: plant.commandNumber(plant.model(target.model.name) as EntityModel, target.model.commandNames[commandIndex] as string),
    correlation: cause.correlation === '' ? NO_BYTES : utf8.encode(cause.correlation),
  }
}

/** A command frame in memory of its own, for commands that come by no channel and are to be executed as if they did. */
export class LooseFrame {
  #bytes = new Uint8Array(4096)
  #view = new DataView(this.#bytes.buffer)
  #reader = new CommandReader(this.#bytes, this.#view)

  /** Valid until the next call. */
  write(header: CommandHeader, message: VolatileMessage): CommandReader {
    const codec = message.target.model.commandCodec(message.commandIndex)
    header.payloadBytes = codec.encodedBytes(message.data)
    const length = commandFrameBytes(header) + SPARE_BYTES
    if (length > this.#bytes.length) {
      this.#bytes = new Uint8Array(length * 2)
      this.#view = new DataView(this.#bytes.buffer)
      this.#reader = new CommandReader(this.#bytes, this.#view)
    }
    codec.encode(message.data, this.#bytes, this.#view, writeCommandHeader(header, this.#bytes, this.#view, 0))
    return this.#reader.at(0)
  }
}
