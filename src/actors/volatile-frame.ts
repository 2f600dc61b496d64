import {
  ANSWER_ALWAYS,
  type CommandHeader,
  CommandReader,
  commandFrameBytes,
  VOLATILE_FLAG,
  writeCommandHeader,
} from '#entity/command-frame.js'
import type { EntityModel, PlantModel, VolatileMessage } from '#entity/index.js'
import { sourceOf } from './message-sender.js'
import type { Slot } from './slot.js'

const NO_BYTES = new Uint8Array(0)
const utf8 = new TextEncoder()
/** Whoever copies whole words reads up to three bytes more than there are. */
const SPARE_BYTES = 8

/** Headers of volatile messages: one object for all, made once. */
export class VolatileHeaders {
  readonly #plant: PlantModel
  readonly #header: CommandHeader = {
    ...{
      request: 0,
      doorTerm: 0,
      entityHash: 0,
      commandNumber: 0,
      answer: VOLATILE_FLAG,
      at: 0,
      accepted: 0,
      sequence: 0,
      payloadBytes: 0,
    },
    ...{ entity: NO_BYTES, source: NO_BYTES, correlation: NO_BYTES, causation: NO_BYTES },
  }
  /** Whose source the header has. */
  #from: Slot | undefined

  constructor(plant: PlantModel) {
    this.#plant = plant
  }

  /** All but request and payload, valid until the next call: no source, since it has no sequence; its sender is its causation. */
  of(message: VolatileMessage, to: { readonly idBytes: Uint8Array; readonly hash: number }, accepted: number): CommandHeader {
    const { target, commandIndex, cause, ask } = message
    const header = this.#header
    if (message.from !== this.#from) {
      this.#from = message.from as Slot
      header.causation = sourceOf(this.#from)
    }
    const { name, commandNames } = target.model
    header.answer = ask === undefined ? VOLATILE_FLAG : VOLATILE_FLAG | ANSWER_ALWAYS
    header.entity = to.idBytes
    header.entityHash = to.hash
    header.at = cause.at
    header.accepted = accepted
    header.commandNumber = this.#plant.commandNumber(this.#plant.model(name) as EntityModel, commandNames[commandIndex] as string)
    header.correlation = cause.correlation === '' ? NO_BYTES : utf8.encode(cause.correlation)
    return header
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
