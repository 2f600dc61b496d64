import { type Consumer, distance, FrameCursor, type Producer } from '#bus/index.js'
import { assert } from '#base/assert.js'
import { ANSWER_FRAME, ANSWER_HEADER_BYTES, writeAnswer } from '#entity/answer-frame.js'
import { COMMAND_FRAME, CommandReader } from '#entity/command-frame.js'
import { type InFlight, InFlightQueue } from './in-flight.js'

/** The worker's end of the two channels of one gateway. */
export interface InboundLink {
  readonly commands: Consumer
  readonly answers: Producer
}

/** The commands of one gateway: read in order, read again where that is needed, answered and released in order. */
export class Inbound {
  readonly queue: InFlightQueue
  readonly #index: number
  readonly #commands: Consumer
  readonly #answers: Producer
  readonly #reader: CommandReader
  readonly #cursor: FrameCursor
  /** What the answer takes for which there was no room, 0 when there was none such. */
  #blockedBytes = 0

  constructor(link: InboundLink, index: number, inFlightMax: number) {
    this.#index = index
    this.#commands = link.commands
    this.#answers = link.answers
    this.queue = new InFlightQueue(inFlightMax)
    this.#reader = new CommandReader(link.commands.bytes, link.commands.view)
    this.#cursor = new FrameCursor(link.commands)
  }

  /** Nothing read is unreleased, and nothing is left to read. */
  get isIdle(): boolean {
    return this.queue.count === 0 && !this.#commands.hasFrames()
  }

  canRead(): boolean {
    return !this.queue.isFull && this.#commands.hasFrames()
  }

  /** Reads the next command into a new entry, or answers undefined. */
  next(): InFlight | undefined {
    const commands = this.#commands
    if (this.queue.isFull) return undefined
    const offset = commands.next()
    if (offset < 0) return undefined
    assert(commands.type === COMMAND_FRAME, 'the commands channel carries commands only')
    const entry = this.queue.push()
    entry.link = this.#index
    entry.startPosition = commands.startPosition
    entry.endPosition = commands.endPosition
    this.#reader.at(offset)
    return entry
  }

  /** The command of an entry that was read and not released. One reader serves all: use it before the next call. */
  command(entry: InFlight): CommandReader {
    this.#cursor.seek(entry.startPosition)
    const offset = this.#cursor.next(entry.endPosition)
    assert(offset >= 0, 'a frame that is not released can be read again')
    return this.#reader.at(offset)
  }

  /** The command that `next` gave. */
  get newest(): CommandReader {
    return this.#reader
  }

  /** Whether `complete` would find something to do. */
  canComplete(released: number): boolean {
    const { first } = this.queue
    return first !== undefined && isDurable(first, released) && (this.#blockedBytes === 0 || this.#answers.hasRoom(this.#blockedBytes))
  }

  /**
   * Answers and releases, in read order, the commands that wait for nothing above `released`; returns how many. Answers are published before the
   * release: a gateway that sees the release finds them.
   */
  complete(released: number): number {
    if (!this.canComplete(released)) return 0
    this.#blockedBytes = 0
    let count = 0
    let end = 0
    for (let entry = this.queue.first; entry !== undefined; entry = this.queue.first) {
      if (!isDurable(entry, released)) break
      if (entry.answerKind !== 0 && !this.#tryAnswer(entry)) break
      end = entry.endPosition
      this.queue.shift()
      count++
    }
    if (count === 0) return 0
    this.#answers.publish()
    this.#commands.release(end)
    return count
  }

  #tryAnswer(entry: InFlight): boolean {
    const { bytes, view } = this.#answers
    const length = ANSWER_HEADER_BYTES + entry.outcome.length
    const offset = this.#answers.tryClaim(length, ANSWER_FRAME)
    if (offset < 0) {
      assert(length <= this.#answers.frameBytesMax, 'outcomes are no larger than an answer frame')
      this.#blockedBytes = length
      return false
    }
    writeAnswer(entry.request, entry.doorTerm, entry.answerVersion, entry.answerKind, entry.outcome, bytes, view, offset)
    this.#answers.commit()
    return true
  }
}

/** Entries of all gateways in the order in which they are to be executed: that of their gateway's channel. */
export function byReadOrder(a: InFlight, b: InFlight): number {
  return a.link - b.link || distance(b.startPosition, a.startPosition)
}

function isDurable(entry: InFlight, released: number): boolean {
  return entry.status === 'waiting' && entry.waitPosition <= released
}
