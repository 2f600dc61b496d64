import { type Consumer, FRAME_TOO_LARGE, type Producer } from '#bus/index.js'
import {
  type EffectOutcome,
  type EffectRequest,
  NEW_GATEWAY_FRAME,
  OUTCOME_FRAME,
  packOutcome,
  unpackEffect,
} from '#entity/effect-frame.js'

/** A gateway's ends of its two channels to one worker. */
export interface EffectChannelEnds {
  readonly effects: Consumer
  readonly outcomes: Producer
}

const NO_BYTES = new Uint8Array(0)

/**
 * The gateway's side of one worker. What it reads is given back at once, before anything can come of it: when this gateway dies, its successor says that it is new, and the worker
 * sends again what it has not heard of.
 */
export class EffectLink {
  readonly #effects: Consumer
  readonly #outcomes: Producer
  /** Not written yet, for want of room; the first thing that a worker hears is that this gateway is new. */
  #unsent: (EffectOutcome | undefined)[] = [undefined]
  /** What the frame takes for which there was no room. */
  #blockedBytes = 0

  constructor({ effects, outcomes }: EffectChannelEnds) {
    this.#effects = effects
    this.#outcomes = outcomes
  }

  /** Nothing is left to read or to tell. */
  get isQuiet(): boolean {
    return this.#unsent.length === 0 && !this.#effects.hasFrames()
  }

  hasWork(): boolean {
    return (
      this.#effects.hasFrames() || (this.#unsent.length > 0 && (this.#blockedBytes === 0 || this.#outcomes.hasRoom(this.#blockedBytes)))
    )
  }

  /** What has come. Throws ERR_CHANNEL_CORRUPT for a frame that is no effect. */
  read(): EffectRequest[] {
    const effects = this.#effects
    const read: EffectRequest[] = []
    for (let offset = effects.next(); offset >= 0; offset = effects.next()) {
      const effect = unpackEffect(effects.bytes.slice(offset, offset + effects.length))
      if (effect === undefined) throw effects.giveUp('a frame in it is no effect', { bytes: effects.length })
      read.push(effect)
    }
    if (read.length > 0) effects.release(effects.endPosition)
    return read
  }

  tell(outcome: EffectOutcome): void {
    this.#unsent.push(outcome)
  }

  /** Writes what there is room for. */
  send(): number {
    let count = 0
    for (; count < this.#unsent.length; count++) {
      const outcome = this.#unsent[count]
      if (
        !(outcome === undefined ? this.#trySend(NO_BYTES, NEW_GATEWAY_FRAME) : this.#trySend(packOutcome(outcome), OUTCOME_FRAME, outcome))
      )
        break
    }
    if (count === 0) return 0
    this.#unsent.splice(0, count)
    this.#outcomes.publish()
    return count
  }

  #trySend(frame: Uint8Array, type: number, outcome?: EffectOutcome): boolean {
    const offset = this.#outcomes.tryClaim(frame.length, type)
    if (offset === FRAME_TOO_LARGE) return this.#trySend(packOutcome(withoutReply(outcome as EffectOutcome)), type)
    this.#blockedBytes = offset < 0 ? frame.length : 0
    if (offset < 0) return false
    this.#outcomes.bytes.set(frame, offset)
    this.#outcomes.commit()
    return true
  }
}

/** What is told of an effect whose reply, or whose detail, is larger than the channel carries. */
function withoutReply({ request, term, outcome }: EffectOutcome): EffectOutcome {
  return { request, term, outcome: outcome === 'done' ? 'forgotten' : outcome, bytes: NO_BYTES }
}
