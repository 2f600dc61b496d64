import { type Clock, MonotoneMicros } from '#base/clock.js'
import { ANSWER_REFUSALS } from '#entity/command-frame.js'
import type { PlantModel } from '#entity/index.js'
import { Fifo } from './fifo.js'
import type { MessageLink } from './message-link.js'
import type { Slot } from './slot.js'

const NO_BYTES = new Uint8Array(0)
const LOST = '#lost'

/**
 * Has the entities that lived in the predecessor of this worker, which died, tell those who watch them. Each is sent a command of its own with the worker as its source and the term as its number, so that it is
 * done once for each death, whatever dies meanwhile. Only those that somebody watches are: after a death there is enough to do.
 */
export class LostNotices {
  readonly #plant: PlantModel
  readonly #link: MessageLink
  readonly #term: number
  readonly #cause: string
  readonly #source: Uint8Array
  readonly #accepted: MonotoneMicros
  readonly #waiting = new Fifo<Slot>()
  #isOver = false

  constructor(options: {
    readonly plant: PlantModel
    readonly clock: Clock
    /** By which entities of the worker send themselves commands. */
    readonly link: MessageLink
    /** The slot of the worker. */
    readonly own: number
    readonly term: number
    /** What the supervisor says of the death. */
    readonly cause: string
  }) {
    this.#plant = options.plant
    this.#link = options.link
    this.#term = options.term
    this.#cause = options.cause
    this.#source = new TextEncoder().encode(`worker:${options.own}`)
    this.#accepted = new MonotoneMicros(options.clock)
  }

  get isIdle(): boolean {
    return this.#waiting.count === 0
  }

  /** An entity was loaded. Those that are loaded once all shards are have not lived in the predecessor, as far as anybody knows. */
  loaded(slot: Slot): void {
    const watchers = slot.outbox?.kin?.watchers.size ?? 0
    if (!this.#isOver && watchers > 0 && slot.lostVersion === 0) this.#waiting.push(slot)
  }

  /** All shards are loaded. */
  end(): void {
    this.#isOver = true
  }

  hasWork(): boolean {
    return this.#waiting.count > 0 && this.#link.hasRoom
  }

  /** The link is published by whoever sends messages. */
  doWork(): number {
    let work = 0
    for (let slot = this.#waiting.first; slot !== undefined && this.#link.hasRoom; slot = this.#waiting.first) {
      if (this.#send(slot) === 'no-room') break
      this.#waiting.shift()
      work++
    }
    return work
  }

  #send({ model, idBytes, hash }: Slot): string | undefined {
    const index = model.commandIndex(LOST)
    const header = {
      ...{ request: 0, doorTerm: 0, entityHash: hash, commandNumber: this.#plant.commandNumber(model, LOST), answer: ANSWER_REFUSALS },
      ...{ at: Number.NaN, accepted: this.#accepted.next(), sequence: this.#term, entity: idBytes, source: this.#source },
      ...{ correlation: NO_BYTES, causation: NO_BYTES, payloadBytes: 0 },
    }
    return this.#link.trySend(header, model.commandCodec(index), { incarnation: 0, code: this.#cause }, undefined, 0, false)
  }
}
