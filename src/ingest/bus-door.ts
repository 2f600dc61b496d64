import { MonotoneMicros, type Clock } from '#base/clock.js'
import { unpack } from '#base/pack.js'
import { distance, type DutyCycle, FRAME_TOO_LARGE, INSUFFICIENT_CAPACITY } from '#bus/index.js'
import { ANSWER_DONE, ANSWER_FORGOTTEN, ANSWER_HEADER_BYTES, ANSWER_REFUSED } from '#entity/answer-frame.js'
import {
  ANSWER_ALWAYS,
  ANSWER_REFUSALS,
  COMMAND_FRAME,
  type CommandHeader,
  commandFrameBytes,
  renumberCommand,
  writeCommandHeader,
} from '#entity/command-frame.js'
import type { EntityModel, PlantModel } from '#entity/index.js'
import type { Codec } from '#schema/index.js'
import type { Placement } from '#shards/placement.js'
import type { EntityId } from '#base/ids.js'
import {
  type AnswerWanted,
  type Door,
  type DoorLine,
  IN_FLIGHT_PER_SOURCE_ENTITY_MAX,
  type IngestCommand,
  type Offered,
  type SettleLine,
  type Settlement,
} from './door.js'
import { DOOR_SOURCE_PREFIX, encodeLabel, type Lane, Lanes, SOURCE_BYTES_MAX } from './lanes.js'
import { BusDoorLine } from './bus-door-line.js'
import { DoorChannel, type WorkerChannel } from './door-channel.js'
import { LineTemplates } from './line-templates.js'

export type { WorkerChannel } from './door-channel.js'

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

/** Of the offers of lines in one turn, one in so many looks at the clock, which costs as much as a tenth of an offer. */
const CLOCK_LOOKS_MASK = 15

/**
 * The Door over the bus: one per gateway process. A command is settled when the worker releases its frame, which means that all it caused is
 * durable; answers that carry data come before that release. A successor of the gateway produces behind what this one published.
 *
 * Once an offer was answered `full`, no later one overtakes it: until `onRoom` calls back, commands to the same worker are answered `full` too if a
 * ring had no room, else those of the same source and entity. Callbacks come in the order in which they were asked for. Commands to a shard that moves from one worker
 * to another are answered `full` until it has.
 */
export class BusDoor implements Door, DutyCycle {
  readonly counters: BusDoorCounters = { accepted: 0, settled: 0, refused: 0, full: 0, rejected: 0, unnumbered: 0 }
  readonly #channels: readonly DoorChannel[]
  readonly #placement: Placement
  readonly #shardCount: number
  readonly #term: number
  readonly #clock: Clock
  readonly #onAck: ((ms: number) => void) | undefined
  readonly #accepted: MonotoneMicros
  readonly #wake: () => void
  readonly #lanes: Lanes
  readonly #commands: ReadonlyMap<EntityModel, ReadonlyMap<string, KnownCommand>>
  readonly #header: CommandHeader
  readonly #templates = new LineTemplates()
  /** Offers of lines since the clock was looked at. */
  #sinceClock = 0
  #onRoom: (() => void)[] = []
  /** Of the placement, as far as those who wait have been told. */
  #changesSeen: number
  /** How often there was room again. */
  #roomCount = 0
  #isClosed = false

  constructor(options: {
    readonly plant: PlantModel
    /** By worker slot. */
    readonly channels: readonly WorkerChannel[]
    readonly placement: Placement
    readonly term: number
    readonly clock: Clock
    readonly wake: () => void
    /** Told how long a command of a line took to be acknowledged, of one command per channel at a time. */
    readonly onAck?: (ms: number) => void
  }) {
    this.#channels = options.channels.map((channel) => new DoorChannel(channel))
    this.#placement = options.placement
    this.#shardCount = options.placement.shardCount
    this.#changesSeen = options.placement.changes
    this.#term = options.term
    this.#clock = options.clock
    this.#onAck = options.onAck
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
    const shard = route.hash % this.#shardCount
    const isHeld = this.#isHeld(shard)
    const channel = this.#channelOf(shard)
    if (channel.blockedBytes > 0) return this.#full()
    const lane = this.#lanes.lane(route, command.source)
    if (typeof lane === 'string') return this.#reject(lane)
    if (lane.refusedAt === this.#roomCount || isHeld) return this.#held(lane)

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
    header.request = channel.waiting.nextRequest
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
    channel.waiting.push(commands.position, answer === 'always', lane, settle, 0)
    this.counters.accepted++
    if (!isNumbered) this.counters.unnumbered++
    this.#wake()
    return 'accepted'
  }

  line(entity: EntityId, source: string, command: string): DoorLine | string {
    const route = this.#lanes.route(entity)
    if (typeof route === 'string') return route
    if (source === '') return 'source: a line numbers its commands, so it names who sends'
    const lane = this.#lanes.lane(route, source)
    if (typeof lane === 'string') return lane
    const known = this.#commands.get(route.model)?.get(command)
    if (known === undefined) return noSuchCommand(route.model, command)
    const header = this.#header
    header.entityHash = route.hash
    header.commandNumber = known.number
    header.answer = ANSWER_REFUSALS
    header.entity = route.bytes
    header.source = lane.sourceBytes
    header.correlation = NO_BYTES
    return new BusDoorLine(this, route.hash % this.#shardCount, lane, known.codec, this.#templates, header)
  }

  /** For lines: as `offer`, of which all that is the same for each command of a line has been done. */
  offerOn(
    line: BusDoorLine,
    sequence: number,
    data: Readonly<Record<string, unknown>>,
    at: number,
    settle: SettleLine,
    token: number,
  ): Offered {
    const { shard, lane, codec, headerBytes } = line
    const isHeld = this.#isHeld(shard)
    const channel = this.#channelOf(shard)
    if (this.#isClosed || channel.blockedBytes > 0 || lane.refusedAt === this.#roomCount) return this.#full()
    if (isHeld) return this.#held(lane)
    const wrong = codec.check(data) ?? wrongNumbers(sequence, at)
    if (wrong !== undefined) return this.#reject(wrong)
    if (lane.inFlight >= IN_FLIGHT_PER_SOURCE_ENTITY_MAX) {
      lane.refusedAt = this.#roomCount
      return this.#full()
    }
    const payloadBytes = codec.encodedBytes(data)
    const { commands, waiting } = channel
    const offset = commands.tryClaim(headerBytes + payloadBytes, COMMAND_FRAME)
    if (offset === FRAME_TOO_LARGE) return this.#reject(`the command is larger than ${commands.frameBytesMax} bytes`)
    if (offset === INSUFFICIENT_CAPACITY) {
      channel.blockedBytes = headerBytes + payloadBytes
      return this.#full()
    }
    const { view } = commands
    this.#templates.copy(line.template, headerBytes, view, offset)
    const accepted = (this.#sinceClock++ & CLOCK_LOOKS_MASK) === 0 ? this.#accepted.next() : this.#accepted.following()
    renumberCommand(view, offset, waiting.nextRequest, at, accepted, sequence, payloadBytes)
    codec.encode(data, commands.bytes, view, offset + headerBytes)
    commands.commit()
    lane.inFlight++
    waiting.push(commands.position, false, lane, settle, token)
    if (channel.sampledSinceMs === 0 && this.#onAck !== undefined) channel.sample(commands.position, this.#clock.monotonicMs())
    this.counters.accepted++
    this.#wake()
    return 'accepted'
  }

  onRoom(callback: () => void): void {
    this.#onRoom.push(callback)
  }

  /** Whatever was taken can be seen by the workers. */
  publish(): void {
    for (const channel of this.#channels) channel.commands.publish()
  }

  doWork(): number {
    let work = 0
    this.#sinceClock = 0
    for (const channel of this.#channels) {
      channel.commands.publish()
      work += this.#settleChannel(channel) + channel.unblock()
    }
    const { changes } = this.#placement
    if (changes !== this.#changesSeen) work++
    this.#changesSeen = changes
    if (work === 0) return 0
    this.#roomCount++
    if (this.#onRoom.length > 0) {
      const callbacks = this.#onRoom
      this.#onRoom = []
      for (const callback of callbacks) callback()
    }
    this.publish()
    return work
  }

  hasWork(): boolean {
    return this.#placement.changes !== this.#changesSeen || this.#channels.some((channel) => channel.hasWork())
  }

  #channelOf(shard: number): DoorChannel {
    return this.#channels[this.#placement.slotOf(shard)] as DoorChannel
  }

  /** To be asked before the channel: a shard that is free by then has moved already. */
  #isHeld(shard: number): boolean {
    return this.#placement.isHeld(shard)
  }

  /** No later command of the lane overtakes the one that is refused. */
  #held(lane: Lane): Offered {
    lane.refusedAt = this.#roomCount
    return this.#full()
  }

  /** The release word is loaded before the answers are read: whatever was released then has its answer among them. */
  #settleChannel(channel: DoorChannel): number {
    const released = channel.commands.releasedPosition()
    let work = this.#readAnswers(channel)
    const { waiting } = channel
    while (waiting.count > 0 && distance(waiting.firstEndPosition, released) >= 0) {
      const { firstSettle: settle, firstToken: token } = waiting
      const settlement = waiting.firstSettlement ?? (waiting.isFirstAnswerWanted ? FORGOTTEN_SETTLEMENT : DONE_SETTLEMENT)
      waiting.firstLane.inFlight--
      waiting.shift()
      this.counters.settled++
      work++
      if (settlement.kind === 'refused' || settlement.kind === 'failed') this.counters.refused++
      settle(settlement, token)
    }
    if (channel.sampledSinceMs > 0 && distance(channel.sampledEnd, released) >= 0) {
      this.#onAck?.(this.#clock.monotonicMs() - channel.sampledSinceMs)
      channel.sampledSinceMs = 0
    }
    return work
  }

  /** Answers to a predecessor, and those given again by the successor of a worker, find nobody or say the same. */
  #readAnswers(channel: DoorChannel): number {
    const { answers } = channel
    let count = 0
    for (let offset = answers.next(); offset >= 0; offset = answers.next()) {
      count++
      const { view, bytes } = answers
      if (view.getUint32(offset + 4, true) !== this.#term) continue
      channel.waiting.answer(view.getUint32(offset, true), () => {
        const outcome = bytes.slice(offset + ANSWER_HEADER_BYTES, offset + answers.length)
        return settlementOf(view.getUint32(offset + 12, true), view.getUint32(offset + 8, true), outcome)
      })
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
  return wrongNumbers(source === '' ? 0 : sequence, at ?? Number.NaN)
}

function wrongNumbers(sequence: number, at: number): string | undefined {
  if (at === at && !Number.isSafeInteger(at)) return 'at: expected whole microseconds since 1970'
  return Number.isSafeInteger(sequence) ? undefined : 'sequence: expected a safe integer'
}
