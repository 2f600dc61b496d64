import { Worker, type WorkerLimits } from '#actors/worker.js'
import { FakeClock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import type { EntityId } from '#base/ids.js'
import { channelBytes, Consumer, createChannel, type DutyCycle, NO_PEER, Producer } from '#bus/index.js'
import { EffectRunner } from '#effects/effect-runner.js'
import { type EntityModel, PlantHash } from '#entity/index.js'
import { BusDoor } from '#ingest/bus-door.js'
import { HttpCommands } from '#ingest/http-commands.js'
import { HTTP_LIMITS } from '#ingest/http-limits.js'
import { type Journal, readRows, type Row } from '#journal/index.js'
import { TermCounter } from '#processes/term-counter.js'
import {
  EFFECTS_GATEWAY,
  answersName,
  appendsName,
  bulkName,
  commandsName,
  effectsName,
  messagesName,
  outcomesName,
  rejectionsName,
  repliesName,
} from '#runtime/channel-plan.js'
import { JournalClient } from '#serving/journal-client.js'
import { JournalServer } from '#serving/journal-server.js'
import { Placement } from '#shards/placement.js'
import { Prng } from '#base/prng.js'
import { joinDuties } from '#runtime/joined-duties.js'
import type { SimulatedDisk } from './disk.js'
import { ForeignWriter } from './foreign-writer.js'
import { SimulatedProcess } from './process.js'
import { useDisk } from './simulated-fs.js'
import { failEnvironment, killEnvironments, type Stage, stepEnvironment } from './simulated-lmdb.js'
import { DATA, diskOfPlant, type EnvironmentName, ENVIRONMENTS, MODEL, openSimulatedLog, SHARDS } from './simulated-log.js'

export interface PlantConfig {
  readonly workers: number
  readonly gateways: number
  /** Of commands, appends and bulk channels; of answers; of rejections. */
  readonly capacityBytes: number
  readonly answerBytes: number
  readonly rejectionBytes: number
  /** Where the positions of all channels begin. */
  readonly firstPosition: number
  readonly framesMax: number
  readonly headsEveryRows: number
  readonly limits: WorkerLimits
}

/** Something that must not happen: what the simulation looks for. */
export class Violation extends Error {
  override readonly name = 'Violation'
}

export interface Gateway {
  readonly process: SimulatedProcess
  readonly door: BusDoor
  readonly http: HttpCommands
  /** Of the first one. */
  readonly effects: EffectRunner | undefined
}

export type Role = 'journal' | 'worker' | 'gateway'

/** A place for a process. */
export interface Seat {
  readonly role: Role
  readonly slot: number
}

interface Taken<T> {
  readonly process: SimulatedProcess
  readonly it: T
}

const HTTP_BODY_BYTES_MAX = 65_536
/** Small, so that both are full at times. */
const EFFECT_RING_BYTES = 512
const LIVE_HASH_ROUNDS_MAX = 200

/**
 * A plant whose processes are objects: real doors, workers, journal server and log over real rings, terms from the real counter; below them a simulated
 * disk. Nothing runs but what is told to. A process can be killed at any access to what it shares, and a successor takes its place as in a plant of
 * processes: on the same rings, from the released positions, under the next term.
 */
export class SimulatedPlant {
  readonly clock = new FakeClock()
  readonly config: PlantConfig
  readonly #disk: SimulatedDisk
  readonly placement: Placement
  readonly #meanwhile: (process: SimulatedProcess) => void
  readonly #memories = new Map<string, ArrayBuffer>()
  readonly #workers: (Taken<Worker> | undefined)[]
  readonly #gateways: (Gateway | undefined)[]
  #journal: (Taken<JournalServer> & { readonly log: Journal }) | undefined
  #foreign: ForeignWriter | undefined
  #terms: TermCounter | undefined
  #failure: Violation | undefined
  #logEnd = 0
  /** The journal whose disk has failed. */
  #failing: SimulatedProcess | undefined

  /** With `meanwhile` others get their turns in the middle of a process's own. */
  static async open(config: PlantConfig, meanwhile: (process: SimulatedProcess) => void): Promise<SimulatedPlant> {
    const plant = new SimulatedPlant(config, await diskOfPlant(), meanwhile)
    useDisk(plant.#disk)
    await plant.up()
    return plant
  }

  private constructor(config: PlantConfig, disk: SimulatedDisk, meanwhile: (process: SimulatedProcess) => void) {
    this.config = config
    this.#disk = disk
    this.placement = Placement.even(SHARDS, config.workers)
    this.#meanwhile = meanwhile
    this.#workers = Array.from({ length: config.workers }, () => undefined)
    this.#gateways = Array.from({ length: config.gateways }, () => undefined)
  }

  /** Of what is durable, as far as a journal has said so. */
  get logEnd(): number {
    this.#logEnd = Math.max(this.#logEnd, this.#journal?.log.endPosition ?? 0)
    return this.#logEnd
  }

  get log(): Journal {
    return (this.#journal as { log: Journal }).log
  }

  worker(slot: number): Worker | undefined {
    return this.#workers[slot]?.it
  }

  gateway(slot: number): Gateway | undefined {
    return this.#gateways[slot]
  }

  /** As the supervisor does it: rings made anew, terms from the counter's file, then the processes. */
  async up(): Promise<void> {
    this.#terms = TermCounter.openSync(DATA, false)
    this.#makeRings()
    this.placement.spread(SHARDS, this.config.workers)
    const term = this.#terms.next()
    await this.start('journal')
    const slot = this.config.workers
    this.#foreign = new ForeignWriter({
      appends: new Producer(this.#memory(appendsName(slot)), this.#end(term)),
      answers: new Consumer(this.#memory(rejectionsName(slot)), this.#end(term)),
      term,
      shardCount: SHARDS,
      typeNumber: this.log.eventTypes[0]?.number as number,
      codec: (MODEL.models[0] as EntityModel).eventCodec(0),
    })
    for (let worker = 0; worker < this.config.workers; worker++) await this.start('worker', worker)
    for (let gateway = 0; gateway < this.config.gateways; gateway++) await this.start('gateway', gateway)
  }

  /** Every process is killed. */
  down(): void {
    for (let slot = 0; slot < this.config.gateways; slot++) this.kill('gateway', slot)
    for (let slot = 0; slot < this.config.workers; slot++) this.kill('worker', slot)
    this.kill('journal')
  }

  /** Every process is gone, and with them what the disk had not synced, but for what was just being written. */
  losePower(random: Prng): void {
    this.down()
    this.#disk.losePower(random)
  }

  setRoom(isThere: boolean): void {
    this.#disk.freeBytes = isThere ? 2 ** 40 : 0
  }

  kill(role: Role, slot = 0): void {
    const process = this.#processOf(role, slot)
    if (process === undefined) return
    process.isDead = true
    if (role === 'worker') this.#workers[slot] = undefined
    else if (role === 'gateway') this.#gateways[slot] = undefined
    else {
      this.#logEnd = this.logEnd
      this.#journal = undefined
      killEnvironments()
    }
  }

  /** False when there is one. */
  async start(role: Role, slot = 0): Promise<boolean> {
    if (this.#processOf(role, slot) !== undefined) return false
    if (role === 'worker') this.#startWorker(slot)
    else if (role === 'gateway') this.#startGateway(slot)
    else await this.#startJournal()
    return true
  }

  get isBetweenTurns(): boolean {
    const processes = [
      this.#journal?.process,
      ...this.#workers.map((seat) => seat?.process),
      ...this.#gateways.map((seat) => seat?.process),
    ]
    return processes.every((process) => process?.isRunning !== true)
  }

  /** What the doors have taken can be seen. */
  publish(): void {
    for (const gateway of this.#gateways) gateway?.door.publish()
  }

  /** One duty cycle, unless there is nobody to have it or it is having one. */
  turn(role: Role, slot = 0): void {
    const process = this.#processOf(role, slot)
    if (process === undefined || process.isRunning) return
    const duty = this.#dutyOf(role, slot)
    if (role === 'journal') this.#foreign?.listen()
    this.#run(process, () => void duty?.doWork())
  }

  /** Whether it would go on by itself if it were about to park. */
  hasWork(role: Role, slot: number): boolean {
    if (role === 'journal') this.#foreign?.listen()
    return this.#dutyOf(role, slot)?.hasWork() === true
  }

  /** What it throws is a violation: none of its code may. */
  #run(process: SimulatedProcess, work: () => void): void {
    try {
      process.run(work)
    } catch (error) {
      throw error instanceof Violation ? error : new Violation(`${process.name} broke: ${messageOf(error)}`, { cause: error })
    }
  }

  /** What somebody outside makes a gateway do: what a connection brings. From within the gateway's own turn too. */
  atGateway(slot: number, work: (gateway: Gateway) => void): void {
    const gateway = this.#gateways[slot]
    if (gateway === undefined) return
    if (gateway.process.isRunning) work(gateway)
    else this.#run(gateway.process, () => work(gateway))
  }

  /** One step of the disk for the transaction under way. */
  stepDisk(environment: EnvironmentName): Stage | undefined {
    return stepEnvironment(ENVIRONMENTS[environment])
  }

  /** The disk does not take what is being written. The journal ends then, sooner or later: whatever it found, it may not go on. */
  failDisk(environment: EnvironmentName): void {
    if (failEnvironment(ENVIRONMENTS[environment])) this.#failing = this.#journal?.process
  }

  interfere(entity: EntityId, id: number): void {
    if (this.#journal !== undefined) this.#foreign?.interfere(entity, this.#journal.log.head(entity), id)
  }

  /** Throws why a process has given up, if one has. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure
  }

  get isIdle(): boolean {
    const doors = this.#gateways.every((gateway) => gateway !== undefined && gateway.door.inFlightCount === 0)
    const effects = this.#gateways[0]?.effects
    if (effects === undefined || !effects.isQuiet || effects.waitingCount > 0) return false
    return doors && this.#workers.every((seat) => seat?.it.isIdle === true) && this.#journal?.it.isIdle === true
  }

  async rows(): Promise<Row[]> {
    const rows: Row[] = []
    for await (const row of readRows(this.log, { from: 0 })) rows.push(row)
    return rows
  }

  /** Of the live states, which may have to be loaded first: `turns` lets the plant do that. */
  async liveHash(turns: () => Promise<void>): Promise<string> {
    const live = new PlantHash()
    for (const seat of this.#workers) {
      let isDone = false
      const hash = (seat as Taken<Worker>).it.stateHash().finally(() => (isDone = true))
      for (let round = 0; round < LIVE_HASH_ROUNDS_MAX && !isDone; round++) await turns()
      if (!isDone) throw new Violation('the states cannot be read')
      live.merge(await hash)
    }
    return live.hex()
  }

  #processOf(role: Role, slot: number): SimulatedProcess | undefined {
    if (role === 'worker') return this.#workers[slot]?.process
    return role === 'gateway' ? this.#gateways[slot]?.process : this.#journal?.process
  }

  #dutyOf(role: Role, slot: number): DutyCycle | undefined {
    if (role === 'worker') return this.#workers[slot]?.it
    if (role === 'journal') return this.#journal?.it
    const gateway = this.#gateways[slot]
    return gateway?.effects === undefined ? gateway?.door : joinDuties(gateway.door, gateway.effects)
  }

  #process(name: string): SimulatedProcess {
    return new SimulatedProcess(name, this.#meanwhile)
  }

  #fatal(process: SimulatedProcess): (error: unknown) => void {
    return (error) => {
      if (process.isDead) return
      if (process === this.#failing) this.kill('journal')
      else this.#failure ??= new Violation(`${process.name} gave up: ${messageOf(error)}`, { cause: error })
    }
  }

  async #startJournal(): Promise<void> {
    const { workers, framesMax, headsEveryRows } = this.config
    const process = this.#process('journal')
    const log = await openSimulatedLog(process.clock(this.clock), this.#disk, headsEveryRows)
    const end = this.#end(this.#term())
    const links = Array.from({ length: workers + 1 }, (_, slot) => ({
      slot,
      appends: process.consumer(new Consumer(this.#memory(appendsName(slot)), end)),
      answers: process.producer(new Producer(this.#memory(rejectionsName(slot)), end)),
      bulk: process.producer(new Producer(this.#memory(bulkName(slot)), end)),
    }))
    const it = new JournalServer({
      journal: log,
      links,
      clock: process.clock(this.clock),
      framesMax,
      bytesMax: 65_536,
      onFatal: this.#fatal(process),
      wake: () => {},
    })
    this.#journal = { process, it, log }
  }

  #startWorker(slot: number): void {
    const { workers, gateways, limits } = this.config
    const process = this.#process(`worker ${slot}`)
    const term = this.#term()
    const end = this.#end(term)
    const inbound = Array.from({ length: gateways }, (_, gateway) => ({
      commands: process.consumer(new Consumer(this.#memory(commandsName(gateway, slot)), end)),
      answers: process.producer(new Producer(this.#memory(answersName(slot, gateway)), end)),
    }))
    const others = Array.from({ length: workers }, (_, other) => other)
    const told = others.map((other) => ({
      commands: process.consumer(new Consumer(this.#memory(messagesName(other, slot)), end)),
      answers: process.producer(new Producer(this.#memory(repliesName(slot, other)), end)),
    }))
    const links = others.map((other) => ({
      commands: process.producer(new Producer(this.#memory(messagesName(slot, other)), end)),
      answers: process.consumer(new Consumer(this.#memory(repliesName(other, slot)), end)),
    }))
    const effects = {
      effects: process.producer(new Producer(this.#memory(effectsName(slot)), end)),
      outcomes: process.consumer(new Consumer(this.#memory(outcomesName(slot)), end)),
    }
    const journal = new JournalClient({
      appends: process.producer(new Producer(this.#memory(appendsName(slot)), end)),
      answers: process.consumer(new Consumer(this.#memory(rejectionsName(slot)), end)),
      bulk: process.consumer(new Consumer(this.#memory(bulkName(slot)), end)),
    })
    const it = new Worker({
      plant: MODEL,
      shards: this.placement.shardsOf(slot),
      shardCount: SHARDS,
      term,
      inbound: [...inbound, ...told],
      messages: { links, effects, own: slot, placement: this.placement, deviceLinks: gateways },
      journal,
      clock: process.clock(this.clock),
      limits,
      onLoaded: () => {},
      wake: () => {},
      onFatal: this.#fatal(process),
    })
    this.#workers[slot] = { process, it }
  }

  #startGateway(slot: number): void {
    const process = this.#process(`gateway ${slot}`)
    const term = this.#term()
    const end = this.#end(term)
    const channels = Array.from({ length: this.config.workers }, (_, worker) => ({
      commands: process.producer(new Producer(this.#memory(commandsName(slot, worker)), end)),
      answers: process.consumer(new Consumer(this.#memory(answersName(worker, slot)), end)),
    }))
    const clock = process.clock(this.clock)
    const door = new BusDoor({ plant: MODEL, channels, placement: this.placement, term, clock, wake: () => {} })
    const http = new HttpCommands({ door, clock, bodyBytesMax: HTTP_BODY_BYTES_MAX, ratePerSecond: 0, limits: HTTP_LIMITS })
    const effects = slot === EFFECTS_GATEWAY ? this.#effects(process, term) : undefined
    this.#gateways[slot] = { process, door, http, effects }
  }

  #effects(process: SimulatedProcess, term: number): EffectRunner {
    const end = this.#end(term)
    return new EffectRunner({
      channels: Array.from({ length: this.config.workers }, (_, worker) => ({
        effects: process.consumer(new Consumer(this.#memory(effectsName(worker)), end)),
        outcomes: process.producer(new Producer(this.#memory(outcomesName(worker)), end)),
      })),
      effects: MODEL.effects,
      targets: new Map(),
      limits: { timeoutMs: 1000, inFlightMax: 2, attemptsMax: 1000, retryMs: 10, retryMsMax: 40 },
      clock: process.clock(this.clock),
      random: new Prng(term),
      wake: () => {},
      park: () => {
        throw new Violation('an effect was parked')
      },
      parkedAs: () => undefined,
    })
  }

  #makeRings(): void {
    const { workers, gateways, capacityBytes, answerBytes, rejectionBytes } = this.config
    for (let slot = 0; slot <= workers; slot++) {
      for (let gateway = 0; gateway < gateways; gateway++) {
        this.#makeRing(commandsName(gateway, slot), capacityBytes)
        this.#makeRing(answersName(slot, gateway), answerBytes)
      }
      for (let other = 0; other < workers; other++) {
        this.#makeRing(messagesName(slot, other), capacityBytes)
        this.#makeRing(repliesName(other, slot), answerBytes)
      }
      this.#makeRing(effectsName(slot), EFFECT_RING_BYTES)
      this.#makeRing(outcomesName(slot), EFFECT_RING_BYTES)
      this.#makeRing(appendsName(slot), capacityBytes)
      this.#makeRing(rejectionsName(slot), rejectionBytes)
      this.#makeRing(bulkName(slot), capacityBytes)
    }
  }

  #makeRing(name: string, capacityBytes: number): void {
    const memory = new ArrayBuffer(channelBytes(capacityBytes))
    createChannel(memory, { capacityBytes, schemaHash: MODEL.schemaHash, name, producerPosition: this.config.firstPosition })
    this.#memories.set(name, memory)
  }

  #memory(name: string): ArrayBuffer {
    return this.#memories.get(name) as ArrayBuffer
  }

  #term(): number {
    return (this.#terms as TermCounter).next()
  }

  #end(term: number) {
    return { pid: 1, startTime: 0, term, schemaHash: MODEL.schemaHash, peer: NO_PEER }
  }
}
