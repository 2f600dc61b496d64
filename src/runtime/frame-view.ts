import { unpack } from '#base/pack.js'
import { ANSWER_DONE, ANSWER_FORGOTTEN, ANSWER_FRAME, ANSWER_HEADER_BYTES, ANSWER_REFUSED } from '#entity/answer-frame.js'
import { COMMAND_FRAME, COMMAND_HEADER_BYTES, CommandReader } from '#entity/command-frame.js'
import type { PlantModel } from '#entity/index.js'
import { APPEND_HEADER_BYTES, AppendReader, OUTCOME_NONE, OUTCOME_REPLY, RECEIPT_TYPE, ROW_HEADER_BYTES } from '#journal/append-frame.js'
import type { EventType } from '#journal/index.js'
import { APPEND_FRAME } from '#serving/serving-frames.js'
import { type Codec, createCodec, decodePayload } from '#schema/index.js'

/** A frame as people read it: what it is, and its fields by name; or its bytes as hexadecimal digits. */
export type FrameView = { readonly kind: 'command' | 'answer' | 'append' | 'bytes' } & Readonly<Record<string, unknown>>

const ANSWERS: Readonly<Record<number, string>> = { [ANSWER_DONE]: 'done', [ANSWER_REFUSED]: 'refused', [ANSWER_FORGOTTEN]: 'forgotten' }

/**
 * Shows the frames of one channel. With the plant that the channel was made for, the data of commands is shown too, and with the event types of the
 * journal that of the events which are to be stored.
 */
export class FrameViewer {
  readonly #channel: string
  readonly #plant: PlantModel | undefined
  readonly #events: ReadonlyMap<number, { readonly event: string; readonly codec: Codec }>

  constructor(channel: string, plant: PlantModel | undefined, eventTypes: readonly EventType[]) {
    this.#channel = channel
    this.#plant = plant
    this.#events = new Map(eventTypes.map(({ number, event, fields }) => [number, { event, codec: createCodec(fields) }]))
  }

  /** `bytes` is the payload. What cannot be what its channel and type say is shown as bytes. */
  view(bytes: Uint8Array, type: number): FrameView {
    try {
      if (/^(commands|messages)-/.test(this.#channel) && type === COMMAND_FRAME) return this.#command(bytes) ?? plain(bytes)
      if (/^(answers|replies)-/.test(this.#channel) && type === ANSWER_FRAME && bytes.length >= ANSWER_HEADER_BYTES) return answer(bytes)
      if (this.#channel.startsWith('appends-') && type === APPEND_FRAME && bytes.length >= APPEND_HEADER_BYTES) return this.#append(bytes)
    } catch {
      // A frame is what its producer wrote: shown as it is when it makes no sense.
    }
    return plain(bytes)
  }

  #command(bytes: Uint8Array): FrameView | undefined {
    if (bytes.length < COMMAND_HEADER_BYTES) return undefined
    const command = new CommandReader(bytes, viewOf(bytes)).at(0)
    if (command.payloadOffset + command.payloadBytes !== bytes.length) return undefined
    const payload = bytes.subarray(command.payloadOffset)
    const known = this.#plant?.commands[command.commandNumber]
    return {
      kind: 'command',
      entity: text(bytes, command.entityOffset, command.entityBytes),
      ...(known === undefined
        ? { command: command.commandNumber, payload: hex(payload) }
        : {
            command: known.model.commandName(known.commandIndex),
            data: decodePayload(known.codec, payload),
          }),
      source: text(bytes, command.sourceOffset, command.sourceBytes),
      sequence: command.sequence,
      at: time(command.atMicros),
      accepted: time(command.acceptedMicros),
      request: command.request,
      doorTerm: command.doorTerm,
      correlation: text(bytes, command.correlationOffset, command.correlationBytes) || undefined,
      causation: text(bytes, command.causationOffset, command.causationBytes) || undefined,
    }
  }

  #append(bytes: Uint8Array): FrameView {
    const frame = new AppendReader(bytes, viewOf(bytes)).at(0, bytes.length)
    const rows: unknown[] = []
    for (let row = frame.rowsOffset; rows.length < frame.rowCount; row += ROW_HEADER_BYTES + frame.rowPayloadBytes(row)) {
      const start = row + ROW_HEADER_BYTES
      rows.push(this.#row(frame.rowType(row), bytes.slice(start, start + frame.rowPayloadBytes(row))))
    }
    const outcome = bytes.slice(frame.outcomeOffset, frame.rowsOffset)
    return {
      kind: 'append',
      entity: text(bytes, frame.entityOffset, frame.entityBytes),
      expectedVersion: frame.expectedVersion,
      rows,
      ...(frame.outcomeKind === OUTCOME_NONE
        ? {}
        : { [frame.outcomeKind === OUTCOME_REPLY ? 'reply' : 'refusal']: outcome.length === 0 ? null : unpack(outcome) }),
      source: text(bytes, frame.sourceOffset, frame.sourceBytes),
      sequence: frame.sourceBytes === 0 ? undefined : frame.sequence,
      at: time(frame.atMicros),
      accepted: time(frame.acceptedMicros),
      shard: frame.shard,
      term: frame.term,
      number: frame.number,
    }
  }

  #row(type: number, payload: Uint8Array): unknown {
    if (type === RECEIPT_TYPE) return { receipt: true }
    const known = this.#events.get(type)
    return known === undefined ? { type, payload: hex(payload) } : { event: known.event, data: decodePayload(known.codec, payload) }
  }
}

function answer(bytes: Uint8Array): FrameView {
  const view = viewOf(bytes)
  const kind = view.getUint32(12, true)
  const outcome = bytes.slice(ANSWER_HEADER_BYTES)
  return {
    kind: 'answer',
    answer: ANSWERS[kind] ?? kind,
    version: view.getUint32(8, true),
    outcome: outcome.length === 0 ? undefined : unpack(outcome),
    request: view.getUint32(0, true),
    doorTerm: view.getUint32(4, true),
  }
}

function plain(bytes: Uint8Array): FrameView {
  return { kind: 'bytes', payload: hex(bytes) }
}

function text(bytes: Uint8Array, offset: number, length: number): string {
  return new TextDecoder().decode(bytes.subarray(offset, offset + length))
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')
}

/** Undefined for a command that does not say when it happened. */
function time(micros: number): number | undefined {
  return Number.isNaN(micros) ? undefined : micros
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
