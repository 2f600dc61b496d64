import { type Consumer, distance, FrameCursor, type Producer } from '#bus/index.js'
import { assert } from '#base/assert.js'
import { ANSWER_FRAME, ANSWER_HEADER_BYTES, writeAnswer } from '#entity/answer-frame.js'
import { COMMAND_FRAME, CommandReader, whyNotCommand } from '#entity/command-frame.js'
import type { PlantModel } from '#entity/index.js'
import { InFlight, InFlightQueue } from './in-flight.js'

/** The worker's end of the two channels of one gateway. */
export interface InboundLink {
  readonly commands: Consumer
  readonly answers: Producer
}

/** Commands read at once: enough that what they need from memory is on its way for many at a time. */
export const READ_MAX = 32

/** The commands of one gateway: read in order, read again where that is needed, answered and released in order. */
export class Inbound {
  readonly queue: InFlightQueue
  /** What `read` found. */
  readonly entries: InFlight[] = Array.from({ length: READ_MAX }, () => new InFlight())
  readonly offsets = new Int32Array(READ_MAX)
  readonly #index: number
  readonly #commands: Consumer
  readonly #answers: Producer
  readonly #reader: CommandReader
  readonly #cursor: FrameCursor
  /** What lay in the channel when this worker came ends here; undefined once that is released. */
  #formerEnd: number | undefined
  /** What the answer takes for which there was no room, 0 when there was none such. */
  #blockedBytes = 0

  constructor(link: InboundLink, index: number, inFlightMax: number) {
    this.#index = index
    this.#commands = link.commands
    this.#answers = link.answers
    this.queue = new InFlightQueue(index, inFlightMax)
    this.#formerEnd = this.endPosition
    this.#reader = new CommandReader(link.commands.bytes, link.commands.view)
    this.#cursor = new FrameCursor(link.commands)
  }

  /** Nothing read is unreleased, and nothing is left to read. */
  get isIdle(): boolean {
    return this.queue.count === 0 && !this.#commands.hasFrames()
  }

  /** Everything that lies in the channel ends here. */
  get endPosition(): number {
    return this.#commands.readPosition + this.#commands.waitingBytes
  }

  /** Whether everything that ends at this position or before was released; asked of frames of this lap of the ring. */
  hasReleased(position: number): boolean {
    return distance(position, this.#commands.releasedPosition) >= 0
  }

  /** Whether the frame that begins at `position` was released; asked of frames of this lap of the ring. */
  isReleased(position: number): boolean {
    return distance(this.#commands.releasedPosition, position) < 0
  }

  /** Whether the frame that begins at `position` lay there when this worker came: the one before may have executed it. */
  wasThere(position: number): boolean {
    return this.#formerEnd !== undefined && distance(position, this.#formerEnd) > 0
  }

  canRead(): boolean {
    return this.queue.room > 0 && this.#commands.hasFrames()
  }

  /**
   * Reads up to `limit` commands, READ_MAX at most; `entries` and `offsets` describe them until the next call, and `keep` takes each of them, in
   * order, into the queue.
   */
  read(limit: number): number {
    const commands = this.#commands
    const count = Math.min(limit, READ_MAX, this.queue.room)
    for (let index = 0; index < count; index++) {
      const offset = commands.next()
      if (offset < 0) return index
      if (commands.type !== COMMAND_FRAME) throw commands.giveUp('a frame in it is no command', { type: commands.type })
      const entry = this.entries[index] as InFlight
      entry.takeBack()
      entry.link = this.#index
      entry.startPosition = commands.startPosition
      entry.endPosition = commands.endPosition
      this.offsets[index] = offset
    }
    return count
  }

  /** The command that `read` found at `entries[index]`. One reader serves all: use it before the next call. */
  commandAt(index: number): CommandReader {
    return this.#reader.at(this.offsets[index] as number)
  }

  /** The entry that `read` gave, as it is by now, goes behind those in the queue. */
  keep(index: number): void {
    if (this.queue.push(this.entries[index] as InFlight)) this.entries[index] = new InFlight()
  }

  /** The command of an entry that was read and not released. One reader serves all: use it before the next call. */
  command(entry: InFlight): CommandReader {
    this.#cursor.seek(entry.startPosition)
    const offset = this.#cursor.next(entry.endPosition)
    assert(offset >= 0, 'a frame that is not released can be read again')
    return this.#reader.at(offset)
  }

  /** Gives the channel up, and throws ERR_CHANNEL_CORRUPT, where one of the commands read and not released is none that a door can have written. */
  checkCommands(plant: PlantModel): void {
    const commands = this.#commands
    this.#cursor.seek(commands.releasedPosition)
    for (let offset = 0; offset >= 0; ) {
      offset = this.#cursor.next(commands.readPosition)
      const why = offset < 0 ? undefined : whyNotCommand(commands.bytes, offset, this.#cursor.length, plant)
      if (why !== undefined) throw commands.giveUp('a command in it makes no sense', { position: this.#cursor.startPosition, why })
    }
  }

  /** Whether `complete` would find something to do. */
  canComplete(released: number): boolean {
    return this.queue.isFirstDurable(released) && (this.#blockedBytes === 0 || this.#answers.hasRoom(this.#blockedBytes))
  }

  /**
   * Answers and releases, in read order, the commands that wait for nothing above `released`; returns how many. Answers are published before the
   * release: a gateway that sees the release finds them.
   */
  complete(released: number): number {
    if (!this.canComplete(released)) return 0
    this.#blockedBytes = 0
    const { queue } = this
    let count = 0
    let end = 0
    while (queue.isFirstDurable(released)) {
      const entry = queue.firstEntry
      if (entry !== undefined && entry.answerKind !== 0 && !this.#tryAnswer(entry)) break
      end = queue.shift()
      count++
    }
    if (count === 0) return 0
    this.#answers.publish()
    this.#commands.release(end)
    if (this.#formerEnd !== undefined && distance(this.#formerEnd, end) >= 0) this.#formerEnd = undefined
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
