import type { LoadReport } from '#actors/loader.js'
import { Worker, type WorkerLimits, type WorkerOptions } from '#actors/worker.js'
import { FakeClock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { channelBytes, createChannel, type DutyCycle, NO_PEER } from '#bus/index.js'
import { type AnyEntity, PlantHash, PlantModel } from '#entity/index.js'
import { BusDoor } from '#ingest/bus-door.js'
import { InMemoryJournal, type StoredLog } from '#journal/in-memory/in-memory-journal.js'
import { type AppendAnswer, type AppendBatch, type BlockRange, readRows, type Row } from '#journal/index.js'
import { planChannels } from '#runtime/channel-plan.js'
import { registerSchemas } from '#journal/register-schemas.js'
import { replayHash } from '#runtime/replay-hash.js'
import { type BusAccess, wireGateway, wireJournal, wireWorker } from '#runtime/wiring.js'
import type { JournalClient } from '#serving/journal-client.js'
import { JournalServer } from '#serving/journal-server.js'
import { Placement } from '#shards/placement.js'

export interface RigOptions {
  readonly entities: readonly AnyEntity[]
  readonly workers?: number
  readonly gateways?: number
  /** Of commands, appends and bulk channels. */
  readonly capacityBytes?: number
  /** Of answers and rejections. */
  readonly answerCapacityBytes?: number
  /** Where the positions of all channels begin. */
  readonly firstPosition?: number
  readonly shardCount?: number
  readonly framesMax?: number
  readonly bytesMax?: number
  readonly limits?: Partial<WorkerLimits>
  /** What an earlier rig left. */
  readonly stored?: StoredLog
  /** Of each worker's first append less one. */
  readonly appendNumber?: number
  /** As of MessagesOptions. */
  readonly commandsKnown?: number
}

/** A real journal that can be made to run out of room, to lose a block to damage, and to have somebody else append to it. */
export class RigJournal extends InMemoryJournal {
  isFull = false
  isDamaged = false
  /** Stored right in front of the next batch, as if another writer had been there. */
  foreign: (() => AppendBatch)[] = []
  batches = 0
  /** Its process is gone: whatever still calls it is gone too. */
  isDead = false
  /** So many more scans of blocks begin, others wait until there may be more: a slow disk. */
  scansLeft = Number.POSITIVE_INFINITY
  /** What scans were of, in order: an entity, or shards. */
  readonly scans: (string | undefined)[] = []

  override async append(batch: AppendBatch): Promise<AppendAnswer> {
    if (this.isDead) return new Promise(() => {})
    if (this.isFull) throw new MillraceError('ERR_JOURNAL_FULL', { fact: 'there is no room', action: 'retry' })
    this.batches++
    const { foreign } = this
    this.foreign = []
    for (const other of foreign) await super.append(other())
    return super.append(batch)
  }

  override async *blocks(range: BlockRange): AsyncGenerator<Uint8Array> {
    this.scans.push(range.entity)
    while (this.scansLeft <= 0) await new Promise((resolve) => setImmediate(resolve))
    this.scansLeft--
    if (this.isDamaged) {
      throw new MillraceError('ERR_BLOCK_DAMAGED', {
        fact: 'a block is damaged',
        action: 'operator',
        values: { segment: 'memory', block: 0 },
      })
    }
    yield* super.blocks(range)
  }
}

/** What is thrown when `hasWork` and `doWork` of a role do not agree. */
class Disagreement extends Error {}

/**
 * A whole plant in one process whose duty cycles are called by hand, step by step: real doors, workers, journal server and in-memory journal over
 * real channels. Any role can be killed between two steps (its object is dropped) and replaced by one with a higher term that attaches to
 * the same channels; of the journal only what was stored is left.
 */
export class PlantRig {
  readonly model: PlantModel
  readonly clock = new FakeClock()
  readonly placement: Placement
  readonly isBetweenTurns = true
  /** What made a role give up. */
  readonly failures: unknown[] = []
  readonly reloads: LoadReport[] = []
  /** Runs once, right after a worker has found no more rejections: what another process may do between two steps of that one's own. */
  meanwhile: (() => void) | undefined
  readonly #options: RigOptions
  readonly #shape: { readonly workers: number; readonly gateways: number }
  readonly #access: BusAccess
  readonly #memories = new Map<string, SharedArrayBuffer>()
  #term = 0
  #stored: StoredLog
  #journal: RigJournal | undefined
  #server: JournalServer | undefined
  readonly #workers: (Worker | undefined)[]
  readonly #doors: (BusDoor | undefined)[]

  static async open(options: RigOptions): Promise<PlantRig> {
    const rig = new PlantRig(options)
    rig.startJournal()
    await registerSchemas(rig.journal, rig.model.schemas)
    for (let slot = 0; slot < rig.#shape.workers; slot++) rig.startWorker(slot)
    for (let slot = 0; slot < rig.#shape.gateways; slot++) rig.startGateway(slot)
    return rig
  }

  private constructor(options: RigOptions) {
    this.#options = options
    this.model = new PlantModel(options.entities)
    this.#shape = { workers: options.workers ?? 1, gateways: options.gateways ?? 1 }
    this.#workers = Array.from({ length: this.#shape.workers }, () => undefined)
    this.#doors = Array.from({ length: this.#shape.gateways }, () => undefined)
    const { capacityBytes = 65_536, answerCapacityBytes = 16_384, firstPosition = 0 } = options
    for (const { name, capacityBytes: capacity } of planChannels(this.#shape, { capacityBytes, answerCapacityBytes })) {
      const memory = new SharedArrayBuffer(channelBytes(capacity))
      createChannel(memory, { capacityBytes: capacity, schemaHash: this.model.schemaHash, name, producerPosition: firstPosition })
      this.#memories.set(name, memory)
    }
    this.#stored = options.stored ?? new InMemoryJournal({ shardCount: options.shardCount ?? 8, recentAppends: 16 }).stored
    this.placement = Placement.even(this.#stored.shardCount, this.#shape.workers)
    this.#access = { memory: (channel) => this.memory(channel), peer: () => NO_PEER, placement: this.placement }
    this.#term = highestTerm(this.#stored)
  }

  memory(channel: string): SharedArrayBuffer {
    return this.#memories.get(channel) as SharedArrayBuffer
  }

  get journal(): RigJournal {
    return this.#journal as RigJournal
  }

  get server(): JournalServer {
    return this.#server as JournalServer
  }

  worker(slot = 0): Worker {
    return this.#workers[slot] as Worker
  }

  door(slot = 0): BusDoor {
    return this.#doors[slot] as BusDoor
  }

  isDoorUp(slot: number): boolean {
    return this.#doors[slot] !== undefined
  }

  get workerCount(): number {
    return this.#shape.workers
  }

  get gatewayCount(): number {
    return this.#shape.gateways
  }

  killJournal(): void {
    if (this.#journal === undefined) return
    this.#stored = copyOf(this.#journal.stored)
    this.#journal.isDead = true
    this.#journal = undefined
    this.#server = undefined
  }

  startJournal(): void {
    if (this.#journal !== undefined) return
    this.#journal = new RigJournal({ stored: this.#stored, recentAppends: 4096 })
    this.#server = new JournalServer({
      journal: this.#journal,
      links: wireJournal(this.#access, this.#shape, this.#holder(++this.#term)),
      clock: this.clock,
      framesMax: this.#options.framesMax ?? 1024,
      bytesMax: this.#options.bytesMax ?? 1024 * 1024,
      onFatal: (error) => this.failures.push(error),
      wake: () => {},
    })
  }

  killWorker(slot = 0): void {
    this.#workers[slot] = undefined
  }

  startWorker(
    slot = 0,
    more: Pick<WorkerOptions, 'atHand' | 'parked' | 'onFenced' | 'onFault' | 'predecessor'> = {},
    other: Partial<WorkerLimits> = {},
  ): void {
    if (this.#workers[slot] !== undefined) return
    const term = ++this.#term
    const { shardCount } = this.#stored
    const { limits, appendNumber } = this.#options
    const wired = wireWorker(this.#access, slot, this.#shape, this.#holder(term))
    this.#interleave(wired.journal)
    this.#workers[slot] = new Worker({
      ...more,
      plant: this.model,
      shards: this.placement.shardsOf(slot),
      shardCount,
      term,
      inbound: wired.inbound,
      messages: { ...wired.messages, commandsKnown: this.#options.commandsKnown },
      journal: wired.journal,
      clock: this.clock,
      limits: {
        liveEntitiesMax: 1_000_000,
        passivateAfterMs: 1_000_000_000,
        commandsPerTurn: 64,
        snapshotEvery: 1_000_000,
        inFlightMax: 1024,
        ...limits,
        ...other,
      },
      onLoaded: (report) => this.reloads.push(report),
      wake: () => {},
      onFatal: (error) => this.failures.push(error),
      ...(appendNumber === undefined ? {} : { appendNumber }),
    })
  }

  /** What the doors have taken can be seen. */
  publish(): void {
    for (const door of this.#doors) door?.publish()
  }

  killGateway(slot = 0): void {
    this.#doors[slot] = undefined
  }

  startGateway(slot = 0): void {
    if (this.#doors[slot] !== undefined) return
    const term = ++this.#term
    this.#doors[slot] = new BusDoor({
      plant: this.model,
      channels: wireGateway(this.#access, slot, this.#shape, this.#holder(term)),
      placement: this.placement,
      term,
      clock: this.clock,
      wake: () => {},
    })
  }

  /** One duty cycle of a role, if it lives. Throws when `hasWork` had said that there was nothing and there was. */
  stepDoor(slot = 0): void {
    const door = this.#doors[slot]
    if (door !== undefined) agreed(`door ${slot}`, door, () => 0)
  }

  stepWorker(slot = 0): void {
    const worker = this.#workers[slot]
    if (worker !== undefined) agreed(`worker ${slot}`, worker, () => worker.counters.passivations)
  }

  stepJournal(): void {
    if (this.#server !== undefined) agreed('journal', this.#server, () => 0)
  }

  stepAll(): void {
    for (let slot = 0; slot < this.gatewayCount; slot++) this.stepDoor(slot)
    for (let slot = 0; slot < this.workerCount; slot++) this.stepWorker(slot)
    this.stepJournal()
  }

  /** Runs one role alone until it says that there is nothing. Throws when it never does: then it would not park while it is blocked. */
  exhaust(role: 'journal' | 'door' | 'worker', slot = 0): void {
    const duty = role === 'journal' ? this.#server : role === 'door' ? this.#doors[slot] : this.#workers[slot]
    if (duty === undefined) return
    for (let round = 0; round < 10_000; round++) {
      if (!duty.hasWork()) return
      duty.doWork()
    }
    throw new Disagreement(`${role} ${slot} is busy for ever`)
  }

  /** Lets promises come in. */
  breathe(): Promise<void> {
    return new Promise((resolve) => setImmediate(resolve))
  }

  /** Steps all roles until the condition holds. Throws after `roundsMax`, or when a role has given up. */
  async until(condition: () => boolean, roundsMax = 50_000): Promise<void> {
    for (let round = 0; round < roundsMax; round++) {
      if (condition()) return
      if (this.failures.length > 0) throw this.failures[0]
      this.stepAll()
      await this.breathe()
      this.clock.advance(1)
    }
    throw new Error(`not settled after ${roundsMax} rounds: ${this.#describe()}`)
  }

  #describe(): string {
    const doors = this.#doors.map((door) => ({ inFlight: door?.inFlightCount, hasWork: door?.hasWork(), ...door?.counters }))
    const workers = this.#workers.map((worker) => ({
      inFlight: worker?.inFlightCount,
      hasWork: worker?.hasWork(),
      isLoaded: worker?.isLoaded,
      ...worker?.counters,
    }))
    const server = { hasWork: this.#server?.hasWork(), isIdle: this.#server?.isIdle, isOutOfRoom: this.#server?.isOutOfRoom }
    return JSON.stringify({ doors, workers, server, rows: this.#journal?.endPosition })
  }

  /** One that nobody else has or had. */
  nextTerm(): number {
    return ++this.#term
  }

  get isIdle(): boolean {
    const doors = this.#doors.every((door) => door !== undefined && door.inFlightCount === 0)
    return doors && this.#workers.every((worker) => worker?.isIdle === true) && this.#server?.isIdle === true
  }

  async rows(): Promise<Row[]> {
    const rows: Row[] = []
    for await (const row of readRows(this.journal, { from: 0 })) rows.push(row)
    return rows
  }

  /** Of the whole log, folded again. */
  replayedHash(): Promise<string> {
    return replayHash(this.journal, this.model)
  }

  /** Of the live states. */
  async liveHash(): Promise<string> {
    const live = new PlantHash()
    for (const worker of this.#workers) {
      let isDone = false
      const hash = (worker as Worker).stateHash().finally(() => (isDone = true))
      hash.catch(() => {})
      await this.until(() => isDone)
      live.merge(await hash)
    }
    return live.hex()
  }

  #interleave(client: JournalClient): void {
    const poll = client.pollRejection.bind(client)
    client.pollRejection = () => {
      const rejection = poll()
      if (rejection !== undefined) return rejection
      const { meanwhile } = this
      this.meanwhile = undefined
      meanwhile?.()
      return undefined
    }
  }

  #holder(term: number) {
    return { pid: 1, startTime: 0, term, schemaHash: this.model.schemaHash }
  }
}

function agreed(name: string, duty: DutyCycle, byTheClock: () => number): void {
  const hadWork = duty.hasWork()
  const before = byTheClock()
  const done = duty.doWork()
  if (!hadWork && done > byTheClock() - before) throw new Disagreement(`${name} did ${done} without having had work`)
}

function copyOf(stored: StoredLog): StoredLog {
  return {
    shardCount: stored.shardCount,
    types: [...stored.types],
    blocks: [...stored.blocks],
    snapshots: new Map([...stored.snapshots].map(([entity, snapshots]) => [entity, [...snapshots]])),
    bases: new Map(stored.bases),
    checkpoints: new Map(stored.checkpoints),
  }
}

function highestTerm(stored: StoredLog): number {
  const journal = new InMemoryJournal({ stored: copyOf(stored), recentAppends: 16 })
  return Math.max(...Array.from({ length: 16 }, (_, slot) => journal.mark(slot)?.term ?? 0))
}
