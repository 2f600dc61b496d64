import { assert } from '#base/assert.js'
import type { Clock } from '#base/clock.js'
import { hash32 } from '#base/hash.js'
import { type Consumer, type DutyCycle, distance, FrameCursor, type Producer } from '#bus/index.js'
import { ANSWER_FRAME, ANSWER_HEADER_BYTES, writeAnswer } from '#entity/answer-frame.js'
import { COMMAND_FRAME, CommandReader } from '#entity/command-frame.js'
import { createOutcomes, PlantHash, type PlantModel } from '#entity/index.js'
import type { JournalClient } from '#serving/journal-client.js'
import { EventNumbers } from './event-numbers.js'
import { Executor } from './executor.js'
import { type InFlight, InFlightQueue } from './in-flight.js'
import { type LoadReport, Loader } from './loader.js'
import { Passivation } from './passivation.js'
import { Slot } from './slot.js'
import { SlotTable } from './slot-table.js'
import { createWorkerCounters, type WorkerCounters } from './worker-counters.js'

/** The worker's end of the two channels of one gateway. */
export interface InboundLink {
  readonly commands: Consumer
  readonly answers: Producer
}

export interface WorkerLimits {
  /** Entities with state in memory; above it the least used are passivated. */
  readonly liveEntitiesMax: number
  /** Idle time after which an entity is passivated, milliseconds. */
  readonly passivateAfterMs: number
  /** Commands taken in one turn of the event loop. */
  readonly commandsPerTurn: number
  /** Rows of an entity between two snapshots, unless its type asks for fewer. */
  readonly snapshotEvery: number
  /** Commands read and not yet released, per gateway; a power of two. */
  readonly inFlightMax: number
}

export interface WorkerOptions {
  readonly plant: PlantModel
  readonly shards: readonly number[]
  readonly shardCount: number
  readonly term: number
  readonly inbound: readonly InboundLink[]
  readonly journal: JournalClient
  readonly clock: Clock
  readonly limits: WorkerLimits
  /** Told when shards have been loaded: at the start and after a rejected append. */
  readonly onLoaded: (report: LoadReport) => void
  /** Runs the duty cycle again: something was asked for outside of it. */
  readonly wake: () => void
  /** The log could not be read, or holds what this plant cannot take; the process must end. */
  readonly onFatal: (error: unknown) => void
}

/**
 * Hosts the entities of its shards: takes commands off the inbound channels, executes them, and answers and releases each when all that it
 * caused is durable. All state here can be lost at any moment: frames that are not released are taken again by the successor.
 */
export class Worker implements DutyCycle {
  readonly counters: WorkerCounters = createWorkerCounters()
  readonly #options: WorkerOptions
  readonly #journal: JournalClient
  readonly #slots = new SlotTable()
  readonly #links: readonly LinkState[]
  readonly #executor: Executor
  readonly #loader: Loader
  readonly #passivation: Passivation
  /** Per loading shard the commands that came meanwhile, in read order. */
  readonly #stalled = new Map<number, InFlight[]>()
  /** Commands whose entity or shard has been loaded since; taken before anything new. */
  #resumable: InFlight[] = []
  /** The appends channel was full at this released position; nothing is executed until it has moved. */
  #blockedAt: number | undefined
  #nextLink = 0

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#journal = options.journal
    this.#links = options.inbound.map((link) => new LinkState(link, options.limits.inFlightMax))
    const numbers = new EventNumbers(options.plant)
    this.#executor = new Executor({
      plant: options.plant,
      journal: options.journal,
      term: options.term,
      numbers,
      counters: this.counters,
      snapshotEvery: options.limits.snapshotEvery,
      outcomeBytesMax: Math.min(...options.inbound.map((link) => link.answers.frameBytesMax), options.journal.appends.frameBytesMax / 2) - ANSWER_HEADER_BYTES,
    })
    this.#loader = new Loader({
      plant: options.plant,
      journal: options.journal,
      clock: options.clock,
      numbers,
      slots: this.#slots,
      counters: this.counters,
      liveEntitiesMax: options.limits.liveEntitiesMax,
      onShardLoaded: (shard) => this.#resume(this.#stalled.get(shard), () => this.#stalled.delete(shard)),
      onSlotLoaded: (slot) => this.#resume(slot.stalled, () => (slot.stalled = [])),
      onSlotLive: (slot) => this.#passivation.watch(slot),
      onLoaded: options.onLoaded,
      onFatal: options.onFatal,
    })
    this.#passivation = new Passivation({
      clock: options.clock,
      counters: this.counters,
      limits: options.limits,
      isDurable: (slot) => this.#isDurable(slot),
      trySnapshot: (slot) => this.#executor.trySnapshot(slot),
    })
    for (const shard of options.shards) this.#stalled.set(shard, [])
    this.#loader.loadShards(options.shards)
  }

  /** All shards are loaded and every command that was read is released. */
  get isIdle(): boolean {
    return this.isLoaded && this.#links.every((link) => link.queue.count === 0 && !link.commands.hasFrames())
  }

  get isLoaded(): boolean {
    return this.#stalled.size === 0
  }

  /** Commands read and not yet released. */
  get inFlightCount(): number {
    return this.#links.reduce((sum, link) => sum + link.queue.count, 0)
  }

  doWork(): number {
    let work = this.#loader.doWork()
    work += this.#complete()
    const nowMs = this.#options.clock.monotonicMs()
    work += this.#takeResumable(nowMs)
    if (this.#resumable.length === 0) work += this.#takeNew(nowMs)
    work += this.#passivation.sweep(nowMs)
    this.#journal.appends.publish()
    return work
  }

  hasWork(): boolean {
    if (this.#journal.hasAnswers || this.#loader.hasWork()) return true
    const released = this.#journal.releasedPosition()
    if (this.#blockedAt !== undefined && this.#blockedAt !== released) return true
    if (this.#resumable.length > 0 && this.#blockedAt === undefined) return true
    for (const link of this.#links) {
      const first = link.queue.first
      if (first !== undefined && first.status === 'waiting' && distance(first.waitPosition, released) >= 0 && !link.isAnswersFull) return true
      if (this.#blockedAt === undefined && this.#resumable.length === 0 && !link.queue.isFull && link.commands.hasFrames()) return true
    }
    return false
  }

  /** What `read` makes of the entity's state, loading it first where it is passive; undefined for an unknown one. Call it when idle. */
  read<T>(id: string, read: (slot: Slot) => T): Promise<T> | undefined {
    const bytes = new TextEncoder().encode(id)
    const slot = this.#slots.find(hash32(bytes), bytes, 0, bytes.length)
    return slot === undefined ? undefined : this.#read(slot, read)
  }

  /** The hash over all entities of this worker, loading those that are passive. Meaningful when idle. */
  async stateHash(): Promise<PlantHash> {
    const hash = new PlantHash()
    for (const slot of [...this.#slots.values()]) {
      await this.#read(slot, ({ id, version, state }) => {
        if (version > 0) hash.add(id, version, state)
      })
    }
    return hash
  }

  /** Reads within the turn in which the entity is live: in the next one it may be passive again. */
  #read<T>(slot: Slot, read: (slot: Slot) => T): Promise<T> {
    return new Promise((resolve) => {
      const now = () => resolve(read(slot))
      if (slot.status === 'live') return now()
      slot.waiters.push(now)
      if (slot.status === 'passive') this.#loader.loadSlot(slot)
      this.#options.wake()
    })
  }

  /** Answers and releases, in read order, what is durable. The release word is loaded first: a rejection is published before it passes. */
  #complete(): number {
    const released = this.#journal.releasedPosition()
    if (this.#blockedAt !== released) this.#blockedAt = undefined
    let work = this.#takeRejections()
    for (const link of this.#links) work += link.complete(released)
    return work
  }

  #takeRejections(): number {
    let count = 0
    for (let rejection = this.#journal.pollRejection(); rejection !== undefined; rejection = this.#journal.pollRejection()) {
      count++
      if (rejection.term !== this.#options.term) continue
      for (const link of this.#links) {
        for (const entry of link.queue) {
          if (entry.status === 'waiting' && entry.appendNumber === rejection.appendNumber) this.#takeBack(entry)
        }
      }
    }
    return count
  }

  /** The append of this command was not taken: its shard's state is folded on rows that are not there. */
  #takeBack(entry: InFlight): void {
    this.counters.rejections++
    entry.status = 'stalled'
    entry.appendNumber = 0
    const loading = this.#stalled.get(entry.shard)
    if (loading !== undefined) {
      loading.push(entry)
      return
    }
    const again = [entry]
    this.#stalled.set(entry.shard, again)
    this.#resumable = this.#resumable.filter((other) => {
      if (other.shard !== entry.shard) return true
      again.push(other)
      return false
    })
    for (const slot of this.#slots.values()) {
      if (slot.shard !== entry.shard) continue
      again.push(...slot.stalled)
      slot.stalled = []
      this.#loader.forget(slot)
    }
    this.#loader.loadShards([entry.shard])
  }

  /** Commands that waited for a load go on in read order. */
  #resume(entries: InFlight[] | undefined, forget: () => void): void {
    forget()
    if (entries === undefined) return
    this.#resumable.push(...entries)
    this.#resumable.sort((a, b) => a.link - b.link || distance(b.startPosition, a.startPosition))
  }

  #takeResumable(nowMs: number): number {
    if (this.#blockedAt !== undefined || this.#resumable.length === 0) return 0
    const entries = this.#resumable
    this.#resumable = []
    for (const [index, entry] of entries.entries()) {
      const link = this.#links[entry.link] as LinkState
      link.cursor.seek(entry.startPosition)
      const offset = link.cursor.next(entry.endPosition)
      assert(offset >= 0, 'a frame that is not released can be read again')
      if (!this.#route(link, entry, offset, nowMs)) {
        this.#resumable = [...entries.slice(index), ...this.#resumable]
        return index
      }
    }
    return entries.length
  }

  #takeNew(nowMs: number): number {
    if (this.#blockedAt !== undefined) return 0
    let taken = 0
    const { commandsPerTurn } = this.#options.limits
    for (let step = 0; step < this.#links.length; step++) {
      const link = this.#links[(this.#nextLink + step) % this.#links.length] as LinkState
      const share = Math.ceil(commandsPerTurn / this.#links.length)
      for (let count = 0; count < share && !link.queue.isFull; count++) {
        const offset = link.commands.next()
        if (offset < 0) break
        assert(link.commands.type === COMMAND_FRAME, 'the commands channel carries commands only')
        const entry = link.queue.push()
        entry.link = this.#links.indexOf(link)
        entry.startPosition = link.commands.startPosition
        entry.endPosition = link.commands.endPosition
        taken++
        if (this.#route(link, entry, offset, nowMs)) continue
        this.#resumable.push(entry)
        return taken
      }
    }
    this.#nextLink = (this.#nextLink + 1) % Math.max(1, this.#links.length)
    return taken
  }

  /** Executes or stalls; false when the appends channel has no room. */
  #route(link: LinkState, entry: InFlight, offset: number, nowMs: number): boolean {
    const command = link.reader.at(offset)
    const hash = command.entityHash
    const shard = hash % this.#options.shardCount
    entry.shard = shard
    const loading = this.#stalled.get(shard)
    if (loading !== undefined) {
      loading.push(entry)
      return true
    }
    const slot = this.#slots.find(hash, command.bytes, command.entityOffset, command.entityBytes) ?? this.#create(command, shard)
    slot.wasUsed = true
    if (slot.status !== 'live') {
      slot.stalled.push(entry)
      if (slot.status === 'passive') this.#loader.loadSlot(slot)
      return true
    }
    slot.lastUsedMs = nowMs
    const executed = this.#executor.execute(slot, command, entry)
    if (executed === 'done') return true
    if (executed === 'no-room') {
      this.counters.stalls++
      this.#blockedAt = this.#journal.releasedPosition()
      return false
    }
    this.#loader.forget(slot)
    slot.poison = { entry, message: this.#executor.brokenBy }
    slot.stalled.push(entry)
    this.#loader.loadSlot(slot)
    return true
  }

  #create(command: CommandReader, shard: number): Slot {
    const id = command.bytes.slice(command.entityOffset, command.entityOffset + command.entityBytes)
    const { model } = this.#options.plant.commands[command.commandNumber] as PlantModel['commands'][number]
    const slot = new Slot(new TextDecoder().decode(id), id, command.entityHash, shard, model)
    slot.status = 'live'
    slot.state = model.initial()
    slot.outcomes = createOutcomes()
    this.#slots.add(slot)
    this.counters.knownEntities++
    this.counters.liveEntities++
    this.#passivation.watch(slot)
    return slot
  }

  #isDurable(slot: Slot): boolean {
    return slot.waitPosition === undefined || distance(slot.waitPosition, this.#journal.releasedPosition()) >= 0
  }
}

class LinkState {
  readonly commands: Consumer
  readonly #answers: Producer
  readonly queue: InFlightQueue
  readonly reader: CommandReader
  readonly cursor: FrameCursor
  /** No answer could be written; looked at again when the gateway has released some. */
  isAnswersFull = false
  #answersFullAt = 0

  constructor(link: InboundLink, inFlightMax: number) {
    this.commands = link.commands
    this.#answers = link.answers
    this.queue = new InFlightQueue(inFlightMax)
    this.reader = new CommandReader(link.commands.bytes, link.commands.view)
    this.cursor = new FrameCursor(link.commands)
  }

  /** Answers first, then the release. */
  complete(released: number): number {
    if (this.isAnswersFull && this.#answers.releasedPosition() === this.#answersFullAt) return 0
    this.isAnswersFull = false
    let count = 0
    let end = 0
    for (let entry = this.queue.first; entry !== undefined; entry = this.queue.first) {
      if (entry.status !== 'waiting' || distance(entry.waitPosition, released) < 0) break
      if (entry.answerKind !== 0 && !this.#tryAnswer(entry)) break
      end = entry.endPosition
      this.queue.shift()
      count++
    }
    if (count === 0) return 0
    this.#answers.publish()
    this.commands.release(end)
    return count
  }

  #tryAnswer(entry: InFlight): boolean {
    const offset = this.#answers.tryClaim(ANSWER_HEADER_BYTES + entry.outcome.length, ANSWER_FRAME)
    if (offset < 0) {
      this.isAnswersFull = true
      this.#answersFullAt = this.#answers.releasedPosition()
      return false
    }
    writeAnswer(entry.request, entry.doorTerm, entry.answerVersion, entry.answerKind, entry.outcome, this.#answers.bytes, this.#answers.view, offset)
    this.#answers.commit()
    return true
  }
}
