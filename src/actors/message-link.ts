import { type Consumer, distance, FRAME_TOO_LARGE, type Producer } from '#bus/index.js'
import { ANSWER_DONE, ANSWER_FORGOTTEN, ANSWER_HEADER_BYTES } from '#entity/answer-frame.js'
import { COMMAND_FRAME, type CommandHeader, commandFrameBytes, writeCommandHeader } from '#entity/command-frame.js'
import { type Outbox, OUTCOMES_PER_SOURCE, type SettledAs } from '#entity/index.js'
import type { Codec } from '#schema/index.js'
import { Fifo } from './fifo.js'
import type { Slot } from './slot.js'

/** A worker's ends of the two channels to a worker, perhaps itself: messages go there, answers come back. */
export interface OutboundLink {
  readonly commands: Producer
  readonly answers: Consumer
}

/** What became of a frame that was sent: nothing is told of those that were sent for no lane. */
export type TakeSettled = (lane: MessageLane | undefined, number: number, isOwn: boolean, outcome: SettledAs, bytes: Uint8Array) => void

/** A way that messages go, of many lanes. */
export interface MessageWay {
  /** Lanes that have something to send. */
  readonly lanes: Fifo<MessageLane>
  /** Of one lane before the end of the first is durable. */
  readonly underWayPerLaneMax: number
  readonly hasRoom: boolean
  /** Whether `take` would find something. */
  hasNews(): boolean
  /** Tells what became of messages, in order where the way has one. */
  take(settled: TakeSettled): number
  publish(): void
}

/** The messages of one entity to one: in order, and so many under way at most as outcomes are remembered there. */
export class MessageLane {
  readonly slot: Slot
  /** The slot's as of when the lane was made: another one means that the entity was loaded anew, and the lane is of no use any more. */
  readonly outbox: Outbox
  readonly to: string
  /** The same as bytes, and its hash32. */
  readonly toBytes: Uint8Array
  readonly toHash: number
  /** What the sender calls itself. */
  readonly source: Uint8Array
  /** Another one when the target has moved. */
  link: MessageWay
  /** Numbers that have not been sent, in order. */
  readonly waiting = new Fifo<number>()
  /** Sent, and the row that says what became of it is not durable yet. */
  underWay = 0
  /** Among those that can be sent. */
  isListed = false

  constructor(parts: Pick<MessageLane, 'slot' | 'outbox' | 'to' | 'toBytes' | 'toHash' | 'source' | 'link'>) {
    this.slot = parts.slot
    this.outbox = parts.outbox
    this.to = parts.to
    this.toBytes = parts.toBytes
    this.toHash = parts.toHash
    this.source = parts.source
    this.link = parts.link
  }

  get isDead(): boolean {
    return this.slot.outbox !== this.outbox
  }
}

/** A frame that was sent and is not released. */
interface Sent {
  readonly end: number
  readonly lane: MessageLane | undefined
  readonly number: number
  /** Of a command that the entity sends itself: what became of it stands in its own row. */
  readonly isOwn: boolean
  outcome: SettledAs
  bytes: Uint8Array
  /** Of a volatile ask: hears what became of it. */
  readonly settle: SettleAsk | undefined
}

export type SettleAsk = (outcome: SettledAs, bytes: Uint8Array) => void

/** `unknown`: the worker there runs code that does not know the command yet. */
export type SendFailure = 'no-room' | 'too-large' | 'unknown'

const NO_BYTES = new Uint8Array(0)

/** The way to the entities of one worker. */
export class MessageLink implements MessageWay {
  readonly lanes = new Fifo<MessageLane>()
  /** That many outcomes are remembered where they go. */
  readonly underWayPerLaneMax = OUTCOMES_PER_SOURCE
  /** Those whose next message is a command that the worker there does not know yet. */
  readonly held: MessageLane[] = []
  #commandsKnown: number
  readonly #commands: Producer
  readonly #answers: Consumer
  readonly #term: number
  readonly #sent = new Fifo<Sent>()
  /** Of the first in `#sent`. */
  #firstRequest = 1
  /** What the frame takes for which there was no room. */
  #blockedBytes = 0

  /** `commandsKnown`: commands from this number on are not sent before `knowAll`. */
  constructor({ commands, answers }: OutboundLink, term: number, commandsKnown: number) {
    this.#commands = commands
    this.#answers = answers
    this.#term = term
    this.#commandsKnown = commandsKnown
  }

  /** From now on the worker there knows every command. */
  knowAll(): void {
    this.#commandsKnown = Number.POSITIVE_INFINITY
    for (const lane of this.held.splice(0)) this.lanes.push(lane)
  }

  get hasRoom(): boolean {
    return this.#blockedBytes === 0 || this.#commands.hasRoom(this.#blockedBytes)
  }

  hasNews(): boolean {
    if (this.#answers.hasFrames()) return true
    const first = this.#sent.first
    return first !== undefined && distance(first.end, this.#commands.releasedPosition()) >= 0
  }

  /** Fills in request and term. Visible after `publish`. */
  trySend(
    header: CommandHeader,
    codec: Codec,
    data: object,
    lane: MessageLane | undefined,
    number: number,
    isOwn: boolean,
    settle?: SettleAsk,
  ): SendFailure | undefined {
    header.request = (this.#firstRequest + this.#sent.count) >>> 0
    header.doorTerm = this.#term
    header.payloadBytes = codec.encodedBytes(data)
    const length = commandFrameBytes(header)
    const { bytes, view } = this.#commands
    if (header.commandNumber >= this.#commandsKnown) return 'unknown'
    const offset = this.#commands.tryClaim(length, COMMAND_FRAME)
    if (offset === FRAME_TOO_LARGE) return 'too-large'
    this.#blockedBytes = offset < 0 ? length : 0
    if (offset < 0) return 'no-room'
    codec.encode(data, bytes, view, writeCommandHeader(header, bytes, view, offset))
    this.#commands.commit()
    this.#sent.push({ end: this.#commands.position, lane, number, isOwn, outcome: 'done', bytes: NO_BYTES, settle })
    return undefined
  }

  publish(): void {
    this.#commands.publish()
  }

  /**
   * Tells what became of each message whose frame is released, in order. The release word is loaded before the answers are read: whatever was released then has its
   * answer among them. Answers to a predecessor are passed over.
   */
  take(settled: TakeSettled): number {
    const released = this.#commands.releasedPosition()
    let work = this.#readAnswers()
    for (let first = this.#sent.first; first !== undefined && distance(first.end, released) >= 0; first = this.#sent.first) {
      this.#sent.shift()
      this.#firstRequest = (this.#firstRequest + 1) >>> 0
      if (first.settle === undefined) settled(first.lane, first.number, first.isOwn, first.outcome, first.bytes)
      else first.settle(first.outcome, first.bytes)
      work++
    }
    return work
  }

  #readAnswers(): number {
    const answers = this.#answers
    let count = 0
    for (let offset = answers.next(); offset >= 0; offset = answers.next()) {
      count++
      const { view, bytes } = answers
      if (view.getUint32(offset + 4, true) !== this.#term) continue
      const sent = this.#sent.at((view.getUint32(offset, true) - this.#firstRequest) >>> 0)
      if (sent === undefined) continue
      const kind = view.getUint32(offset + 12, true)
      sent.outcome = kind === ANSWER_DONE ? 'done' : kind === ANSWER_FORGOTTEN ? 'forgotten' : 'refused'
      sent.bytes = bytes.slice(offset + ANSWER_HEADER_BYTES, offset + answers.length)
    }
    if (count > 0) answers.release(answers.endPosition)
    return count
  }
}
