import { type Clock, MonotoneMicros } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import { ANSWER_REFUSED } from '#entity/answer-frame.js'
import {
  answerData,
  type Decision,
  ENTITY_SOURCE_PREFIX,
  type Envelope,
  type Outbox,
  type PlantModel,
  type SettledAs,
  ToldTarget,
  type VolatileAskTerms,
  type VolatileCause,
  VolatileMessage,
} from '#entity/index.js'
import { isToBeStored } from './command-outcome.js'
import { Fifo } from './fifo.js'
import { IdScratch } from './id-scratch.js'
import { InFlight } from './in-flight.js'
import { whyDown } from './lifecycle.js'
import type { MessageLink } from './message-link.js'
import { endOf, type MessageEnd } from './message-sender.js'
import type { Executor } from './executor.js'
import type { Placement } from '#shards/placement.js'
import type { Slot } from './slot.js'
import { VolatileAsk, VolatileAsks } from './volatile-asks.js'
import { LooseFrame, VolatileHeaders } from './volatile-frame.js'
import { VolatileRing } from './volatile-ring.js'
import type { WorkerCounters } from './worker-counters.js'

export interface VolatileMailOptions {
  readonly plant: PlantModel
  readonly clock: Clock
  readonly counters: WorkerCounters
  readonly shardCount: number
  /** By worker slot; those of entities in other workers go there. */
  readonly links: readonly MessageLink[]
  readonly own: number
  readonly placement: Placement
  readonly executor: Pick<Executor, 'execute'>
  /** How many there may be at a time. */
  readonly messagesMax: number
  /** The entity's slot, made for one that is new; undefined while its shard is loading. */
  readonly slotFor: (id: IdScratch, type: string) => Slot | undefined
  /** Makes a passive entity live, now or later; false when its shard is loading. */
  readonly load: (slot: Slot) => boolean
  /** Its state is broken: it is dropped and loaded again. */
  readonly reload: (slot: Slot) => void
  /** Whether another worker has the shard. */
  readonly isAway: (shard: number) => boolean
}

/** An append that a volatile command caused, and who waits for what came of that. */
interface StoredAppend {
  readonly appendNumber: number
  readonly shard: number
  readonly position: number
}

/** A message that may leave when the journal has released up to `position`, unless the state that it was decided on is gone by then. */
interface Waiting {
  readonly message: VolatileMessage
  readonly slot: Slot
  readonly state: unknown
  readonly position: number
}

/** Where the entity of another worker is. */
class RemotePlace {
  readonly idBytes: Uint8Array
  readonly hash: number
  readonly worker: number

  constructor(idBytes: Uint8Array, hash: number, worker: number) {
    this.idBytes = idBytes
    this.hash = hash
    this.worker = worker
  }
}

/** Its place as of when it was found: what a target says later another worker of this process may have found out. */
interface Outgoing {
  readonly message: VolatileMessage
  readonly place: RemotePlace
}

class VolatileEnvelope implements Envelope {
  at = 0
  accepted = 0
  entity = ''
  correlation = ''
  outbox: Outbox | undefined = undefined
  /** Undefined for what an entity has sent itself. */
  from: Slot | undefined = undefined

  get source(): string {
    return this.from === undefined ? '' : ENTITY_SOURCE_PREFIX + this.from.id
  }
}

/** Executed in one turn at most. */
const PER_TURN = 1024

/**
 * Carries volatile commands between the entities of a worker through memory, and to other workers by their channels, in order from one entity to another. Each is
 * executed once or, when a process dies first, never. One that was decided on what is not durable waits for that, so that nothing is known anywhere
 * of what never was. One whose handler emits events, or tells what is stored, is executed again as if it had come in a frame.
 */
export class VolatileMail {
  readonly #options: VolatileMailOptions
  readonly #counters: WorkerCounters
  readonly #ready = new VolatileRing()
  /** Before `#ready`: those that waited for something to be loaded. */
  #again: VolatileMessage[] = []
  readonly #waiting = new Fifo<Waiting>()
  readonly #waitingOf = new Map<Slot, number>()
  readonly #loading = new Map<Slot, VolatileMessage[]>()
  /** Of entities whose shards are loading. */
  #closed: VolatileMessage[] = []
  /** By worker slot, what there is no room for. */
  readonly #outgoing: readonly Fifo<Outgoing>[]
  readonly #asks = new VolatileAsks()
  readonly #stored = new Fifo<StoredAppend>()
  readonly #envelope = new VolatileEnvelope()
  readonly #frame = new LooseFrame()
  readonly #headers: VolatileHeaders
  readonly #id = new IdScratch()
  /** What was found out of where entities are, before shards have moved the last time, is of no use. */
  #places: object = {}
  readonly #accepted: MonotoneMicros
  #count = 0
  #released = 0
  #nowMs = 0
  /** The appends channel had no room at this released position. */
  #blockedAt: number | undefined

  constructor(options: VolatileMailOptions) {
    this.#options = options
    this.#counters = options.counters
    this.#outgoing = options.links.map(() => new Fifo())
    this.#accepted = new MonotoneMicros(options.clock)
    this.#headers = new VolatileHeaders(options.plant)
  }

  get isIdle(): boolean {
    return this.#count === 0 && this.#asks.count === 0 && this.#stored.count === 0
  }

  /** More than half of the room is taken: nothing new is to be let in by other ways. */
  get isCrowded(): boolean {
    return this.#count * 2 > this.#options.messagesMax
  }

  get appends(): Fifo<StoredAppend> {
    return this.#stored
  }

  /** A turn begins, before any command is executed in it. */
  begin(released: number, nowMs: number): void {
    this.#released = released
    this.#nowMs = nowMs
    if (this.#blockedAt !== released) this.#blockedAt = undefined
  }

  nextDeadlineMs(): number | undefined {
    return this.#asks.count === 0 ? undefined : this.#asks.earliestMs
  }

  hasWork(released: number): boolean {
    if (this.#stored.first !== undefined && this.#stored.first.position <= released) return true
    if (this.#waiting.first !== undefined && this.#waiting.first.position <= released) return true
    if (this.#blockedAt !== released && (this.#again.length > 0 || this.#ready.count > 0)) return true
    if (this.#asks.earliestMs <= this.#options.clock.monotonicMs()) return true
    return this.#outgoing.some((_, worker) => this.#canSend(worker))
  }

  /** Whether the entity must stay live, since something that it told may leave only as long as it does. */
  isBusy(slot: Slot): boolean {
    return this.#waitingOf.size > 0 && this.#waitingOf.has(slot)
  }

  /** What a command of the entity told; its rows, if there are any, have been appended. */
  told(slot: Slot, { volatile, volatileCount }: Decision, cause: VolatileCause): void {
    for (let index = 0; index < volatileCount; index++) {
      const message = volatile[index] as VolatileMessage
      message.from = slot
      message.cause = cause
      this.#counters.volatileTold++
      if (message.ask !== undefined) message.pending = this.#newAsk(slot, message, message.ask)
      if (this.#count < this.#options.messagesMax) this.#leave(slot, message)
      else this.#fail(message, 'NO_ROOM')
    }
  }

  /** The slot was loaded, or dropped: what waits for it is looked at again. */
  leaveSlot(slot: Slot): void {
    const held = this.#loading.get(slot)
    if (held === undefined) return
    this.#loading.delete(slot)
    this.#again = [...held, ...this.#again]
  }

  /** Shards may have moved, or move no more: everything that is under way goes to where its target is, and in the order in which it was. */
  placed(): void {
    this.#places = {}
    const messages = this.#again.splice(0)
    messages.push(...this.#closed.splice(0), ...this.#ready.takeAll())
    for (const outgoing of this.#outgoing) messages.push(...outgoing.takeAll().map(({ message }) => message))
    for (const message of messages) this.#dispatch(message)
  }

  /** Something is known of a shard, or it is open: whoever waits for one is looked at again. */
  lookAgain(): void {
    this.#again.push(...this.#closed.splice(0))
  }

  doWork(): number {
    const released = this.#released
    const nowMs = this.#nowMs
    let work = 0
    for (; this.#stored.first !== undefined && this.#stored.first.position <= released; work++) this.#stored.shift()
    for (let first = this.#waiting.first; first !== undefined && first.position <= released; first = this.#waiting.first) {
      this.#waiting.shift()
      this.#leaveWaiting(first)
      work++
    }
    if (this.#asks.earliestMs <= nowMs) this.#timeOut(nowMs)
    if (this.#blockedAt === undefined && this.#again.length > 0) work += this.#runAgain()
    if (this.#blockedAt === undefined && this.#again.length === 0) work += this.#runReady()
    for (let worker = 0; worker < this.#outgoing.length; worker++) work += this.#send(worker)
    return work
  }

  #runAgain(): number {
    const again = this.#again
    this.#again = []
    for (const [index, message] of again.entries()) {
      if (this.#tryRun(message)) continue
      this.#again = [...again.slice(index), ...this.#again]
      return index
    }
    return again.length
  }

  #runReady(): number {
    const ready = this.#ready
    let count = 0
    while (count < PER_TURN && ready.count > 0) {
      if (!this.#tryRun(ready.first as VolatileMessage)) return count
      ready.shift()
      count++
    }
    return count
  }

  /** False when the appends channel has no room for what it caused: nothing happened then. */
  #tryRun(message: VolatileMessage): boolean {
    const { target } = message
    const slot = target.placeOf === this.#places ? (target.place as Slot) : this.#find(target)
    if (slot === undefined) {
      if (target.isElsewhere) this.#dispatch(message)
      else this.#closed.push(message)
      return true
    }
    if (slot.outbox === undefined && slot.tryUse(this.#nowMs)) return this.#tryExecute(slot, message)
    if (slot.isGone) {
      target.placeOf = undefined
      return this.#tryRun(message)
    }
    if (slot.status !== 'live') {
      if (!this.#options.load(slot)) this.#closed.push(message)
      else this.#holdFor(slot, message)
      return true
    }
    slot.wasUsed = true
    slot.lastUsedMs = this.#nowMs
    const why = slot.lostVersion > 0 ? 'FENCED' : slot.outbox === undefined ? undefined : whyDown(slot)?.code
    if (why === undefined) return this.#tryExecute(slot, message)
    this.#drop(message, why)
    return true
  }

  #tryExecute(slot: Slot, message: VolatileMessage): boolean {
    const envelope = this.#envelope
    const { from, cause } = message
    envelope.at = cause.at
    envelope.accepted = cause.at
    envelope.entity = slot.id
    envelope.from = slot.isSame(from as Slot) ? undefined : (from as Slot)
    envelope.correlation = cause.correlation
    envelope.outbox = slot.outbox
    const decision = slot.model.decide(slot.state, message.commandIndex, message.data, envelope)
    if (isToBeStored(slot, decision)) return this.#tryStore(slot, message)
    this.#count--
    this.#counters.volatileDone++
    if (decision.volatileCount > 0) this.told(slot, decision, cause)
    if (message.ask !== undefined) this.#settle(message.pending as VolatileAsk, endOfDecision(decision), slot)
    if (decision.kind !== 'done') this.#counters.refusals++
    return true
  }

  #tryStore(slot: Slot, message: VolatileMessage): boolean {
    const entry = new InFlight()
    entry.link = NO_LINK
    const header = this.#headers.of(message, slot, this.#accepted.next())
    const executed = this.#options.executor.execute(slot, this.#frame.write(header, message), entry)
    if (executed === 'no-room') {
      this.#blockedAt = this.#released
      return false
    }
    if (executed === 'broken') {
      this.#drop(message, 'APPLY_FAILED')
      this.#options.reload(slot)
      return true
    }
    this.#count--
    const { appendNumber, waitPosition: position, answerKind, outcome: bytes } = entry
    this.#stored.push({ appendNumber, shard: slot.shard, position })
    const outcome = answerKind === ANSWER_REFUSED ? 'refused' : 'done'
    if (message.ask !== undefined) this.#settle(message.pending as VolatileAsk, endOf({ outcome, code: undefined, bytes }), slot)
    return true
  }

  #newAsk(from: Slot, { target, cause }: VolatileMessage, { number, answerIndex, timeoutMs }: VolatileAskTerms): VolatileAsk {
    const dueMs = this.#nowMs + timeoutMs
    const ask = new VolatileAsk({ from, to: target.id, number, answerIndex, dueMs, cause })
    this.#asks.add(ask)
    return ask
  }

  #timeOut(nowMs: number): void {
    for (const ask of this.#asks.due(nowMs)) this.#settle(ask, { outcome: 'timed-out' }, undefined)
  }

  /** One that was under way is not carried any further. */
  #drop(message: VolatileMessage, code: string): void {
    this.#count--
    this.#fail(message, code)
  }

  #fail(message: VolatileMessage, code: string): void {
    this.#counters.volatileDropped++
    if (message.ask !== undefined) this.#settle(message.pending as VolatileAsk, { outcome: 'failed', code }, undefined)
  }

  /** Tells who asked. `by`: whose state the answer derives from. */
  #settle(ask: VolatileAsk, end: MessageEnd, by: Slot | undefined): void {
    if (!this.#asks.end(ask) || this.#options.isAway(ask.from.shard)) return
    const answer = this.#answerTo(ask, end)
    if (by !== undefined) return this.#leave(by, answer)
    this.#count++
    this.#dispatch(answer)
  }

  #answerTo(ask: VolatileAsk, end: MessageEnd): VolatileMessage {
    const { from, answerIndex, cause } = ask
    const data = from.model.commandCodec(answerIndex).normalise(answerData(ask, end.outcome, end))
    const target = new ToldTarget(from.model, from.id as EntityId)
    target.place = from
    target.placeOf = this.#places
    const answer = new VolatileMessage(target, answerIndex, data, undefined)
    answer.from = from
    answer.cause = cause
    answer.pending = ask
    return answer
  }

  /** It goes, or waits for what the entity's state comes from to be durable. */
  #leave(slot: Slot, message: VolatileMessage): void {
    this.#count++
    const position = slot.waitPosition
    if (position <= this.#released && !this.isBusy(slot)) return this.#dispatch(message)
    this.#waiting.push({ message, slot, state: slot.state, position })
    this.#waitingOf.set(slot, (this.#waitingOf.get(slot) ?? 0) + 1)
  }

  #leaveWaiting({ message, slot, state }: Waiting): void {
    const more = (this.#waitingOf.get(slot) as number) - 1
    if (more > 0) this.#waitingOf.set(slot, more)
    else this.#waitingOf.delete(slot)
    if (slot.state === state) return this.#dispatch(message)
    // What it was decided on has never been.
    const ask = message.pending as VolatileAsk | undefined
    if (message.ask !== undefined || ask === undefined) return this.#drop(message, 'TAKEN_BACK')
    this.#dispatch(this.#answerTo(ask, { outcome: 'failed', code: 'TAKEN_BACK' }))
  }

  #dispatch(message: VolatileMessage): void {
    const { target } = message
    if (target.placeOf !== this.#places) this.#find(target)
    if (!target.isElsewhere) return this.#ready.push(message)
    const place = target.place as RemotePlace
    this.#outgoing[place.worker]?.push({ message, place })
  }

  /** Finds out where the entity is: its slot where it is one of this worker's. */
  #find(target: ToldTarget): Slot | undefined {
    const { shardCount, placement, own, slotFor } = this.#options
    const id = this.#id
    id.take(target.id)
    const worker = placement.slotOf(id.hash % shardCount)
    const slot = worker === own ? slotFor(id, target.model.name) : undefined
    target.place = worker === own ? slot : new RemotePlace(id.copy(), id.hash, worker)
    target.placeOf = target.place === undefined ? undefined : this.#places
    target.isElsewhere = worker !== own
    return slot
  }

  #holdFor(slot: Slot, message: VolatileMessage): void {
    const held = this.#loading.get(slot)
    if (held === undefined) this.#loading.set(slot, [message])
    else held.push(message)
  }

  /** There is something, with room for it, and the shard that it goes to does not move just now. */
  #canSend(worker: number): boolean {
    const { links, placement, shardCount } = this.#options
    const first = this.#outgoing[worker]?.first
    if (first === undefined || links[worker]?.hasRoom !== true) return false
    return !placement.isHeld(first.place.hash % shardCount)
  }

  #send(worker: number): number {
    const outgoing = this.#outgoing[worker] as Fifo<Outgoing>
    const link = this.#options.links[worker] as MessageLink
    let count = 0
    while (this.#canSend(worker)) {
      const { message, place } = outgoing.first as Outgoing
      const { target, commandIndex, data, ask, pending } = message
      const header = this.#headers.of(message, place, this.#accepted.next())
      const settle = (outcome: SettledAs, bytes: Uint8Array): void => {
        if (ask !== undefined) this.#settle(pending as VolatileAsk, endOf({ outcome, code: undefined, bytes }), undefined)
      }
      const failure = link.trySend(header, target.model.commandCodec(commandIndex), data, undefined, 0, true, settle)
      if (failure === 'no-room') break
      outgoing.shift()
      count++
      if (failure === undefined) this.#count--
      else this.#drop(message, failure === 'unknown' ? 'NO_SUCH_COMMAND' : 'TOO_LARGE')
    }
    if (count > 0) link.publish()
    return count
  }
}

/** As whoever asked hears of it. */
function endOfDecision({ kind, reply, code, detail, error }: Decision): MessageEnd {
  if (kind === 'done') return { outcome: 'done', reply }
  if (kind === 'refused') return { outcome: 'refused', code, detail }
  return { outcome: 'failed', code: 'DECIDE_FAILED', detail: { message: messageOf(error) } }
}

/** Of a command that came by no channel. */
const NO_LINK = -1
