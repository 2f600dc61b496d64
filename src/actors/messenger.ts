import { hash32 } from '#base/hash.js'
import { type Message, type Outbox, type OutboxRow, type SettledAs, settledRow } from '#entity/index.js'
import { MESSAGE_EVENT } from '#schema/index.js'
import { EffectWays } from './effect-way.js'
import { Fifo } from './fifo.js'
import type { InFlight } from './in-flight.js'
import { MessageLane, MessageLink, type MessageWay } from './message-link.js'
import { canTakeAnswer, endOf, MessageSender, sourceOf } from './message-sender.js'
import type { MessengerOptions } from './messenger-options.js'
import { OwnAppends } from './own-appends.js'
import type { Slot } from './slot.js'
import { TimerHeap } from './timer-heap.js'

/** A row of an outbox that is not known to be durable. */
interface Told {
  readonly slot: Slot
  readonly outbox: Outbox
  readonly number: number
  readonly position: number
}

/** A message whose end is known, and not stored. */
interface Settled {
  readonly lane: MessageLane
  readonly number: number
  readonly outcome: SettledAs
  readonly code: string | undefined
  readonly bytes: Uint8Array
}

const NO_BYTES = new Uint8Array(0)
const utf8 = new TextEncoder()
/** Effects of one entity and name that wait for one before them: more are given up at once, since a target that is away must stop nobody. */
const EFFECTS_WAITING_MAX = 1000
/** Rows in one append that says what became of messages. */
const SETTLED_PER_APPEND_MAX = 256

/**
 * Sends what the outboxes of a worker's entities hold: messages once their rows are durable, per sender and target in order and OUTCOMES_PER_SOURCE of them at most
 * before the first one's end is durable; timers when they are due. What becomes of a message is a row of its sender. All state here can be lost at any moment: it is made anew from
 * the outboxes when their entities are loaded, and what is sent a second time is known by sender and number where it goes.
 */
export class Messenger {
  readonly #options: MessengerOptions
  readonly #links: readonly MessageLink[]
  /** The links first. */
  readonly #ways: MessageWay[]
  readonly #effects: EffectWays | undefined
  readonly #ownLink: MessageLink
  readonly #sender: MessageSender
  readonly #lanes = new Map<Slot, Map<string, MessageLane>>()
  #laneCount = 0
  readonly #told = new Fifo<Told>()
  readonly #timers = new TimerHeap()
  /** Timers that have gone off and were not sent for want of room. */
  readonly #due = new Fifo<{ readonly entity: number; readonly outbox: Outbox; readonly message: Message }>()
  /** Those whose next message is for a shard that moves. */
  readonly #heldLanes: MessageLane[] = []
  /** Passive entities with such timers, which are being loaded. */
  readonly #awaited = new Set<Slot>()
  readonly #settled = new Fifo<Settled>()
  /** The appends channel had no room at this released position. */
  #blockedAt: number | undefined
  #isStarted = false
  readonly appends = new OwnAppends()
  /** Commands of devices to entities whose outboxes are full, in the order in which they came. */
  readonly #held = new Map<Slot, InFlight[]>()

  constructor(options: MessengerOptions) {
    this.#options = options
    const known = options.commandsKnown ?? Number.POSITIVE_INFINITY
    const all = Number.POSITIVE_INFINITY
    this.#links = options.links.map((link, slot) => new MessageLink(link, options.term, slot === options.own ? all : known))
    this.#effects = options.effects && new EffectWays(options.effects, options.term, (way) => this.#ways.push(way))
    this.#ways = this.#effects === undefined ? [...this.#links] : [...this.#links, this.#effects]
    this.#ownLink = this.#links[options.own] as MessageLink
    this.#sender = new MessageSender(options.plant, this.#ownLink, options.clock)
  }

  /** By worker slot. */
  get links(): readonly MessageLink[] {
    return this.#links
  }

  /** Nothing is under way but effects, and no timer is due. */
  get isIdle(): boolean {
    const isNothingSent = this.#laneCount === 0 && this.#told.count === 0 && this.appends.count === 0 && this.#settled.count === 0
    if (this.#effects?.hasNews() === true) return false
    return isNothingSent && this.#due.count === 0 && this.#awaited.size === 0 && !this.#isDue()
  }

  /** Everything is loaded for the first time: from now on timers go off, those that are overdue in the order in which they were due. */
  start(): void {
    this.#isStarted = true
  }

  /** Whether the entity must stay live: something of it is under way. */
  isBusy(slot: Slot): boolean {
    return slot.outbox !== undefined && (slot.outbox.underWayCount > 0 || this.#lanes.has(slot))
  }

  /** The entity's outbox took these rows, which are durable when the journal has released up to `position`. */
  took(slot: Slot, outbox: Outbox, rows: readonly OutboxRow[], position: number): void {
    for (const { event, data } of rows) {
      if (event === MESSAGE_EVENT) this.#options.counters.told++
      if (event === MESSAGE_EVENT || data['due'] !== undefined)
        this.#told.push({ slot, outbox, number: data['number'] as number, position })
    }
    if (this.#held.size > 0 && outbox.underWayCount < this.#options.outboxMax) this.#letGo(slot)
  }

  /**
   * Holds a command back while the outbox of its entity is full. Messages always pass, also those that are held: two entities with full outboxes for each other would
   * wait for ever.
   */
  tryHold(slot: Slot, outbox: Outbox, entry: InFlight): boolean {
    if (entry.link >= this.#options.deviceLinks) return false
    const held = this.#held.get(slot)
    if (held !== undefined) held.push(entry)
    else if (outbox.underWayCount >= this.#options.outboxMax) this.#held.set(slot, [entry])
    else return false
    this.#options.counters.heldBack++
    return true
  }

  #letGo(slot: Slot): void {
    const held = this.#held.get(slot)
    this.#held.delete(slot)
    for (const entry of held ?? []) this.#options.goOn(entry)
  }

  /** The entity was loaded: everything that its outbox holds is durable. */
  loaded(slot: Slot): void {
    this.#awaited.delete(slot)
    const { outbox } = slot
    if (outbox === undefined || slot.lostVersion > 0) return
    const areTimersKnown = slot.areTimersKnown
    slot.areTimersKnown = true
    outbox.forEach((message) => {
      if (message.kind !== 'timer' || !areTimersKnown) this.#arm(slot, outbox, message)
    })
  }

  /** Shards may have moved, or move no more: messages go to where their targets are. */
  placed(): void {
    for (const lanes of this.#lanes.values()) {
      for (const lane of lanes.values()) if (lane.link instanceof MessageLink) lane.link = this.#linkTo(lane.toHash)
    }
    for (const lane of this.#heldLanes.splice(0)) lane.link.lanes.push(lane)
  }

  /** The entity has left for another worker, which sends what its outbox holds. */
  left(slot: Slot): void {
    this.dropped(slot)
    this.#awaited.delete(slot)
  }

  /** The entity's state was dropped, and its outbox with it. */
  dropped(slot: Slot): void {
    slot.areTimersKnown = false
    this.#letGo(slot)
    const lanes = this.#lanes.get(slot)
    if (lanes === undefined) return
    for (const { link } of lanes.values()) if (link instanceof MessageLink) this.#laneCount--
    this.#lanes.delete(slot)
  }

  /** `released`: as JournalClient counts. */
  doWork(released: number): number {
    let work = 0
    for (let append = this.appends.shiftReleased(released); append !== undefined; append = this.appends.shiftReleased(released)) {
      this.#done(append.lane, append.count)
      work++
    }
    for (const link of this.#ways) work += link.take((lane, ...more) => this.#sentIsOver(lane, ...more))
    for (let first = this.#told.first; first !== undefined && first.position <= released; first = this.#told.first) {
      this.#told.shift()
      work++
      const { slot, outbox, number } = first
      const message = slot.outbox === outbox ? outbox.get(number) : undefined
      if (message !== undefined) this.#arm(slot, outbox, message)
    }
    if (this.#timers.count > 0 || this.#due.count > 0) work += this.#fire()
    if (this.#settled.count > 0 && this.#blockedAt !== released) work += this.#storeSettled(released)
    for (const link of this.#ways) {
      if (link.lanes.count > 0) work += this.#send(link)
      link.publish()
    }
    return work
  }

  hasWork(released: number): boolean {
    if (this.appends.hasReleased(released)) return true
    if (this.#settled.count > 0 && this.#blockedAt !== released && this.#canStoreSettled()) return true
    const told = this.#told.first
    if (told !== undefined && told.position <= released) return true
    if ((this.#due.count > 0 && this.#ownLink.hasRoom) || this.#isDue()) return true
    return this.#ways.some((link) => link.hasNews() || (link.lanes.count > 0 && link.hasRoom))
  }

  /** On the clock's `monotonicMs`. */
  nextDeadlineMs(): number | undefined {
    const { earliest } = this.#timers
    if (!this.#isStarted || earliest === Number.POSITIVE_INFINITY) return undefined
    const { clock } = this.#options
    return clock.monotonicMs() + Math.max(0, earliest - clock.nowMicros()) / 1000
  }

  #isDue(): boolean {
    return this.#isStarted && this.#timers.count > 0 && this.#timers.earliest <= this.#options.clock.nowMicros()
  }

  #arm(slot: Slot, outbox: Outbox, message: Message): void {
    if (message.due === message.due) {
      slot.areTimersKnown = true
      this.#timers.add(message.due, slot.index, message.number)
    }
    if (message.kind === 'timer') return
    const isEffect = message.kind === 'effect'
    if (isEffect && this.#effects === undefined) return
    const lane = this.#laneOf(slot, outbox, message.to, isEffect ? this.#effects?.of(message.command) : undefined)
    if (isEffect && lane.waiting.count >= EFFECTS_WAITING_MAX) return this.#giveUp(lane, message, 'TOO_MANY_EFFECTS')
    lane.waiting.push(message.number)
    this.#list(lane)
  }

  #giveUp(lane: MessageLane, { number }: Message, code: string): void {
    lane.underWay++
    this.#settled.push({ lane, number, outcome: 'failed', code, bytes: NO_BYTES })
  }

  #laneOf(slot: Slot, outbox: Outbox, to: string, way?: MessageWay): MessageLane {
    let lanes = this.#lanes.get(slot)
    if (lanes === undefined) this.#lanes.set(slot, (lanes = new Map()))
    const known = lanes.get(to)
    if (known !== undefined) return known
    const toBytes = utf8.encode(to)
    const toHash = hash32(toBytes)
    const lane = new MessageLane({ slot, outbox, to, toBytes, toHash, source: sourceOf(slot), link: way ?? this.#linkTo(toHash) })
    lanes.set(to, lane)
    if (way === undefined) this.#laneCount++
    return lane
  }

  #linkTo(hash: number): MessageLink {
    const { placement, shardCount } = this.#options
    return this.#links[placement.slotOf(hash % shardCount)] as MessageLink
  }

  /** Whether it waits for the shard that it goes to. */
  #tryHoldLane(lane: MessageLane): boolean {
    const { placement, shardCount } = this.#options
    if (!(lane.link instanceof MessageLink) || !placement.isHeld(lane.toHash % shardCount)) return false
    this.#heldLanes.push(lane)
    return true
  }

  /** Looked at behind whether it is held: a shard that is free again by then has moved already, and what is sent to where it was is never read. */
  #hasMoved(lane: MessageLane): boolean {
    const link = lane.link instanceof MessageLink ? this.#linkTo(lane.toHash) : lane.link
    if (link === lane.link) return false
    lane.link = link
    link.lanes.push(lane)
    return true
  }

  #list(lane: MessageLane): void {
    if (lane.isListed || lane.waiting.count === 0 || lane.underWay >= lane.link.underWayPerLaneMax) return
    lane.isListed = true
    lane.link.lanes.push(lane)
  }

  /** The end of so many of its messages is durable. */
  #done(lane: MessageLane, count: number): void {
    lane.underWay -= count
    if (lane.isDead) return
    if (lane.underWay > 0 || lane.waiting.count > 0) return this.#list(lane)
    const lanes = this.#lanes.get(lane.slot)
    lanes?.delete(lane.to)
    if (lane.link instanceof MessageLink) this.#laneCount--
    if (lanes?.size === 0) this.#lanes.delete(lane.slot)
  }

  /** One message of each lane in turns, until there is no room. */
  #send(link: MessageWay): number {
    let work = 0
    while (link.lanes.count > 0 && link.hasRoom) {
      const lane = link.lanes.shift() as MessageLane
      work++
      if (lane.link !== link) {
        lane.link.lanes.push(lane)
        continue
      }
      if (!lane.isDead && (this.#tryHoldLane(lane) || this.#hasMoved(lane))) continue
      lane.isListed = false
      if (lane.isDead) continue
      const message = lane.outbox.get(lane.waiting.first as number)
      if (message !== undefined) {
        const failure = lane.to === lane.slot.id ? this.#sender.sendOwn(lane.slot, message, lane) : this.#sender.send(lane, message)
        if (failure === 'no-room' || failure === 'unknown') {
          lane.isListed = true
          if (failure === 'unknown') (link as MessageLink).held.push(lane)
          else link.lanes.push(lane)
          continue
        }
        if (failure === undefined) lane.underWay++
        else this.#giveUp(lane, message, failure)
      }
      lane.waiting.shift()
      if (message === undefined) this.#done(lane, 0)
      else this.#list(lane)
    }
    return work
  }

  /** Sends timers that are due, in order; entities that are passive are loaded first, and their timers looked at again then. */
  #fire(): number {
    let work = 0
    const { slots } = this.#options
    const nowMicros = this.#isStarted ? this.#options.clock.nowMicros() : Number.NEGATIVE_INFINITY
    while (this.#timers.earliest <= nowMicros) {
      const entity = this.#timers.take()
      const { takenDue, takenNumber } = this.#timers
      work++
      const slot = slots.peekAt(entity)
      if (slot?.status !== 'live') {
        this.await(entity)
        continue
      }
      const message = slot.outbox?.get(takenNumber)
      if (slot.outbox === undefined || message === undefined || message.due !== takenDue || message.isFired) continue
      message.isFired = true
      this.#due.push({ entity, outbox: slot.outbox, message })
    }
    for (let first = this.#due.first; first !== undefined && this.#ownLink.hasRoom; first = this.#due.first) {
      work++
      const { entity, outbox, message } = first
      const slot = slots.peekAt(entity)
      if (slot?.outbox !== outbox) this.#lookAgain(entity, message)
      else if (!message.isGone && !message.isLate && this.#sendDue(slot, message) === 'no-room') break
      this.#due.shift()
    }
    return work
  }

  /** The entity became passive before its timer was sent, and may be live again. */
  #lookAgain(entity: number, { number }: Message): void {
    const slot = this.#options.slots.peekAt(entity)
    if (slot?.status !== 'live') return this.await(entity)
    const message = slot.outbox?.get(number)
    if (message !== undefined && message.due === message.due) this.#timers.add(message.due, entity, number)
  }

  /** It has something under way, or timers: they are looked at when it is live. */
  await(entity: number): void {
    const { slots } = this.#options
    slots.forgetTimersOf(entity)
    if (this.#options.isAway(slots.shardAt(entity))) return
    const slot = slots.at(entity)
    this.#awaited.add(slot)
    this.#options.load(slot)
  }

  /** A timer that cannot be executed any more is over. */
  #sendDue(slot: Slot, message: Message): string | undefined {
    if (message.kind === 'ask') {
      return canTakeAnswer(slot, message) ? this.#sender.sendTimeout(slot, message) : undefined
    }
    const failure = this.#sender.sendOwn(slot, message, undefined)
    if (failure === undefined || failure === 'no-room') return failure
    this.#giveUp(this.#laneOf(slot, slot.outbox as Outbox, message.to), message, failure)
    return undefined
  }

  #sentIsOver(lane: MessageLane | undefined, number: number, isOwn: boolean, outcome: SettledAs, bytes: Uint8Array): void {
    if (lane === undefined) return
    if (isOwn || lane.isDead) return this.#done(lane, 1)
    this.#settled.push({ lane, number, outcome, code: undefined, bytes })
  }

  #canStoreSettled(): boolean {
    const settled = this.#settled.first as Settled
    return this.#isAnswerWanted(settled) ? this.#ownLink.hasRoom : true
  }

  #isAnswerWanted({ lane, number }: Settled): boolean {
    const message = lane.isDead ? undefined : lane.outbox.get(number)
    return message !== undefined && !message.isLate && canTakeAnswer(lane.slot, message)
  }

  /** In order, for each message: hands the answer to who asked, or stores that it is over, together with those of its lane right behind it. */
  #storeSettled(released: number): number {
    let work = 0
    for (let first = this.#settled.first; first !== undefined; first = this.#settled.first) {
      const { lane } = first
      const message = lane.isDead ? undefined : lane.outbox.get(first.number)
      if (message === undefined) {
        this.#done(lane, 1)
      } else if (this.#isAnswerWanted(first)) {
        if (this.#sender.sendAnswer(lane, message, endOf(first)) === 'no-room') return work
      } else {
        const count = this.#storeRun(first)
        if (count === 0) {
          this.#blockedAt = released
          return work
        }
        for (let more = count; more > 1; more--) this.#settled.shift()
      }
      this.#settled.shift()
      work++
    }
    return work
  }

  /** How many were stored. */
  #storeRun({ lane }: Settled): number {
    const rows: OutboxRow[] = []
    for (let index = 0; index < SETTLED_PER_APPEND_MAX; index++) {
      const settled = this.#settled.at(index)
      if (settled?.lane !== lane || this.#isAnswerWanted(settled)) break
      const { outcome, code } = endOf(settled)
      rows.push(settledRow({ number: settled.number, outcome, code: outcome === 'done' ? undefined : code }))
    }
    const { slot } = lane
    const stored = this.#options.settle(slot, rows, this.#sender.accepted())
    if (stored === undefined) return 0
    this.appends.push({ ...stored, shard: slot.shard, lane })
    return stored.count
  }
}
