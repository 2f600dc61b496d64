import { type Clock, MonotoneMicros } from '#base/clock.js'
import { hash32 } from '#base/hash.js'
import { ANSWER_REFUSALS } from '#entity/command-frame.js'
import type { EntityModel, PlantModel } from '#entity/index.js'
import { fenceOf } from './fence.js'
import { Fifo } from './fifo.js'
import type { MessageLink } from './message-link.js'
import type { Placement } from '#shards/placement.js'
import type { Slot } from './slot.js'

export interface NoticesOptions {
  readonly plant: PlantModel
  readonly clock: Clock
  /** By worker slot. */
  readonly links: readonly MessageLink[]
  /** The slot of the worker itself. */
  readonly own: number
  readonly placement: Placement
  readonly shardCount: number
  readonly term: number
  /** What the supervisor process says of the death of the worker before this one, where it died. */
  readonly predecessor: string | undefined
}

/** A command that nobody's outbox holds. */
interface Notice {
  readonly model: EntityModel
  readonly entity: Uint8Array
  readonly hash: number
  readonly command: '#lost' | '#signal'
  readonly source: string
  readonly sequence: number
  readonly data: object
}

const NO_BYTES = new Uint8Array(0)
const utf8 = new TextEncoder()

/**
 * Tells what entities cannot tell by themselves. Those that lived in the predecessor of this worker, which died, are each sent a command with the worker as its source and the term as its number, and tell those who watch
 * them; only those that somebody watches are, since after a death there is enough to do. For those that cannot be rebuilt, and can store nothing, parent and watchers are told
 * that they have exited, with the entity as the source and the version that is lost as the number. So each notice takes effect once, however often it is sent: after a death, or a load, all are found again.
 */
export class Notices {
  readonly #options: NoticesOptions
  readonly #accepted: MonotoneMicros
  readonly #waiting = new Fifo<Notice>()
  #isLoaded = false

  constructor(options: NoticesOptions) {
    this.#options = options
    this.#accepted = new MonotoneMicros(options.clock)
  }

  get isIdle(): boolean {
    return this.#waiting.count === 0
  }

  /** An entity was loaded. Those that are loaded once all shards are have not lived in the predecessor, as far as anybody knows. */
  loaded(slot: Slot): void {
    const kin = slot.outbox?.kin
    if (kin === undefined) return
    if (slot.lostVersion > 0) this.#tellFenced(slot, new Set([...kin.watchers, ...(kin.self === undefined ? [] : [kin.self.parent])]))
    else if (kin.watchers.size > 0) this.#tellLost(slot)
  }

  /** All shards are loaded. */
  end(): void {
    this.#isLoaded = true
  }

  hasWork(): boolean {
    const { first } = this.#waiting
    return first !== undefined && this.#linkTo(first)?.hasRoom === true
  }

  /** In order; links are published by whoever sends messages. */
  doWork(): number {
    let work = 0
    for (let { first } = this.#waiting; first !== undefined; first = this.#waiting.first) {
      const link = this.#linkTo(first)
      if (link?.hasRoom !== true || this.#send(first, link) === 'no-room') break
      this.#waiting.shift()
      work++
    }
    return work
  }

  #tellLost({ model, idBytes, hash }: Slot): void {
    const { own, term, predecessor } = this.#options
    if (this.#isLoaded || predecessor === undefined) return
    const data = { incarnation: 0, code: predecessor }
    const entity = idBytes.slice()
    this.#waiting.push({ model, entity, hash, command: '#lost', source: `worker:${own}`, sequence: term, data })
  }

  #tellFenced(slot: Slot, listeners: ReadonlySet<string>): void {
    const { plant } = this.#options
    const message = fenceOf(slot)?.error.message.slice(0, MESSAGE_CHARACTERS_MAX)
    const data = { what: 'exited', incarnation: slot.outbox?.kin?.self?.incarnation ?? 0, code: 'FENCED', message }
    for (const listener of listeners) {
      const model = plant.model(listener.slice(0, Math.max(0, listener.indexOf('/'))))
      if (model === undefined) continue
      const entity = utf8.encode(listener)
      const hash = hash32(entity)
      this.#waiting.push({ model, entity, hash, command: '#signal', source: `fence:${slot.id}`, sequence: slot.lostVersion, data })
    }
  }

  /** Undefined while the shard of the entity moves. */
  #linkTo({ hash }: Notice): MessageLink | undefined {
    const { placement, links, shardCount } = this.#options
    const shard = hash % shardCount
    return placement.isHeld(shard) ? undefined : links[placement.slotOf(shard)]
  }

  #send({ model, entity, hash, command, source, sequence, data }: Notice, link: MessageLink): string | undefined {
    const header = {
      ...{ request: 0, doorTerm: 0, entityHash: hash, commandNumber: this.#options.plant.commandNumber(model, command) },
      ...{ answer: ANSWER_REFUSALS, at: Number.NaN, accepted: this.#accepted.next(), sequence, entity, source: utf8.encode(source) },
      ...{ correlation: NO_BYTES, causation: NO_BYTES, payloadBytes: 0 },
    }
    return link.trySend(header, model.commandCodec(model.commandIndex(command)), data, undefined, 0, false)
  }
}

/** Of why an entity cannot be rebuilt. */
const MESSAGE_CHARACTERS_MAX = 500
