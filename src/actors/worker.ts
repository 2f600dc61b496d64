import { isMillraceError } from '#base/errors.js'
import { hash32 } from '#base/hash.js'
import type { DutyCycle } from '#bus/index.js'
import { ANSWER_HEADER_BYTES } from '#entity/answer-frame.js'
import type { PlantHash } from '#entity/index.js'
import type { JournalClient } from '#serving/journal-client.js'
import { REJECTED_FENCED } from '#serving/serving-frames.js'
import { Backlog } from './backlog.js'
import { EventNumbers } from './event-numbers.js'
import { Executor } from './executor.js'
import { Inbound } from './inbound.js'
import { fenceOf } from './fence.js'
import { FencedList } from './fenced-list.js'
import type { InFlight } from './in-flight.js'
import { Intake } from './intake.js'
import { type LoadReport, Loader } from './loader.js'
import { Messenger } from './messenger.js'
import { Notices } from './notices.js'
import { Passivation } from './passivation.js'
import { Reads } from './reads.js'
import { ShardMoves, type ShardRelease } from './shard-moves.js'
import type { Slot } from './slot.js'
import { SlotTable } from './slot-table.js'
import { VolatileMail } from './volatile-mail.js'
import { SnapshotRounds } from './snapshot-rounds.js'
import { stateHashOf } from './state-hash.js'
import { workerFenced } from './worker-fenced.js'
import { createWorkerCounters, type WorkerCounters } from './worker-counters.js'
import type { FencedEntity, WorkerOptions } from './worker-options.js'

export type { InboundLink } from './inbound.js'
export type { CommandFault, FencedEntity, ParkedPlace, WorkerLimits, WorkerOptions } from './worker-options.js'

/**
 * Hosts the entities of its shards: takes commands off the inbound channels, executes them, and answers and releases each when all that it
 * caused is durable. All state here can be lost at any moment: frames that are not released are taken again by the successor.
 */
export class Worker implements DutyCycle {
  readonly counters: WorkerCounters = createWorkerCounters()
  readonly #options: WorkerOptions
  readonly #journal: JournalClient
  readonly #slots: SlotTable
  readonly #inbound: readonly Inbound[]
  readonly #executor: Executor
  readonly #loader: Loader
  readonly #passivation: Passivation
  readonly #reads: Reads
  readonly #backlog = new Backlog()
  readonly #messenger: Messenger | undefined
  readonly #mail: VolatileMail | undefined
  readonly #notices: Notices | undefined
  readonly #intake: Intake
  readonly #rounds: SnapshotRounds
  readonly #moves: ShardMoves
  /** Of the placement, as far as they have been looked at. */
  #placedAt = 0
  /** As loaded in this turn, before the rejections: everything up to here is durable, or its rejection has been seen. */
  #released = 0
  readonly #fenced = new FencedList()
  #hasBegun = false
  #hasFailed = false

  constructor(options: WorkerOptions) {
    const { plant, journal, term, clock, limits, messages } = options
    this.#options = options
    this.#journal = journal
    this.#slots = new SlotTable(options.shardCount)
    this.#inbound = options.inbound.map((link, index) => new Inbound(link, index, limits.inFlightMax))
    const numbers = new EventNumbers(plant)
    this.#executor = new Executor({
      plant,
      journal,
      term,
      numbers,
      counters: this.counters,
      snapshotEvery: limits.snapshotEvery,
      outcomeBytesMax: options.inbound.map(
        ({ answers }) => Math.min(answers.frameBytesMax, journal.appends.frameBytesMax / 2) - ANSWER_HEADER_BYTES,
      ),
      ...(options.appendNumber === undefined ? {} : { appendNumber: options.appendNumber }),
      messages,
      onFault: options.onFault,
      onOutbox: (...took) => this.#messenger?.took(...took),
      onVolatile: (...told) => this.#mail?.told(...told),
    })
    if (messages !== undefined) {
      this.#messenger = new Messenger({
        ...{ ...messages, plant, term, clock, counters: this.counters, slots: this.#slots },
        ...{ shardCount: options.shardCount, outboxMax: limits.outboxMax ?? OUTBOX_MAX_DEFAULT },
        settle: (...rows) => this.#executor.trySettle(...rows),
        load: (slot) => void this.#reads.read(slot, () => 0).catch((error: unknown) => this.#failUnlessMoved(error)),
        isAway: (shard) => !this.#moves.owns(shard),
        goOn: (entry) => this.#backlog.goOn(entry),
      })
      const { own, placement } = messages
      this.#placedAt = placement.changes
      const { predecessor, shardCount } = options
      this.#notices = new Notices({ plant, clock, links: this.#messenger.links, own, placement, shardCount, term, predecessor })
      this.#mail = new VolatileMail({
        ...{
          plant,
          clock,
          counters: this.counters,
          shardCount: options.shardCount,
          executor: this.#executor,
          links: this.#messenger.links,
        },
        ...{ own, placement, isAway: (shard: number) => !this.#moves.owns(shard), messagesMax: limits.volatileMax ?? VOLATILE_MAX_DEFAULT },
        slotFor: (...entity) => this.#intake.slotFor(...entity),
        load: (slot) => this.#intake.tryLoad(slot),
        reload: (slot) => this.#intake.reload(slot),
      })
    }
    this.#reads = new Reads({
      load: (slot) => this.#loadForReader(slot),
      isDurable: (waitPosition) => waitPosition <= this.#released,
    })
    this.#loader = new Loader({
      plant,
      journal,
      term,
      clock,
      numbers,
      slots: this.#slots,
      counters: this.counters,
      liveEntitiesMax: limits.liveEntitiesMax,
      onLive: (slot) => this.#becameLive(slot),
      onOpenOutbox: (index) => this.#messenger?.await(index),
      onHeads: (shard) => this.#lookAgain(shard),
      onShardsLoaded: (report) => this.#openShards(report),
      onDamage: (damages) => this.#tellFenced(damages),
      onFatal: (error) => this.#fail(error),
    })
    this.#passivation = new Passivation({
      clock,
      counters: this.counters,
      limits,
      trySnapshot: (slot) => this.#executor.trySnapshot(slot),
      isBusy: (slot) => this.#messenger?.isBusy(slot) === true || this.#mail?.isBusy(slot) === true,
      letGo: (slot) => this.#slots.tryLetGo(slot),
    })
    this.#rounds = new SnapshotRounds({
      ...{ slots: this.#slots, counters: this.counters, tailRowsMax: limits.tailRowsMax ?? 0, term },
      trySnapshot: (slot) => this.#executor.trySnapshot(slot),
    })
    this.#moves = new ShardMoves({
      ...{ shards: options.shards, shardCount: options.shardCount, slots: this.#slots, inbound: this.#inbound, backlog: this.#backlog },
      ...{ loader: this.#loader, journal, counters: this.counters, fenced: this.#fenced },
      trySnapshot: (slot) => this.#executor.trySnapshot(slot),
      forget: (slot) => this.#leave(slot),
      isLoaded: () => this.isLoaded,
    })
    this.#intake = new Intake({
      ...{ worker: options, inbound: this.#inbound, slots: this.#slots, backlog: this.#backlog, executor: this.#executor },
      ...{ loader: this.#loader, passivation: this.#passivation, reads: this.#reads, messenger: this.#messenger, counters: this.counters },
      ...{ mail: this.#mail, moves: this.#moves },
    })
    for (const shard of options.shards) this.#backlog.close(shard, Number.NEGATIVE_INFINITY)
  }

  /** All shards are loaded and every command that was read is released. */
  get isIdle(): boolean {
    const isInside = this.isLoaded && this.#notices?.isIdle !== false && this.#inbound.every((link) => link.isIdle)
    return isInside && this.#messenger?.isIdle !== false && this.#mail?.isIdle !== false
  }

  get isLoaded(): boolean {
    return this.#backlog.loadingCount === 0
  }

  /** Entities that the log has and that are not live yet, as far as they are known. */
  get loadingCount(): number {
    return this.#loader.loadingCount
  }

  /** Entities that have a place in memory. As many as are live, when nothing is under way and the sweep of passivation has come by. */
  get slotCount(): number {
    return this.#slots.slotCount
  }

  /** Commands read and not yet released. */
  get inFlightCount(): number {
    return this.#inbound.reduce((sum, link) => sum + link.queue.count, 0)
  }

  /** Takes a snapshot of each entity that has changed since its last one, within the turns that come: its successor has little to replay then. */
  hurrySnapshots(): void {
    this.#rounds.hurry()
  }

  get isHurryingSnapshots(): boolean {
    return this.#rounds.isHurrying
  }

  /** Every worker of the plant knows each command from now on. */
  knowAllCommands(): void {
    for (const link of this.#messenger?.links ?? []) link.knowAll()
  }

  /** Gives shards up that are held: see ShardMoves. */
  release(shards: readonly number[]): ShardRelease {
    return this.#moves.release(shards)
  }

  /** Takes shards that another worker has given up; resolves when they are loaded. Commands to each entity are executed as soon as it is. */
  adopt(shards: readonly number[]): Promise<LoadReport> {
    return this.#moves.adopt(shards)
  }

  /** Reads no more commands: those that were read are finished, then `inFlightCount` is 0. */
  leave(): void {
    this.#intake.close()
  }

  nextDeadlineMs(): number | undefined {
    const asks = this.#mail?.nextDeadlineMs()
    const timers = this.#messenger?.nextDeadlineMs()
    return asks === undefined ? timers : Math.min(asks, timers ?? asks)
  }

  doWork(): number {
    if (this.#hasFailed) return 0
    if (!this.#hasBegun) this.#begin()
    this.#look()
    // Loads come before rejections: when the end of a load is seen, what was rejected before it is seen too, and nothing is executed in between.
    let work = this.#loader.doWork()
    work += this.#complete()
    if (this.#hasFailed) return work
    work += this.#notices?.doWork() ?? 0
    work += this.#messenger?.doWork(this.#released) ?? 0
    const nowMs = this.#options.clock.monotonicMs()
    this.#mail?.begin(this.#released, nowMs)
    work += this.#intake.doWork(nowMs)
    work += this.#mail?.doWork() ?? 0
    // What left no row waits for nothing in most cases.
    for (const link of this.#inbound) work += link.complete(this.#released)
    work += this.#moves.doWork(this.#released)
    work += this.#passivation.sweep(nowMs, this.#released)
    this.#rounds.goOn(nowMs)
    this.#journal.appends.publish()
    return work
  }

  hasWork(): boolean {
    if (this.#hasFailed) return false
    if (!this.#hasBegun || this.#journal.hasRejections || this.#loader.hasWork()) return true
    const released = this.#journal.releasedPosition()
    if (this.#inbound.some((link) => link.canComplete(released)) || this.#reads.canSettle(released)) return true
    if (this.#passivation.hasWork(released) || this.#messenger?.hasWork(released) === true) return true
    if (this.#mail?.hasWork(released) === true || this.#notices?.hasWork() === true || this.#moves.hasWork(released)) return true
    if (this.#hasMoved()) return true
    return this.#intake.hasWork(released)
  }

  /**
   * What `read` makes of the entity's state, told when the rows that it is folded from are durable; undefined for an unknown entity. Loads what is
   * passive. `read` must not keep the state, but copy what it needs. Rejects with the error of a fence, where the entity has one.
   */
  read<T>(id: string, read: (slot: Slot) => T): Promise<T> | undefined {
    const slot = this.#ownSlot(new TextEncoder().encode(id))
    if (slot === undefined) return undefined
    return this.#reads.read(slot, (live) => {
      const fence = fenceOf(live)
      if (fence !== undefined) throw fence.error
      return read(live)
    })
  }

  /** The hash over all entities of this worker, loading those that are passive. Meaningful when idle. */
  stateHash(): Promise<PlantHash> {
    return stateHashOf(this.#slots, this.#reads, (shard) => this.#moves.owns(shard))
  }

  /**
   * Asks for everything: for the entities of critical types, then for all, in one scan each; in the second one the entities that commands have waited for longest
   * come first where that pays. Each entity goes on as soon as it has caught up.
   */
  #begin(): void {
    this.#hasBegun = true
    const { plant, shards } = this.#options
    this.#intake.doWork(this.#options.clock.monotonicMs())
    const critical = plant.models.filter((model) => model.class === 'critical').map(({ name }) => name)
    if (critical.length > 0 && critical.length < plant.models.length) this.#loader.loadTypes(shards, critical)
    this.#loader.loadShards(shards, this.#intake.firstEntities())
  }

  get fencedCount(): number {
    return this.#fenced.count
  }

  /** Entities that take no commands since they cannot be rebuilt, as far as they were loaded, in no order. */
  get fenced(): readonly FencedEntity[] {
    return this.#fenced.entities
  }

  #tellFenced(damages: readonly string[]): void {
    const entities = this.#fenced.takeNew()
    if (entities.length > 0) this.#options.onFenced?.({ entities, damages })
  }

  #becameLive(slot: Slot): void {
    this.#fenced.loaded(slot)
    slot.isAwaited = slot.stalled !== undefined
    this.#passivation.watch(slot)
    this.#messenger?.loaded(slot)
    this.#notices?.loaded(slot)
    this.#reads.wake(slot)
    this.#backlog.leaveSlot(slot)
    this.#mail?.leaveSlot(slot)
  }

  #lookAgain(shard: number): void {
    this.#backlog.lookAgain(shard)
    this.#mail?.lookAgain()
  }

  #openShards(report: LoadReport): void {
    for (const shard of report.shards) this.#backlog.open(shard)
    this.#rounds.replayed(report.events)
    if (this.isLoaded) {
      this.#messenger?.start()
      this.#notices?.end()
    }
    this.#mail?.lookAgain()
    const shards = new Set(report.shards)
    for (const slot of this.#slots.all()) {
      if (slot.waiters !== undefined && slot.status === 'passive' && shards.has(slot.shard)) this.#loader.loadSlot(slot)
    }
    if (!this.#moves.loaded(report)) this.#options.onLoaded(report)
  }

  /** While its shard is loading that load is waited for. */
  #loadForReader(slot: Slot): void {
    if (!this.#backlog.isClosed(slot.shard)) this.#loader.loadSlot(slot)
    this.#options.wake()
  }

  /** Answers and releases, in read order, what is durable. The release word is loaded first: a rejection is published before it passes. */
  #complete(): number {
    this.#released = this.#journal.releasedPosition()
    this.#intake.releasedPosition = this.#released
    let work = this.#takeRejections()
    if (this.#hasFailed) return work
    if (this.#journal.wanted.length > 0) work += this.#giveSnapshots()
    for (const link of this.#inbound) work += link.complete(this.#released)
    return work + this.#reads.settle()
  }

  #takeRejections(): number {
    let count = 0
    let rejected: Set<number> | undefined
    for (let rejection = this.#journal.pollRejection(); rejection !== undefined; rejection = this.#journal.pollRejection()) {
      count++
      if (rejection.term !== this.#options.term) continue
      if (rejection.kind === REJECTED_FENCED) {
        this.#fail(workerFenced(this.#options.term))
        return count
      }
      rejected ??= new Set()
      rejected.add(rejection.appendNumber)
    }
    if (rejected !== undefined) this.#takeBack(rejected)
    return count
  }

  /**
   * Appends with these numbers were not taken: the state of their shards is folded on rows that are not there. It is dropped and loaded again,
   * and the commands are taken again behind that, together with the duplicates that were to be answered from that state. Where a shard is just being
   * loaded, appends of entities that were live already end that load; those sent before it was dropped do not concern it. Numbers that no
   * command waits for were answered before, by a journal that died before it released them.
   */
  #takeBack(rejected: ReadonlySet<number>): void {
    const wrong = new Set<number>()
    this.#forEachWaiting((entry) => {
      if (!rejected.has(entry.appendNumber)) return
      this.counters.rejections++
      if (!this.#backlog.wasClosedAfter(entry.shard, entry.waitPosition)) wrong.add(entry.shard)
      entry.takeBack()
      this.#backlog.goOn(entry)
    })
    for (const appends of [this.#messenger?.appends, this.#mail?.appends]) {
      appends?.forEach(({ appendNumber, shard, position }) => {
        if (rejected.has(appendNumber) && !this.#backlog.wasClosedAfter(shard, position)) wrong.add(shard)
      })
    }
    if (wrong.size === 0) return
    const dropped = this.#loader.giveUp(wrong)
    for (const shard of dropped) this.#backlog.close(shard, this.#journal.sentPosition)
    this.#forEachWaiting((entry) => {
      if (entry.appendNumber !== 0 || !dropped.has(entry.shard)) return
      entry.takeBack()
      this.#backlog.goOn(entry)
    })
    for (const slot of this.#slots.all()) {
      if (!dropped.has(slot.shard)) continue
      this.#forget(slot)
      this.#messenger?.dropped(slot)
      this.#reads.dropped(slot)
      this.#slots.tryLetGo(slot)
    }
    this.#slots.forgetTimers(dropped)
    this.#loader.loadShards([...dropped])
  }

  /** Undefined for an entity that nobody knows, or that another worker has. */
  #ownSlot(id: Uint8Array): Slot | undefined {
    const index = this.#slots.indexOf(id, hash32(id))
    return index < 0 || !this.#moves.owns(this.#slots.shardAt(index)) ? undefined : this.#slots.at(index)
  }

  /** Loads what is passive. A snapshot for which there is no room is left out: the journal asks again. */
  #giveSnapshots(): number {
    const ids = this.#journal.wanted.splice(0)
    for (const id of ids) {
      const slot = this.#ownSlot(id)
      if (slot === undefined) continue
      this.#reads
        .read(slot, (live) => {
          if (live.version > 0) this.#executor.trySnapshot(live)
        })
        .catch((error: unknown) => this.#failUnlessMoved(error))
    }
    return ids.length
  }

  #hasMoved(): boolean {
    const placement = this.#options.messages?.placement
    return placement !== undefined && placement.changes !== this.#placedAt
  }

  /** Shards may have moved, or move no more. */
  #look(): void {
    if (!this.#hasMoved()) return
    this.#placedAt = this.#options.messages?.placement.changes ?? 0
    this.#messenger?.placed()
    this.#mail?.placed()
  }

  /** The entity has left for another worker. */
  #leave(slot: Slot): void {
    this.#forget(slot)
    this.#messenger?.left(slot)
    this.#reads.left(slot)
    this.#slots.tryLetGo(slot)
  }

  /** Drops its state; the commands that wait for that are looked at again. */
  #forget(slot: Slot): void {
    this.#loader.forget(slot)
    this.#backlog.leaveSlot(slot)
    this.#mail?.leaveSlot(slot)
  }

  #forEachWaiting(each: (entry: InFlight) => void): void {
    for (const link of this.#inbound) {
      link.queue.forEach((entry) => {
        if (entry.status === 'waiting') each(entry)
      })
    }
  }

  #failUnlessMoved(error: unknown): void {
    if (!isMillraceError(error, 'ERR_ENTITY_MOVED')) this.#fail(error)
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#options.onFatal(error)
  }
}

const OUTBOX_MAX_DEFAULT = 1000
const VOLATILE_MAX_DEFAULT = 262_144
