import { MonotoneMicros, type Clock } from '#base/clock.js'
import { unpack } from '#base/pack.js'
import { type Consumer, distance, type DutyCycle, FRAME_TOO_LARGE, INSUFFICIENT_CAPACITY, type Producer } from '#bus/index.js'
import { ANSWER_DONE, ANSWER_FORGOTTEN, ANSWER_HEADER_BYTES, ANSWER_REFUSED } from '#entity/answer-frame.js'
import {
  ANSWER_ALWAYS,
  ANSWER_REFUSALS,
  COMMAND_FRAME,
  type CommandHeader,
  commandFrameBytes,
  writeCommandHeader,
} from '#entity/command-frame.js'
import type { EntityModel, PlantModel } from '#entity/index.js'
import type { Codec } from '#schema/index.js'
import { slotOfShard } from '#shards/placement.js'
import { type AnswerWanted, type Door, IN_FLIGHT_PER_SOURCE_ENTITY_MAX, type IngestCommand, type Offered, type Settlement } from './door.js'
import { DOOR_SOURCE_PREFIX, encodeLabel, type Lane, Lanes, SOURCE_BYTES_MAX } from './lanes.js'
import { type Waiting, WaitingQueue } from './waiting-queue.js'

/** The gateway's end of the two channels of one worker slot. */
export interface WorkerChannel {
  readonly commands: Producer
  readonly answers: Consumer
}

export interface BusDoorCounters {
  /** Commands taken, and settled since. */
  accepted: number
  settled: number
  refused: number
  /** Offers answered `full`: no room in a ring, or too many of one source and entity in flight. */
  full: number
  /** Offers that can never be taken. */
  rejected: number
  /** Commands without a source: a resend of one is a second command. */
  unnumbered: number
}

/** A command that the plant has: its number in frames and its codec. */
interface KnownCommand {
  readonly number: number
  readonly codec: Codec
}

const NO_BYTES = new Uint8Array(0)

/** Shortly before they wrap, so that every door does that early in its life and none for the first time after weeks. */
const FIRST_REQUEST = 0xffff_fff0

/**
 * The Door over the bus: one per gateway process. A command is settled when the worker releases its frame, which means that all it caused is
 * durable; answers that carry data come before that release. A successor of the gateway produces behind what this one published.
 *
 * Once an offer was answered `full`, no later one overtakes it: until `onRoom` calls back, commands to the same worker are answered `full` too if a
 * ring had no room, else those of the same source and entity. Callbacks come in the order in which they were asked for.
 */
export class BusDoor implements Door, DutyCycle {
  readonly counters: BusDoorCounters = { accepted: 0, settled: 0, refused: 0, full: 0, rejected: 0, unnumbered: 0 }
  readonly #channels: readonly ChannelState[]
  readonly #shardCount: number
  readonly #term: number
  readonly #accepted: MonotoneMicros
  readonly #wake: () => void
  readonly #lanes: Lanes
  readonly #commands: ReadonlyMap<EntityModel, ReadonlyMap<string, KnownCommand>>
  readonly #header: CommandHeader
  #onRoom: (() => void)[] = []
  /** How often there was room again. */
  #roomCount = 0
  #isClosed = false

  constructor(options: {
    readonly plant: PlantModel
    /** By worker slot. */
    readonly channels: readonly WorkerChannel[]
    readonly shardCount: number
    readonly term: number
    readonly clock: Clock
    readonly wake: () => void
  }) {
    this.#channels = options.channels.map((channel) => new ChannelState(channel))
    this.#shardCount = options.shardCount
    this.#term = options.term
    this.#accepted = new MonotoneMicros(options.clock)
    this.#wake = options.wake
    this.#lanes = new Lanes(options.plant, `${DOOR_SOURCE_PREFIX}${options.term}`)
    this.#commands = new Map(options.plant.models.map((model) => [model, commandsOf(options.plant, model)]))
    this.#header = {
      request: 0,
      doorTerm: options.term,
      entityHash: 0,
      commandNumber: 0,
      answer: 0,
      at: Number.NaN,
      accepted: 0,
      sequence: 0,
      entity: NO_BYTES,
      source: NO_BYTES,
      correlation: NO_BYTES,
      causation: NO_BYTES,
      payloadBytes: 0,
    }
  }

  /** Commands taken and not yet settled. */
  get inFlightCount(): number {
    return this.counters.accepted - this.counters.settled
  }

  /** From now on every offer is answered `full`; what is in flight is still settled. */
  close(): void {
    this.#isClosed = true
  }

  offer(command: IngestCommand, answer: AnswerWanted, settle: (settlement: Settlement) => void): Offered {
    if (this.#isClosed) return this.#full()
    const route = this.#lanes.route(command.entity)
    if (typeof route === 'string') return this.#reject(route)
    const channel = this.#channels[slotOfShard(route.hash % this.#shardCount, this.#channels.length)] as ChannelState
    if (channel.blockedBytes > 0) return this.#full()
    const lane = this.#lanes.lane(route, command.source)
    if (typeof lane === 'string') return this.#reject(lane)
    if (lane.refusedAt === this.#roomCount) return this.#full()

    const known = this.#commands.get(route.model)?.get(command.command)
    if (known === undefined) return this.#reject(noSuchCommand(route.model, command.command))
    const wrong = known.codec.check(command.data) ?? wrongEnvelope(command)
    if (wrong !== undefined) return this.#reject(wrong)
    const correlation = command.correlation === undefined ? NO_BYTES : encodeLabel(command.correlation)
    if (correlation === undefined) return this.#reject(`correlation: longer than ${SOURCE_BYTES_MAX} bytes or not valid Unicode`)
    if (lane.inFlight >= IN_FLIGHT_PER_SOURCE_ENTITY_MAX) {
      lane.refusedAt = this.#roomCount
      return this.#full()
    }

    const isNumbered = command.source !== ''
    const header = this.#header
    header.request = channel.nextRequest
    header.entityHash = route.hash
    header.commandNumber = known.number
    header.answer = answer === 'always' ? ANSWER_ALWAYS : ANSWER_REFUSALS
    header.at = command.at ?? Number.NaN
    header.sequence = isNumbered ? command.sequence : this.counters.unnumbered + 1
    header.entity = route.bytes
    header.source = lane.sourceBytes
    header.correlation = correlation
    header.payloadBytes = known.codec.encodedBytes(command.data)
    const frameBytes = commandFrameBytes(header)
    const { commands } = channel
    const offset = commands.tryClaim(frameBytes, COMMAND_FRAME)
    if (offset === FRAME_TOO_LARGE) return this.#reject(`the command is larger than ${commands.frameBytesMax} bytes`)
    if (offset === INSUFFICIENT_CAPACITY) {
      channel.blockedBytes = frameBytes
      return this.#full()
    }
    header.accepted = this.#accepted.next()
    known.codec.encode(command.data, commands.bytes, commands.view, writeCommandHeader(header, commands.bytes, commands.view, offset))
    commands.commit()

    lane.inFlight++
    channel.sent(answer, lane, settle)
    this.counters.accepted++
    if (!isNumbered) this.counters.unnumbered++
    this.#wake()
    return 'accepted'
  }

  onRoom(callback: () => void): void {
    this.#onRoom.push(callback)
  }

  doWork(): number {
    let work = 0
    for (const channel of this.#channels) {
      channel.commands.publish()
      work += this.#settleChannel(channel) + channel.unblock()
    }
    if (work === 0) return 0
    this.#roomCount++
    if (this.#onRoom.length > 0) {
      const callbacks = this.#onRoom
      this.#onRoom = []
      for (const callback of callbacks) callback()
    }
    for (const channel of this.#channels) channel.commands.publish()
    return work
  }

  hasWork(): boolean {
    return this.#channels.some((channel) => channel.hasWork())
  }

  /** The release word is loaded before the answers are read: whatever was released then has its answer among them. */
  #settleChannel(channel: ChannelState): number {
    const released = channel.commands.releasedPosition()
    let work = this.#readAnswers(channel)
    for (let entry = channel.waiting.first; entry !== undefined; entry = channel.waiting.first) {
      if (distance(entry.endPosition, released) < 0) break
      const { settle, answer, settlement = answer === 'always' ? FORGOTTEN_SETTLEMENT : DONE_SETTLEMENT } = entry
      ;(entry.lane as Lane).inFlight--
      channel.waiting.shift()
      this.counters.settled++
      work++
      if (settlement.kind === 'refused' || settlement.kind === 'failed') this.counters.refused++
      settle?.(settlement)
    }
    return work
  }

  /** Answers to a predecessor, and those given again by the successor of a worker, find nobody or say the same. */
  #readAnswers(channel: ChannelState): number {
    const { answers } = channel
    let count = 0
    for (let offset = answers.next(); offset >= 0; offset = answers.next()) {
      count++
      const { view, bytes } = answers
      const entry = view.getUint32(offset + 4, true) === this.#term ? channel.waiting.find(view.getUint32(offset, true)) : undefined
      if (entry !== undefined) {
        const outcome = bytes.slice(offset + ANSWER_HEADER_BYTES, offset + answers.length)
        entry.settlement = settlementOf(view.getUint32(offset + 12, true), view.getUint32(offset + 8, true), outcome)
      }
    }
    if (count > 0) answers.release(answers.endPosition)
    return count
  }

  #full(): 'full' {
    this.counters.full++
    return 'full'
  }

  #reject(reason: string): Offered {
    this.counters.rejected++
    return { rejected: reason }
  }
}

const DONE_SETTLEMENT: Settlement = { kind: 'done', version: 0, reply: undefined }
const FORGOTTEN_SETTLEMENT: Settlement = { kind: 'forgotten' }

function settlementOf(kind: number, version: number, outcome: Uint8Array): Settlement {
  if (kind === ANSWER_FORGOTTEN) return FORGOTTEN_SETTLEMENT
  if (kind === ANSWER_DONE) return { kind: 'done', version, reply: outcome.length === 0 ? undefined : unpack(outcome) }
  if (kind !== ANSWER_REFUSED) return { kind: 'failed', message: `an answer of an unknown kind: ${kind}` }
  const [code, detail, isFault] = unpack<[code: string, detail: unknown, isFault?: boolean]>(outcome)
  if (isFault !== true) return { kind: 'refused', version, code, detail }
  const message = (detail as { message?: string } | undefined)?.message
  return { kind: 'failed', message: message === undefined ? code : `${code}: ${message}` }
}

function commandsOf(plant: PlantModel, model: EntityModel): ReadonlyMap<string, KnownCommand> {
  return new Map(
    model.commandNames.map((name, index) => [name, { number: plant.commandNumber(model, name), codec: model.commandCodec(index) }]),
  )
}

function noSuchCommand(model: EntityModel, command: string): string {
  return `${model.name} has no command ${command}; it has ${model.commandNames.join(', ')}`
}

function wrongEnvelope({ at, source, sequence }: IngestCommand): string | undefined {
  if (at !== undefined && !Number.isSafeInteger(at)) return 'at: expected whole microseconds since 1970'
  if (source !== '' && !Number.isSafeInteger(sequence)) return 'sequence: expected a safe integer'
  return undefined
}

class ChannelState {
  readonly commands: Producer
  readonly answers: Consumer
  readonly waiting = new WaitingQueue()
  nextRequest = FIRST_REQUEST
  /** What the frame takes for which there was no room; 0: none was refused since. */
  blockedBytes = 0

  constructor(channel: WorkerChannel) {
    this.commands = channel.commands
    this.answers = channel.answers
  }

  /** The command in the frame that was committed last. */
  sent(answer: AnswerWanted, lane: Lane, settle: (settlement: Settlement) => void): void {
    const entry: Waiting = this.waiting.push()
    entry.request = this.nextRequest
    entry.endPosition = this.commands.position
    entry.answer = answer
    entry.lane = lane
    entry.settle = settle
    this.nextRequest = (this.nextRequest + 1) >>> 0
  }

  /** 1 when there is room now for what was refused. */
  unblock(): number {
    if (this.blockedBytes === 0 || !this.commands.hasRoom(this.blockedBytes)) return 0
    this.blockedBytes = 0
    return 1
  }

  hasWork(): boolean {
    if (this.answers.hasFrames() || this.commands.position !== this.commands.publishedPosition) return true
    if (this.blockedBytes > 0 && this.commands.hasRoom(this.blockedBytes)) return true
    const { first } = this.waiting
    return first !== undefined && distance(first.endPosition, this.commands.releasedPosition()) >= 0
  }
}
