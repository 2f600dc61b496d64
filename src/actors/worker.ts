import { assert } from '#base/assert.js'
import { hash32 } from '#base/hash.js'
import { ENTITY_ID_BYTES_MAX } from '#base/ids.js'
import type { DutyCycle } from '#bus/index.js'
import { ANSWER_HEADER_BYTES } from '#entity/answer-frame.js'
import type { CommandReader } from '#entity/command-frame.js'
import { createOutcomes, PlantHash, type PlantModel } from '#entity/index.js'

import type { JournalClient } from '#serving/journal-client.js'
import { REJECTED_FENCED } from '#serving/serving-frames.js'
import { Backlog } from './backlog.js'
import { EventNumbers } from './event-numbers.js'
import { Executor } from './executor.js'
import { Inbound } from './inbound.js'
import { fenceOf } from './fence.js'
import type { InFlight } from './in-flight.js'
import { type LoadReport, Loader } from './loader.js'
import { Messenger } from './messenger.js'
import { Passivation } from './passivation.js'
import { Reads } from './reads.js'
import type { Slot } from './slot.js'
import { SlotTable } from './slot-table.js'
import { workerFenced } from './worker-fenced.js'
import { createWorkerCounters, type WorkerCounters } from './worker-counters.js'
import type { FencedEntity, ParkedPlace, WorkerOptions } from './worker-options.js'

export type { InboundLink } from './inbound.js'
export type { FencedEntity, ParkedPlace, WorkerLimits, WorkerOptions } from './worker-options.js'

/**
 * Hosts the entities of its shards: takes commands off the inbound channels, executes them, and answers and releases each when all that it
 * caused is durable. All state here can be lost at any moment: frames that are not released are taken again by the successor.
 */
export class Worker implements DutyCycle {
  readonly counters: WorkerCounters = createWorkerCounters()
  readonly #options: WorkerOptions
  readonly #journal: JournalClient
  readonly #slots = new SlotTable()
  readonly #inbound: readonly Inbound[]
  readonly #executor: Executor
  readonly #loader: Loader
  readonly #passivation: Passivation
  readonly #reads: Reads
  readonly #backlog = new Backlog()
  readonly #messenger: Messenger | undefined
  /** As loaded in this turn, before the rejections: everything up to here is durable, or its rejection has been seen. */
  #released = 0
  /** The appends channel was full at this released position; nothing is executed until it has moved. */
  #blockedAt: number | undefined
  #nextLink = 0
  /** The slots of the commands read last, as far as there were any. */
  readonly #ahead: (Slot | undefined)[] = []
  /** Kept, since a look whose result nobody keeps is not made. */
  protected seen = 0
  readonly #atHand: NonNullable<WorkerOptions['atHand']>
  /** Dropped once they are answered: their positions come again some day. */
  #parked: readonly ParkedPlace[]
  #hasBegun = false
  #hasFailed = false
  /** By entity; stays while the entity is passive. */
  readonly #fenced = new Map<string, FencedEntity>()
  readonly #fencedTold = new Set<string>()

  constructor(options: WorkerOptions) {
    const { plant, journal, term, clock, limits, messages } = options
    this.#options = options
    this.#journal = journal
    this.#atHand = options.atHand ?? NOBODY_ASKS
    this.#parked = options.parked ?? []
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
      onOutbox: (...took) => this.#messenger?.took(...took),
    })
    if (messages !== undefined) {
      this.#messenger = new Messenger({
        ...{ ...messages, plant, term, clock, counters: this.counters },
        ...{ shardCount: options.shardCount, outboxMax: limits.outboxMax ?? OUTBOX_MAX_DEFAULT },
        settle: (...rows) => this.#executor.trySettle(...rows),
        load: (slot) => void this.#reads.read(slot, () => 0).catch((error: unknown) => this.#fail(error)),
        goOn: (entry) => this.#backlog.goOn(entry),
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
      onOpenOutbox: (slot) => this.#messenger?.await(slot),
      onHeads: (shard) => this.#backlog.lookAgain(shard),
      onShardsLoaded: (report) => this.#openShards(report),
      onDamage: (damages) => this.#tellFenced(damages),
      onFatal: (error) => this.#fail(error),
    })
    this.#passivation = new Passivation({
      clock,
      counters: this.counters,
      limits,
      trySnapshot: (slot) => this.#executor.trySnapshot(slot),
      isBusy: (slot) => this.#messenger?.isBusy(slot) === true,
    })
    for (const shard of options.shards) this.#backlog.close(shard, Number.NEGATIVE_INFINITY)
  }

  /** All shards are loaded and every command that was read is released. */
  get isIdle(): boolean {
    return this.isLoaded && this.#inbound.every((link) => link.isIdle) && this.#messenger?.isIdle !== false
  }

  get isLoaded(): boolean {
    return this.#backlog.closedCount === 0
  }

  /** Entities that the log has and that are not live yet, as far as they are known. */
  get loadingCount(): number {
    return this.#loader.loadingCount
  }

  /** Commands read and not yet released. */
  get inFlightCount(): number {
    return this.#inbound.reduce((sum, link) => sum + link.queue.count, 0)
  }

  nextDeadlineMs(): number | undefined {
    return this.#messenger?.nextDeadlineMs()
  }

  doWork(): number {
    if (this.#hasFailed) return 0
    if (!this.#hasBegun) this.#begin()
    // Loads come before rejections: when the end of a load is seen, what was rejected before it is seen too, and nothing is executed in between.
    let work = this.#loader.doWork()
    work += this.#complete()
    if (this.#hasFailed) return work
    work += this.#messenger?.doWork(this.#released) ?? 0
    const nowMs = this.#options.clock.monotonicMs()
    work += this.#takeCommands(nowMs)
    work += this.#passivation.sweep(nowMs, this.#released)
    this.#journal.appends.publish()
    return work
  }

  hasWork(): boolean {
    if (this.#hasFailed) return false
    if (!this.#hasBegun || this.#journal.hasRejections || this.#loader.hasWork()) return true
    const released = this.#journal.releasedPosition()
    if (this.#inbound.some((link) => link.canComplete(released)) || this.#reads.canSettle(released)) return true
    if (this.#passivation.hasWork(released) || this.#messenger?.hasWork(released) === true) return true
    if (this.#blockedAt === released) return false
    return this.#backlog.readyCount > 0 || this.#inbound.some((link) => link.canRead())
  }

  /**
   * What `read` makes of the entity's state, told when the rows that it is folded from are durable; undefined for an unknown entity. Loads what is
   * passive. `read` must not keep the state, but copy what it needs. Rejects with the error of a fence, where the entity has one.
   */
  read<T>(id: string, read: (slot: Slot) => T): Promise<T> | undefined {
    const bytes = new TextEncoder().encode(id)
    const slot = this.#slots.find(hash32(bytes), new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length)
    if (slot === undefined) return undefined
    return this.#reads.read(slot, (live) => {
      const fence = fenceOf(live)
      if (fence !== undefined) throw fence.error
      return read(live)
    })
  }

  /** The hash over all entities of this worker, loading those that are passive. Meaningful when idle. */
  async stateHash(): Promise<PlantHash> {
    const hash = new PlantHash()
    for (const slot of [...this.#slots.values()]) {
      const one = await this.#reads.read(slot, ({ id, version, state, outbox, lostVersion }) => {
        const own = new PlantHash()
        if (version > 0 && lostVersion === 0) own.add(id, version, state, outbox)
        return own
      })
      hash.merge(one)
    }
    return hash
  }

  /**
   * Asks for everything: for the entities of critical types, then for all, in one scan each; in the second one the entities that commands have waited for longest
   * come first where that pays. Each entity goes on as soon as it has caught up.
   */
  #begin(): void {
    this.#hasBegun = true
    const { plant, shards } = this.#options
    this.#takeCommands(this.#options.clock.monotonicMs())
    const critical = plant.models.filter((model) => model.class === 'critical').map(({ name }) => name)
    if (critical.length > 0 && critical.length < plant.models.length) this.#loader.loadTypes(shards, critical)
    this.#loader.loadShards(shards, this.#entitiesOf(this.#backlog.firstWaiting(FIRST_COMMANDS)))
  }

  #entitiesOf(entries: readonly InFlight[]): string[] {
    const ids = entries.flatMap((entry) => {
      const { bytes, entityOffset, entityBytes } = (this.#inbound[entry.link] as Inbound).command(entry)
      return entityBytes > ENTITY_ID_BYTES_MAX ? [] : utf8.decode(bytes.slice(entityOffset, entityOffset + entityBytes))
    })
    return [...new Set(ids)]
  }

  get fencedCount(): number {
    return this.#fenced.size
  }

  /** Entities that take no commands since they cannot be rebuilt, as far as they were loaded, in no order. */
  get fenced(): readonly FencedEntity[] {
    return [...this.#fenced.values()]
  }

  #tellFenced(damages: readonly string[]): void {
    const entities = this.fenced.filter(({ entity }) => !this.#fencedTold.has(entity))
    for (const { entity } of entities) this.#fencedTold.add(entity)
    if (entities.length > 0) this.#options.onFenced?.({ entities, damages })
  }

  #becameLive(slot: Slot): void {
    const fence = slot.lostVersion === 0 ? undefined : fenceOf(slot)
    if (fence !== undefined) this.#fenced.set(slot.id, { entity: slot.id, version: slot.lostVersion, code: fence.code })
    else if (this.#fenced.size > 0) this.#fenced.delete(slot.id)
    slot.isAwaited = slot.stalled !== undefined
    this.#passivation.watch(slot)
    this.#messenger?.loaded(slot)
    this.#reads.wake(slot)
    this.#backlog.leaveSlot(slot)
  }

  #openShards(report: LoadReport): void {
    for (const shard of report.shards) this.#backlog.open(shard)
    if (this.isLoaded) this.#messenger?.start()
    const shards = new Set(report.shards)
    for (const slot of this.#slots.values()) {
      if (slot.waiters !== undefined && slot.status === 'passive' && shards.has(slot.shard)) this.#loader.loadSlot(slot)
    }
    this.#options.onLoaded(report)
  }

  /** While its shard is loading that load is waited for. */
  #loadForReader(slot: Slot): void {
    if (!this.#backlog.isClosed(slot.shard)) this.#loader.loadSlot(slot)
    this.#options.wake()
  }

  /** Answers and releases, in read order, what is durable. The release word is loaded first: a rejection is published before it passes. */
  #complete(): number {
    this.#released = this.#journal.releasedPosition()
    if (this.#blockedAt !== this.#released) this.#blockedAt = undefined
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
    this.#messenger?.appends.forEach(({ appendNumber, shard, position }) => {
      if (rejected.has(appendNumber) && !this.#backlog.wasClosedAfter(shard, position)) wrong.add(shard)
    })
    if (wrong.size === 0) return
    const dropped = this.#loader.giveUp(wrong)
    for (const shard of dropped) this.#backlog.close(shard, this.#journal.sentPosition)
    this.#forEachWaiting((entry) => {
      if (entry.appendNumber !== 0 || !dropped.has(entry.shard)) return
      entry.takeBack()
      this.#backlog.goOn(entry)
    })
    for (const slot of this.#slots.values()) {
      if (!dropped.has(slot.shard)) continue
      this.#loader.forget(slot)
      this.#messenger?.dropped(slot)
      this.#backlog.leaveSlot(slot)
      this.#reads.dropped(slot)
    }
    this.#loader.loadShards([...dropped])
  }

  /** Loads what is passive. A snapshot for which there is no room is left out: the journal asks again. */
  #giveSnapshots(): number {
    const ids = this.#journal.wanted.splice(0)
    for (const id of ids) {
      const slot = this.#slots.find(hash32(id), new DataView(id.buffer, id.byteOffset, id.length), 0, id.length)
      if (slot === undefined) continue
      this.#reads
        .read(slot, (live) => {
          if (live.version > 0) this.#executor.trySnapshot(live)
        })
        .catch((error: unknown) => this.#fail(error))
    }
    return ids.length
  }

  #forEachWaiting(each: (entry: InFlight) => void): void {
    for (const link of this.#inbound) {
      link.queue.forEach((entry) => {
        if (entry.status === 'waiting') each(entry)
      })
    }
  }

  #takeCommands(nowMs: number): number {
    try {
      const ready = this.#takeReady(nowMs)
      return this.#backlog.readyCount === 0 ? ready + this.#takeNew(nowMs) : ready
    } catch (error) {
      this.#giveUpMalformed()
      throw error
    }
  }

  /** A frame that is no command costs its channel, which is made anew; else one worker after the other would end over it. */
  #giveUpMalformed(): void {
    for (const link of this.#inbound) link.checkCommands(this.#options.plant)
  }

  #takeReady(nowMs: number): number {
    if (this.#blockedAt !== undefined || this.#backlog.readyCount === 0) return 0
    const entries = this.#backlog.take()
    for (const [index, entry] of entries.entries()) {
      const command = (this.#inbound[entry.link] as Inbound).command(entry)
      if (this.#route(entry, command, nowMs)) continue
      this.#backlog.putBack(entries.slice(index))
      return index
    }
    return entries.length
  }

  #takeNew(nowMs: number): number {
    if (this.#blockedAt !== undefined) return 0
    const links = this.#inbound
    const share = Math.ceil(this.#options.limits.commandsPerTurn / (this.#options.messages?.deviceLinks ?? links.length))
    let taken = 0
    for (let step = 0; step < links.length; step++) {
      const link = links[(this.#nextLink + step) % links.length] as Inbound
      for (let left = share; left > 0 && this.#blockedAt === undefined; ) {
        const count = this.#takeSome(link, left, nowMs)
        if (count === 0) break
        left -= count
        taken += count
      }
      if (this.#blockedAt !== undefined) return taken
    }
    this.#nextLink = (this.#nextLink + 1) % Math.max(1, links.length)
    return taken
  }

  /** Reads some commands and executes them, or lets them wait; those behind one for which the appends channel has no room wait for it. */
  #takeSome(link: Inbound, limit: number, nowMs: number): number {
    const count = link.read(limit)
    this.#lookAhead(link, count)
    let done = 0
    while (done < count && this.#route(link.entries[done] as InFlight, link.commandAt(done), nowMs, this.#ahead[done])) link.keep(done++)
    if (done < count) {
      this.#backlog.putBack(link.entries.slice(done, count))
      for (let index = done; index < count; index++) link.keep(index)
    }
    return count
  }

  /**
   * Touches what the commands will need. One by one they would wait for memory one after the other; here the looks do not depend on each other, and
   * the processor makes several at a time (group prefetching, Chen et al. 2004). With ten thousand entities in turns this takes a third off a command.
   */
  #lookAhead(link: Inbound, count: number): void {
    let seen = 0
    for (let index = 0; index < count; index++) {
      const slot = this.#find(link.commandAt(index))
      this.#ahead[index] = slot
      if (slot !== undefined) seen += slot.touch()
    }
    this.seen = seen
  }

  /** Executes the command or lets it wait; false when the appends channel has no room. */
  #route(entry: InFlight, command: CommandReader, nowMs: number, known?: Slot): boolean {
    entry.shard = command.entityHash % this.#options.shardCount
    const found = known ?? this.#find(command)
    if ((found === undefined || found.status === 'passive') && this.#backlog.tryWaitForShard(entry)) return true
    const slot = found ?? this.#create(command, entry.shard)
    slot.wasUsed = true
    if (slot.status !== 'live') {
      this.#backlog.waitForSlot(entry, slot)
      this.#loader.loadSlot(slot)
      return true
    }
    slot.lastUsedMs = nowMs
    if (slot.outbox !== undefined && this.#messenger?.tryHold(slot, slot.outbox, entry) === true) return true
    if (this.#parked.length > 0) this.#lookForParked(entry)
    this.#atHand.set(entry.link, entry.startPosition)
    const executed = this.#executor.execute(slot, command, entry)
    this.#atHand.clear()
    if (executed === 'done') {
      slot.isAwaited = false
      return true
    }
    if (executed === 'no-room') {
      this.counters.stalls++
      this.#blockedAt = this.#released
      return false
    }
    this.#loader.forget(slot)
    this.#messenger?.dropped(slot)
    this.#backlog.waitForSlot(entry, slot)
    this.#loader.loadSlot(slot)
    this.#reads.dropped(slot)
    return true
  }

  #lookForParked(entry: InFlight): void {
    this.#parked = this.#parked.filter(({ link, position }) => !(this.#inbound[link] as Inbound).isReleased(position))
    entry.parked = this.#parked.find(({ link, position }) => link === entry.link && position === entry.startPosition)?.reason
  }

  #find(command: CommandReader): Slot | undefined {
    return this.#slots.find(command.entityHash, command.view, command.entityOffset, command.entityBytes)
  }

  /** The first command to an entity that the log does not know. */
  #create(command: CommandReader, shard: number): Slot {
    const id = command.bytes.slice(command.entityOffset, command.entityOffset + command.entityBytes)
    assert(hash32(id) === command.entityHash, 'a command is filed under the hash of its entity')
    const { model } = this.#options.plant.commands[command.commandNumber] as PlantModel['commands'][number]
    const slot = this.#slots.add(utf8.decode(id), id, command.entityHash, shard, model)
    slot.status = 'live'
    slot.state = model.initial()
    slot.outcomes = createOutcomes()
    this.counters.knownEntities++
    this.counters.liveEntities++
    this.#passivation.watch(slot)
    return slot
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#options.onFatal(error)
  }
}

const utf8 = new TextDecoder()
const OUTBOX_MAX_DEFAULT = 1000

/** So many commands that wait at the start have their entities loaded in front of the others: more would delay the scan that brings all. */
const FIRST_COMMANDS = 16

const NOBODY_ASKS: NonNullable<WorkerOptions['atHand']> = { set: () => undefined, clear: () => undefined }
