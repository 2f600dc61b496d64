import { type Clock, MonotoneMicros } from '#base/clock.js'
import { unpack } from '#base/pack.js'
import { ANSWER_ALWAYS, ANSWER_REFUSALS, type CommandHeader } from '#entity/command-frame.js'
import { answerData, ENTITY_SOURCE_PREFIX, type Message, type PlantModel, type SettledAs, takesAnswer } from '#entity/index.js'
import type { EffectWay } from './effect-way.js'
import type { MessageLane, MessageLink, SendFailure } from './message-link.js'
import type { Slot } from './slot.js'

/** What became of a message. */
export interface MessageEnd {
  readonly outcome: SettledAs
  readonly code?: string | undefined
  readonly reply?: unknown
  readonly detail?: unknown
}

const NO_BYTES = new Uint8Array(0)
const utf8 = new TextEncoder()
const PREFIX = utf8.encode(ENTITY_SOURCE_PREFIX)

/** Makes messages command frames, as doors make them of what devices send. Nothing is visible before the link is published. */
export class MessageSender {
  readonly #plant: PlantModel
  readonly #ownLink: MessageLink
  readonly #accepted: MonotoneMicros
  readonly #header: CommandHeader = {
    ...{ request: 0, doorTerm: 0, entityHash: 0, commandNumber: 0, answer: ANSWER_REFUSALS, at: 0, accepted: 0, sequence: 0 },
    ...{ entity: NO_BYTES, source: NO_BYTES, correlation: NO_BYTES, causation: NO_BYTES, payloadBytes: 0 },
  }

  /** `ownLink`: by which entities send themselves commands. */
  constructor(plant: PlantModel, ownLink: MessageLink, clock: Clock) {
    this.#plant = plant
    this.#ownLink = ownLink
    this.#accepted = new MonotoneMicros(clock)
  }

  /** Now, in microseconds since 1970, and later than ever before. */
  accepted(): number {
    return this.#accepted.next()
  }

  /** Undefined when it was sent. Whom the plant does not have any more, or what does not fit any more, is never sent. */
  send(lane: MessageLane, message: Message): string | undefined {
    if (message.kind === 'effect') return codeOf((lane.link as EffectWay).trySend(lane, message))
    const plant = this.#plant
    const model = plant.model(lane.to.slice(0, lane.to.indexOf('/')))
    const commandNumber = model === undefined ? -1 : plant.commandNumber(model, message.command)
    if (model === undefined || commandNumber < 0) return 'NO_SUCH_COMMAND'
    const codec = model.commandCodec(model.commandIndex(message.command))
    if (codec.check(message.data) !== undefined) return 'WRONG_DATA'
    const header = this.#headerOf(message, lane.toBytes, lane.toHash, commandNumber)
    header.answer = message.kind === 'ask' ? ANSWER_ALWAYS : ANSWER_REFUSALS
    header.source = lane.source
    header.causation = NO_BYTES
    return codeOf((lane.link as MessageLink).trySend(header, codec, message.data, lane, message.number, false))
  }

  /** A command for the entity itself: what becomes of it is stored with its own rows. */
  sendOwn(slot: Slot, message: Message, lane: MessageLane | undefined): string | undefined {
    const { model } = slot
    const index = model.commandIndex(message.command)
    if (index < 0) return 'NO_SUCH_COMMAND'
    const codec = model.commandCodec(index)
    if (codec.check(message.data) !== undefined) return 'WRONG_DATA'
    return codeOf(this.#sendToSelf(slot, lane, message, message.command, message.data))
  }

  /** Tells the entity that its ask is too late. */
  sendTimeout(slot: Slot, message: Message): SendFailure | undefined {
    return this.#sendToSelf(slot, undefined, message, message.answerCommand, answerData(message, 'timed-out', {}), message.due)
  }

  /** Tells the entity what came of its ask. */
  sendAnswer(lane: MessageLane, message: Message, told: MessageEnd): SendFailure | undefined {
    const { slot } = lane
    const failure = this.#sendToSelf(slot, lane, message, message.answerCommand, answerData(message, told.outcome, told))
    if (failure !== 'too-large') return failure
    return this.#sendToSelf(slot, lane, message, message.answerCommand, answerData(message, 'failed', { code: 'TOO_LARGE' }))
  }

  #sendToSelf(
    slot: Slot,
    lane: MessageLane | undefined,
    message: Message,
    command: string,
    data: object,
    at = message.kind === 'timer' ? message.due : message.at,
  ): SendFailure | undefined {
    const header = this.#headerOf(message, slot.idBytes, slot.hash, this.#plant.commandNumber(slot.model, command))
    header.answer = ANSWER_REFUSALS
    header.at = at
    header.source = NO_BYTES
    header.causation = lane?.source ?? sourceOf(slot)
    const codec = slot.model.commandCodec(slot.model.commandIndex(command))
    return this.#ownLink.trySend(header, codec, data, lane, message.number, true)
  }

  #headerOf(message: Message, entity: Uint8Array, entityHash: number, commandNumber: number): CommandHeader {
    const header = this.#header
    header.entityHash = entityHash
    header.commandNumber = commandNumber
    header.at = message.at
    header.accepted = this.#accepted.next()
    header.sequence = message.number
    header.entity = entity
    header.correlation = message.correlation === '' ? NO_BYTES : utf8.encode(message.correlation)
    return header
  }
}

function codeOf(failure: SendFailure | undefined): string | undefined {
  return failure === 'too-large' ? 'TOO_LARGE' : failure
}

/** Whether the message wants an answer that the entity can take: it may not have the command any more. */
export function canTakeAnswer({ model }: Slot, { answerCommand }: Message): boolean {
  if (answerCommand === '') return false
  const index = model.commandIndex(answerCommand)
  return index >= 0 && takesAnswer(model.commandCodec(index).fields)
}

/** What an entity calls itself as the source of messages. */
export function sourceOf({ idBytes }: Slot): Uint8Array {
  const source = new Uint8Array(PREFIX.length + idBytes.length)
  source.set(PREFIX)
  source.set(idBytes, PREFIX.length)
  return source
}

/** As the target told it: a fault of its own code is a failure and no refusal. */
export function endOf({
  outcome,
  code,
  bytes,
}: {
  readonly outcome: SettledAs
  readonly code: string | undefined
  readonly bytes: Uint8Array
}): MessageEnd {
  if (outcome !== 'refused' || bytes.length === 0) return { outcome, code, reply: bytes.length === 0 ? undefined : unpack(bytes) }
  const [refused, detail, isFault] = unpack<[code: string, detail: unknown, isFault?: boolean]>(bytes)
  return { outcome: isFault === true ? 'failed' : 'refused', code: refused, detail }
}
