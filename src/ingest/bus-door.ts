import { MonotoneMicros, type Clock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import { hash32 } from '#base/hash.js'
import { parseEntityId } from '#base/ids.js'
import { type Consumer, distance, type DutyCycle, FRAME_TOO_LARGE, INSUFFICIENT_CAPACITY, type Producer } from '#bus/index.js'
import { ANSWER_DONE, ANSWER_FORGOTTEN, ANSWER_HEADER_BYTES, ANSWER_REFUSED } from '#entity/answer-frame.js'
import { ANSWER_ALWAYS, ANSWER_REFUSALS, COMMAND_FRAME, type CommandHeader, commandFrameBytes, writeCommandHeader } from '#entity/command-frame.js'
import type { PlantModel } from '#entity/index.js'
import { unpack } from '#base/pack.js'
import { slotOfShard } from '#shards/placement.js'
import { type AnswerWanted, type Door, IN_FLIGHT_PER_SOURCE_ENTITY_MAX, type IngestCommand, type Offered, type Settlement } from './door.js'

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

interface Waiting {
  request: number
  endPosition: number
  answer: AnswerWanted
  window: Window
  settle: (settlement: Settlement) => void
  settlement: Settlement | undefined
}

/** Commands of one (source, entity) in flight. */
interface Window {
  readonly key: string
  count: number
}

const utf8 = new TextEncoder()
const NO_BYTES = new Uint8Array(0)

/**
 * The Door over the bus: one per gateway process. A command is settled when the worker releases its frame, which means that all it caused is
 * durable; answers that carry data come before that release. A successor of the gateway produces behind what this one published.
 */
export class BusDoor implements Door, DutyCycle {
  readonly counters: BusDoorCounters = { accepted: 0, settled: 0, refused: 0, full: 0, rejected: 0, unnumbered: 0 }
  readonly #plant: PlantModel
  readonly #channels: readonly ChannelState[]
  readonly #shardCount: number
  readonly #term: number
  readonly #accepted: MonotoneMicros
  readonly #wake: () => void
  readonly #windows = new Map<string, Window>()
  readonly #ownSource: Uint8Array
  readonly #header: CommandHeader
  #onRoom: (() => void)[] = []
  #request = 0
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
    this.#plant = options.plant
    this.#channels = options.channels.map((channel) => new ChannelState(channel))
    this.#shardCount = options.shardCount
    this.#term = options.term
    this.#accepted = new MonotoneMicros(options.clock)
    this.#wake = options.wake
    this.#ownSource = utf8.encode(`door:${options.term}`)
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
    let type: string
    try {
      type = parseEntityId(command.entity).type
    } catch (error) {
      return this.#reject(messageOf(error))
    }
    const model = this.#plant.model(type)
    if (model === undefined) return this.#reject(`there is no entity type ${type}; there are ${this.#plant.models.map(({ name }) => name).join(', ')}`)
    const commandNumber = this.#plant.commandNumber(model, command.command)
    if (commandNumber < 0) return this.#reject(`${type} has no command ${command.command}; it has ${model.commandNames.join(', ')}`)
    const codec = model.commandCodec(model.commandNames.indexOf(command.command))
    const wrong = codec.check(command.data)
    if (wrong !== undefined) return this.#reject(wrong)
    if (command.at !== undefined && !Number.isSafeInteger(command.at)) return this.#reject('at: expected whole microseconds since 1970')
    const isNumbered = command.source !== ''
    if (isNumbered && !Number.isSafeInteger(command.sequence)) return this.#reject('sequence: expected a safe integer')

    const key = isNumbered ? `${command.source}\u0000${command.entity}` : command.entity
    const window = this.#windows.get(key) ?? { key, count: 0 }
    if (window.count >= IN_FLIGHT_PER_SOURCE_ENTITY_MAX) return this.#full()

    const header = this.#header
    header.entity = utf8.encode(command.entity)
    header.entityHash = hash32(header.entity)
    header.source = isNumbered ? utf8.encode(command.source) : this.#ownSource
    if (header.source.length > SOURCE_BYTES_MAX) return this.#reject(`source: longer than ${SOURCE_BYTES_MAX} bytes`)
    header.request = (this.#request + 1) >>> 0
    header.sequence = isNumbered ? command.sequence : this.#request + 1
    header.commandNumber = commandNumber
    header.answer = answer === 'always' ? ANSWER_ALWAYS : ANSWER_REFUSALS
    header.at = command.at ?? Number.NaN
    header.correlation = command.correlation === undefined ? NO_BYTES : utf8.encode(command.correlation)
    if (header.correlation.length > SOURCE_BYTES_MAX) return this.#reject(`correlation: longer than ${SOURCE_BYTES_MAX} bytes`)
    header.payloadBytes = codec.encodedBytes(command.data)

    const shard = header.entityHash % this.#shardCount
    const channel = this.#channels[slotOfShard(shard, this.#channels.length)] as ChannelState
    const { commands } = channel
    const offset = commands.tryClaim(commandFrameBytes(header), COMMAND_FRAME)
    if (offset === FRAME_TOO_LARGE) return this.#reject(`the command is larger than ${commands.frameBytesMax} bytes`)
    if (offset === INSUFFICIENT_CAPACITY) return this.#full()
    header.accepted = this.#accepted.next()
    codec.encode(command.data, commands.bytes, commands.view, writeCommandHeader(header, commands.bytes, commands.view, offset))
    commands.commit()

    this.#request++
    window.count++
    this.#windows.set(key, window)
    channel.waiting.push({ request: header.request, endPosition: commands.position, answer, window, settle, settlement: undefined })
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
      work += this.#settleChannel(channel)
    }
    if (work > 0 && this.#onRoom.length > 0) {
      const callbacks = this.#onRoom
      this.#onRoom = []
      for (const callback of callbacks) callback()
      for (const channel of this.#channels) channel.commands.publish()
    }
    return work
  }

  hasWork(): boolean {
    return this.#channels.some((channel) => {
      const first = channel.waiting.first
      return channel.answers.hasFrames() || (first !== undefined && distance(first.endPosition, channel.commands.releasedPosition()) >= 0)
    })
  }

  /** The release word is loaded before the answers are read: whatever was released then has its answer among them. */
  #settleChannel(channel: ChannelState): number {
    const released = channel.commands.releasedPosition()
    let work = this.#readAnswers(channel)
    for (let entry = channel.waiting.first; entry !== undefined; entry = channel.waiting.first) {
      if (distance(entry.endPosition, released) < 0) break
      channel.waiting.shift()
      entry.window.count--
      if (entry.window.count === 0) this.#windows.delete(entry.window.key)
      this.counters.settled++
      work++
      const settlement = entry.settlement ?? (entry.answer === 'always' ? FORGOTTEN_SETTLEMENT : DONE_SETTLEMENT)
      if (settlement.kind === 'refused' || settlement.kind === 'failed') this.counters.refused++
      entry.settle(settlement)
    }
    return work
  }

  #readAnswers(channel: ChannelState): number {
    const { answers } = channel
    let count = 0
    for (let offset = answers.next(); offset >= 0; offset = answers.next()) {
      count++
      const { view, bytes } = answers
      if (view.getUint32(offset + 4, true) === this.#term) {
        const entry = channel.waiting.find(view.getUint32(offset, true))
        if (entry !== undefined) {
          const outcome = bytes.slice(offset + ANSWER_HEADER_BYTES, offset + answers.length)
          entry.settlement = settlementOf(view.getUint32(offset + 12, true), view.getUint32(offset + 8, true), outcome)
        }
      }
      answers.release(answers.endPosition)
    }
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

/** Of a source or correlation, as an index key in every row. */
const SOURCE_BYTES_MAX = 512
const DONE_SETTLEMENT: Settlement = { kind: 'done', version: 0, reply: undefined }
const FORGOTTEN_SETTLEMENT: Settlement = { kind: 'forgotten' }

/** Refusal codes that stand for a fault in the entity's code rather than for its decision. */
const FAULTS: ReadonlySet<string> = new Set(['DECIDE_FAILED', 'APPLY_FAILED', 'TOO_LARGE'])

function settlementOf(kind: number, version: number, outcome: Uint8Array): Settlement {
  if (kind === ANSWER_FORGOTTEN) return FORGOTTEN_SETTLEMENT
  if (kind === ANSWER_DONE) return { kind: 'done', version, reply: outcome.length === 0 ? undefined : unpack(outcome) }
  if (kind !== ANSWER_REFUSED) return { kind: 'failed', message: `an answer of an unknown kind: ${kind}` }
  const [code, detail] = unpack<[string, unknown]>(outcome)
  if (!FAULTS.has(code)) return { kind: 'refused', version, code, detail }
  return { kind: 'failed', message: `${code}: ${(detail as { message?: string } | undefined)?.message ?? ''}` }
}

/** In order of their frames, and so of their requests, which count modulo 2^32. */
class WaitingQueue {
  #entries: Waiting[] = []
  #head = 0

  push(entry: Waiting): void {
    this.#entries.push(entry)
  }

  get first(): Waiting | undefined {
    return this.#entries[this.#head]
  }

  shift(): void {
    this.#head++
    if (this.#head > 1024 && this.#head * 2 > this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head)
      this.#head = 0
    }
  }

  find(request: number): Waiting | undefined {
    let low = this.#head
    let high = this.#entries.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      const entry = this.#entries[middle] as Waiting
      const ahead = (request - entry.request) | 0
      if (ahead === 0) return entry
      if (ahead > 0) low = middle + 1
      else high = middle - 1
    }
    return undefined
  }
}

class ChannelState {
  readonly commands: Producer
  readonly answers: Consumer
  readonly waiting = new WaitingQueue()

  constructor(channel: WorkerChannel) {
    this.commands = channel.commands
    this.answers = channel.answers
  }
}
