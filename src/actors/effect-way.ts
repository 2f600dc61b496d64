import { type Consumer, FRAME_TOO_LARGE, type Producer } from '#bus/index.js'
import { EFFECT_FRAME, NEW_GATEWAY_FRAME, packEffect, unpackOutcome } from '#entity/effect-frame.js'
import type { Message, SettledAs } from '#entity/index.js'
import { Fifo } from './fifo.js'
import type { MessageLane, MessageWay, SendFailure, TakeSettled } from './message-link.js'

/** A worker's ends of its two channels to the gateway that has effects done. */
export interface EffectEnds {
  readonly effects: Producer
  readonly outcomes: Consumer
}

/** Effects of one name that a worker has under way at most: what its gateway keeps of it in memory. */
const UNDER_WAY_MAX = 64

interface Sent {
  readonly way: EffectWay
  readonly lane: MessageLane
  readonly number: number
}

/**
 * The way of all effects to the gateway. Frames are released when they are read, since effects take their time and end in any order; so what was sent is sent again, under a new request,
 * when another gateway says that it is new. An outcome counts for the newest request alone: by then every older frame of its effect has been read, and none is left to be done again.
 */
class EffectChannel {
  readonly #effects: Producer
  readonly #outcomes: Consumer
  readonly #term: number
  readonly #sent = new Map<number, Sent>()
  readonly #again = new Fifo<Sent>()
  #request = 0
  /** What the frame takes for which there was no room. */
  #blockedBytes = 0

  constructor({ effects, outcomes }: EffectEnds, term: number) {
    this.#effects = effects
    this.#outcomes = outcomes
    this.#term = term
  }

  get hasRoom(): boolean {
    return this.#blockedBytes === 0 || this.#effects.hasRoom(this.#blockedBytes)
  }

  get isBehind(): boolean {
    return this.#again.count > 0
  }

  hasNews(): boolean {
    return this.#outcomes.hasFrames() || (this.#again.count > 0 && this.hasRoom)
  }

  trySend(
    way: EffectWay,
    lane: MessageLane,
    { number, command: name, data, answerCommand, at, correlation }: Message,
  ): SendFailure | undefined {
    const request = (this.#request + 1) >>> 0
    const { id: entity } = lane.slot
    const frame = packEffect({ request, term: this.#term, entity, number, name, data, answerCommand, at, correlation })
    const offset = this.#effects.tryClaim(frame.length, EFFECT_FRAME)
    if (offset === FRAME_TOO_LARGE) return 'too-large'
    this.#blockedBytes = offset < 0 ? frame.length : 0
    if (offset < 0) return 'no-room'
    this.#effects.bytes.set(frame, offset)
    this.#effects.commit()
    this.#request = request
    this.#sent.set(request, { way, lane, number })
    return undefined
  }

  take(settled: TakeSettled): number {
    const outcomes = this.#outcomes
    let work = 0
    for (let offset = outcomes.next(); offset >= 0; offset = outcomes.next()) {
      work++
      if (outcomes.type === NEW_GATEWAY_FRAME) this.#beginAgain()
      else this.#takeOutcome(outcomes.bytes.slice(offset, offset + outcomes.length), settled)
    }
    if (work > 0) outcomes.release(outcomes.endPosition)
    for (let first = this.#again.first; first !== undefined && this.hasRoom; first = this.#again.first) {
      const { way, lane, number } = first
      const message = lane.isDead ? undefined : lane.outbox.get(number)
      if (message === undefined) way.underWay--
      else if (this.trySend(way, lane, message) !== undefined) return work
      this.#again.shift()
      work++
    }
    return work
  }

  publish(): void {
    this.#effects.publish()
  }

  #beginAgain(): void {
    for (const sent of this.#sent.values()) this.#again.push(sent)
    this.#sent.clear()
  }

  #takeOutcome(frame: Uint8Array, settled: TakeSettled): void {
    const ended = unpackOutcome(frame)
    if (ended === undefined) throw this.#outcomes.giveUp('a frame in it is no outcome of an effect', { bytes: frame.length })
    const sent = ended.term === this.#term ? this.#sent.get(ended.request) : undefined
    if (sent === undefined) return
    this.#sent.delete(ended.request)
    sent.way.underWay--
    const outcome: SettledAs = ended.outcome === 'failed' ? 'refused' : ended.outcome
    settled(sent.lane, sent.number, false, outcome, ended.bytes)
  }
}

/** The way of the effects of one name: those that cannot be done now must not keep others. */
export class EffectWay implements MessageWay {
  readonly lanes = new Fifo<MessageLane>()
  /** Effects of one entity are done one after the other, in order, whatever an attempt comes to. */
  readonly underWayPerLaneMax = 1
  readonly #channel: EffectChannel
  /** Sent, and what came of it is not known. */
  underWay = 0

  constructor(channel: EffectChannel) {
    this.#channel = channel
  }

  get hasRoom(): boolean {
    return this.underWay < UNDER_WAY_MAX && !this.#channel.isBehind && this.#channel.hasRoom
  }

  /** What has come is taken once for all of them. */
  hasNews(): boolean {
    return false
  }

  take(): number {
    return 0
  }

  publish(): void {
    this.#channel.publish()
  }

  trySend(lane: MessageLane, message: Message): SendFailure | undefined {
    const failure = this.#channel.trySend(this, lane, message)
    if (failure === undefined) this.underWay++
    return failure
  }
}

/** The ways of the effects of a worker, by name, made when they are first needed; and one of them for what has come. */
export class EffectWays implements MessageWay {
  readonly lanes = new Fifo<MessageLane>()
  readonly underWayPerLaneMax = 0
  readonly hasRoom = false
  readonly #byName = new Map<string, EffectWay>()
  readonly #channel: EffectChannel
  readonly #onNew: (way: EffectWay) => void

  constructor(ends: EffectEnds, term: number, onNew: (way: EffectWay) => void) {
    this.#channel = new EffectChannel(ends, term)
    this.#onNew = onNew
  }

  of(name: string): EffectWay {
    let way = this.#byName.get(name)
    if (way === undefined) {
      way = new EffectWay(this.#channel)
      this.#byName.set(name, way)
      this.#onNew(way)
    }
    return way
  }

  hasNews(): boolean {
    return this.#channel.hasNews()
  }

  take(settled: TakeSettled): number {
    return this.#channel.take(settled)
  }

  publish(): void {
    this.#channel.publish()
  }
}
