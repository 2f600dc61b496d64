import { assert } from '#base/assert.js'
import { hash32 } from '#base/hash.js'
import { ENTITY_ID_BYTES_MAX } from '#base/ids.js'
import type { CommandReader } from '#entity/command-frame.js'
import { type EntityModel, type PlantModel } from '#entity/index.js'
import type { Backlog } from './backlog.js'
import { passOver } from './command-outcome.js'
import type { Executor } from './executor.js'
import type { IdScratch } from './id-scratch.js'
import type { InFlight } from './in-flight.js'
import type { Inbound } from './inbound.js'
import type { Loader } from './loader.js'
import type { Messenger } from './messenger.js'
import type { Passivation } from './passivation.js'
import type { Reads } from './reads.js'
import type { ShardMoves } from './shard-moves.js'
import type { Slot } from './slot.js'
import type { SlotTable } from './slot-table.js'
import type { VolatileMail } from './volatile-mail.js'
import type { WorkerCounters } from './worker-counters.js'
import type { ParkedPlace, WorkerOptions } from './worker-options.js'

export interface IntakeOptions {
  readonly worker: WorkerOptions
  readonly inbound: readonly Inbound[]
  readonly slots: SlotTable
  readonly backlog: Backlog
  readonly executor: Executor
  readonly loader: Loader
  readonly passivation: Passivation
  readonly reads: Reads
  readonly messenger: Messenger | undefined
  readonly mail: VolatileMail | undefined
  readonly moves: ShardMoves
  readonly counters: WorkerCounters
}

/**
 * Takes commands off the inbound channels, in turns, and has each executed by its entity, or lets it wait for that to be loaded. What can go on since it
 * has been loaded goes before anything new. Nothing is executed while the appends channel is full.
 */
export class Intake {
  readonly #options: IntakeOptions
  readonly #inbound: readonly Inbound[]
  readonly #slots: SlotTable
  readonly #executor: Executor
  readonly #shardCount: number
  readonly #atHand: NonNullable<WorkerOptions['atHand']>
  /** Of one channel in one turn. */
  readonly #commandsPerLink: number
  /** Dropped once they are answered: their positions come again some day. */
  #parked: readonly ParkedPlace[]
  #released = 0
  /** The appends channel was full at this released position; nothing is executed until it has moved. */
  #blockedAt: number | undefined
  #nextLink = 0
  #isClosed = false
  /** The slots of the commands read last, as far as there were any. */
  readonly #ahead: (Slot | undefined)[] = []
  /** Kept, since a look whose result nobody keeps is not made. */
  protected seen = 0

  constructor(options: IntakeOptions) {
    const { shardCount, atHand, parked, limits, messages } = options.worker
    this.#options = options
    this.#inbound = options.inbound
    this.#slots = options.slots
    this.#executor = options.executor
    this.#shardCount = shardCount
    this.#atHand = atHand ?? NOBODY_ASKS
    this.#parked = parked ?? []
    this.#commandsPerLink = Math.ceil(limits.commandsPerTurn / (messages?.deviceLinks ?? options.inbound.length))
  }

  /** What the appends channel has released, as loaded in this turn. */
  set releasedPosition(position: number) {
    this.#released = position
    if (this.#blockedAt !== position) this.#blockedAt = undefined
  }

  /** From now on nothing new is read. */
  close(): void {
    this.#isClosed = true
  }

  hasWork(released: number): boolean {
    if (this.#blockedAt === released) return false
    if (this.#options.backlog.readyCount > 0) return true
    return !this.#isHeld && this.#inbound.some((link) => link.canRead())
  }

  doWork(nowMs: number): number {
    try {
      const ready = this.#takeReady(nowMs)
      return this.#options.backlog.readyCount === 0 ? ready + this.#takeNew(nowMs) : ready
    } catch (error) {
      this.#giveUpMalformed()
      throw error
    }
  }

  /** Nothing new is read. */
  get #isHeld(): boolean {
    return this.#isClosed || this.#options.mail?.isCrowded === true
  }

  /** A frame that is no command costs its channel, which is made anew; else one worker after the other would end over it. */
  #giveUpMalformed(): void {
    for (const link of this.#inbound) link.checkCommands(this.#options.worker.plant)
  }

  #takeReady(nowMs: number): number {
    const { backlog } = this.#options
    if (this.#blockedAt !== undefined || backlog.readyCount === 0) return 0
    const entries = backlog.take()
    for (const [index, entry] of entries.entries()) {
      const command = (this.#inbound[entry.link] as Inbound).command(entry)
      const isDone = this.#route(entry, command, nowMs)
      if (isDone && backlog.readyCount === 0) continue
      const done = isDone ? index + 1 : index
      backlog.putBack(entries.slice(done))
      return done
    }
    return entries.length
  }

  #takeNew(nowMs: number): number {
    if (this.#blockedAt !== undefined || this.#isHeld) return 0
    const links = this.#inbound
    let taken = 0
    for (let step = 0; step < links.length; step++) {
      const link = links[(this.#nextLink + step) % links.length] as Inbound
      for (let left = this.#commandsPerLink; left > 0 && this.#blockedAt === undefined; ) {
        const count = this.#takeSome(link, left, nowMs)
        if (count === 0) break
        left -= count
        taken += count
        if (this.#options.backlog.readyCount === 0) continue
        this.#turnLinks()
        return taken
      }
      if (this.#blockedAt !== undefined) return taken
    }
    this.#turnLinks()
    return taken
  }

  /** Another one is the first in the next turn. */
  #turnLinks(): void {
    this.#nextLink = (this.#nextLink + 1) % Math.max(1, this.#inbound.length)
  }

  /**
   * Reads some commands and executes them, or lets them wait; those behind one for which the appends channel has no room wait for it. So do those behind one that made others go on, which came
   * before them: a command that is overtaken by a later one of its source would never be executed.
   */
  #takeSome(link: Inbound, limit: number, nowMs: number): number {
    const count = link.read(limit)
    this.#lookAhead(link, count)
    const { backlog } = this.#options
    let done = 0
    while (done < count && this.#route(link.entries[done] as InFlight, link.commandAt(done), nowMs, this.#ahead[done])) {
      link.keep(done++)
      if (backlog.readyCount > 0) break
    }
    if (done < count) {
      backlog.putBack(link.entries.slice(done, count))
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
      const slot = this.#peek(link.commandAt(index))
      this.#ahead[index] = slot
      if (slot !== undefined) seen += slot.touch()
    }
    this.seen = seen
  }

  /** Executes the command or lets it wait; false when the appends channel has no room. */
  #route(entry: InFlight, command: CommandReader, nowMs: number, known?: Slot): boolean {
    const { backlog, loader, messenger } = this.#options
    entry.shard = command.entityHash % this.#shardCount
    if (command.isVolatile && (this.#inbound[entry.link] as Inbound).wasThere(entry.startPosition)) {
      passOver(command, entry)
      return true
    }
    const found = known ?? this.#peek(command)
    if ((found === undefined || found.status === 'passive') && this.#tryWait(entry, command)) return true
    const slot = found ?? this.#find(command) ?? this.#create(command)
    slot.wasUsed = true
    if (slot.status !== 'live') {
      backlog.waitForSlot(entry, slot)
      loader.loadSlot(slot)
      return true
    }
    slot.lastUsedMs = nowMs
    if (slot.outbox !== undefined && messenger?.tryHold(slot, slot.outbox, entry) === true) return true
    if (this.#parked.length > 0) this.#lookForParked(entry)
    this.#atHand.set(entry.link, entry.startPosition)
    const executed = this.#executor.execute(slot, command, entry)
    this.#atHand.clear()
    if (executed === 'done') {
      slot.isAwaited = false
      return true
    }
    if (executed === 'no-room') {
      this.#options.counters.stalls++
      this.#blockedAt = this.#released
      return false
    }
    backlog.waitForSlot(entry, slot)
    this.reload(slot)
    return true
  }

  /**
   * False when its shard is open. What an entity that has left for another worker sent itself is sent there again, and what is volatile may be lost. A shard that
   * is placed here and free has not been called for yet, and comes at once.
   */
  #tryWait(entry: InFlight, command: CommandReader): boolean {
    const { backlog, moves, worker } = this.#options
    if (!backlog.isClosed(entry.shard)) return false
    const { messages } = worker
    const isOwn = messages !== undefined && entry.link === messages.deviceLinks + messages.own
    const isAway =
      !moves.owns(entry.shard) &&
      (messages?.placement.isHeld(entry.shard) === true || messages?.placement.slotOf(entry.shard) !== messages?.own)
    if (isAway && (isOwn || command.isVolatile)) {
      passOver(command, entry)
      return true
    }
    return backlog.tryWaitForShard(entry)
  }

  /** The entities, by id, that commands have waited for longest. */
  firstEntities(): string[] {
    const ids = this.#options.backlog.firstWaiting(FIRST_COMMANDS).flatMap((entry) => {
      const { bytes, entityOffset, entityBytes } = (this.#inbound[entry.link] as Inbound).command(entry)
      return entityBytes > ENTITY_ID_BYTES_MAX ? [] : utf8.decode(bytes.slice(entityOffset, entityOffset + entityBytes))
    })
    return [...new Set(ids)]
  }

  /** Its state is broken: it is dropped and loaded again. */
  reload(slot: Slot): void {
    const { loader, messenger, reads } = this.#options
    loader.forget(slot)
    messenger?.dropped(slot)
    loader.loadSlot(slot)
    reads.dropped(slot)
  }

  /** False while its shard is loading: it may be live by itself then, or is to be asked for again. */
  tryLoad(slot: Slot): boolean {
    if (slot.status === 'passive' && this.#options.backlog.isClosed(slot.shard)) return false
    this.#options.loader.loadSlot(slot)
    return true
  }

  /** The slot of an entity, a live one where nobody knows it; undefined while its shard is loading and it may be in the log. */
  slotFor(id: IdScratch, type: string): Slot | undefined {
    const found = this.#slots.peek(id.hash, id.view, 0, id.length)
    if (found !== undefined || this.#options.backlog.isClosed(id.hash % this.#shardCount)) return found
    const passive = this.#slots.find(id.hash, id.view, 0, id.length)
    return passive ?? this.#born(id.copy(), id.hash, this.#options.worker.plant.model(type) as EntityModel)
  }

  #lookForParked(entry: InFlight): void {
    this.#parked = this.#parked.filter(({ link, position }) => !(this.#inbound[link] as Inbound).isReleased(position))
    entry.parked = this.#parked.find(({ link, position }) => link === entry.link && position === entry.startPosition)?.reason
  }

  #peek(command: CommandReader): Slot | undefined {
    return this.#slots.peek(command.entityHash, command.view, command.entityOffset, command.entityBytes)
  }

  #find(command: CommandReader): Slot | undefined {
    return this.#slots.find(command.entityHash, command.view, command.entityOffset, command.entityBytes)
  }

  /** The first command to an entity that the log does not know. */
  #create(command: CommandReader): Slot {
    const id = command.bytes.slice(command.entityOffset, command.entityOffset + command.entityBytes)
    assert(hash32(id) === command.entityHash, 'a command is filed under the hash of its entity')
    const { model } = this.#options.worker.plant.commands[command.commandNumber] as PlantModel['commands'][number]
    return this.#born(id, command.entityHash, model)
  }

  #born(id: Uint8Array, hash: number, model: EntityModel): Slot {
    const { counters, passivation } = this.#options
    const slot = this.#slots.at(this.#slots.add(id, hash, model))
    slot.status = 'live'
    slot.state = model.initial()
    counters.knownEntities++
    counters.liveEntities++
    passivation.watch(slot)
    return slot
  }
}

const utf8 = new TextDecoder()
/** So many commands that wait at the start have their entities loaded in front of the others: more would delay the scan that brings all. */
const FIRST_COMMANDS = 16
const NOBODY_ASKS: NonNullable<WorkerOptions['atHand']> = { set: () => undefined, clear: () => undefined }
