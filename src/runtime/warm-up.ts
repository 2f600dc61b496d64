import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { Worker } from '#actors/worker.js'
import { systemClock } from '#base/clock.js'
import { Prng } from '#base/prng.js'
import { channelBytes, createChannel, NO_PEER } from '#bus/index.js'
import type { PlantModel } from '#entity/index.js'
import { BusDoor } from '#ingest/bus-door.js'
import { JournalServer } from '#serving/journal-server.js'
import { planChannels } from './channel-plan.js'
import { MADE_UP_SOURCE, makeUpData, makeUpLog, type MadeUpLog } from './made-up-log.js'
import { type BusAccess, wireGateway, wireJournal, wireWorker } from './wiring.js'

export interface WarmUpOptions {
  /** Asked again and again: the process has something better to do, for good. */
  readonly isOver: () => boolean
  /** Processor time of the process that it may take in all, milliseconds. */
  readonly cpuMsMax: number
}

const SHAPE = { workers: 1, gateways: 1 }
const SIZES = { capacityBytes: 1 << 18, answerCapacityBytes: 1 << 16 }
/** Of work without a rest, and the rest behind it at least: others need the processor more. */
const SLICE_MS = 3
/** Commands to one entity at a time, all done before. */
const COMMANDS_EACH = 4

/**
 * Runs what a worker does when it takes a seat, on a log that is made up, so that the code is compiled by the time that counts: read for the first time it
 * takes many times as long. A worker loads the entities, again and again, and answers commands that were all done before: so `decide` is never called.
 * Works in short slices and ends early when something goes wrong, which only means less speed later.
 */
export async function warmUp(plant: PlantModel, { isOver, cpuMsMax }: WarmUpOptions): Promise<void> {
  const startCpu = process.cpuUsage()
  const isDone = (): boolean => {
    const { user, system } = process.cpuUsage(startCpu)
    return isOver() || (user + system) / 1000 >= cpuMsMax
  }
  const log = await makeUpLog(plant, new Prng('warm-up'))
  if (log.entities.length === 0) return
  const rig = new WarmUpRig(plant, log)
  const rest = resting()
  while (!isDone() && !rig.hasFailed) {
    rig.startWorker()
    for (let isSent = false; !isDone() && !rig.hasFailed; await rest()) {
      rig.step()
      if (!rig.isSettled) continue
      if (isSent) break
      rig.sendAgain()
      isSent = true
    }
  }
}

/** Lets the event loop turn, and the processor go when the slice is over: for longer where others want it, which shows in how long the slice took. */
function resting(): () => Promise<unknown> {
  let sliceStartMs = performance.now()
  return async () => {
    const tookMs = performance.now() - sliceStartMs
    if (tookMs < SLICE_MS) return nextTurn()
    await delay(tookMs)
    sliceStartMs = performance.now()
  }
}

/** A journal, a door and one worker after the other in this process, over rings in its own memory. */
class WarmUpRig {
  hasFailed = false
  readonly #plant: PlantModel
  readonly #log: MadeUpLog
  readonly #access: BusAccess
  readonly #server: JournalServer
  readonly #door: BusDoor
  readonly #prng = new Prng('commands')
  #worker: Worker | undefined
  #term = 1

  constructor(plant: PlantModel, log: MadeUpLog) {
    this.#plant = plant
    this.#log = log
    this.#access = ownBus(plant.schemaHash)
    this.#server = new JournalServer({
      journal: log.journal,
      links: wireJournal(this.#access, SHAPE, this.#holder()),
      clock: systemClock,
      framesMax: 1024,
      bytesMax: SIZES.capacityBytes,
      onFatal: () => this.#fail(),
      wake: () => {},
    })
    this.#door = new BusDoor({
      plant,
      channels: wireGateway(this.#access, 0, SHAPE, this.#holder()),
      shardCount: log.journal.shardCount,
      term: this.#term,
      clock: systemClock,
      wake: () => {},
    })
  }

  get isSettled(): boolean {
    return this.#worker?.isIdle === true && this.#door.inFlightCount === 0 && this.#server.isIdle
  }

  startWorker(): void {
    const { shardCount } = this.#log.journal
    const holder = this.#holder()
    const { inbound, journal } = wireWorker(this.#access, 0, SHAPE, holder)
    this.#worker = new Worker({
      plant: this.#plant,
      shards: Array.from({ length: shardCount }, (_, shard) => shard),
      shardCount,
      term: holder.term,
      inbound,
      journal,
      clock: systemClock,
      limits: { liveEntitiesMax: 100_000, passivateAfterMs: 600_000, snapshotEvery: 1_000_000, commandsPerTurn: 1024, inFlightMax: 1024 },
      onLoaded: () => {},
      wake: () => {},
      onFatal: () => this.#fail(),
    })
  }

  step(): void {
    this.#door.doWork()
    this.#worker?.doWork()
    this.#server.doWork()
  }

  /** Commands that the entities have done: they answer what they answered then. */
  sendAgain(): void {
    for (const { id, model, version } of this.#log.entities) {
      if (model.commandNames.length === 0) continue
      const commandIndex = this.#prng.below(model.commandNames.length)
      const command = model.commandNames[commandIndex] as string
      const data = makeUpData(model.commandCodec(commandIndex).fields, this.#prng)
      for (let sequence = Math.max(1, version - COMMANDS_EACH + 1); sequence <= version; sequence++)
        this.#door.offer({ source: MADE_UP_SOURCE, sequence, entity: id, command, data, at: undefined }, 'always', () => {})
    }
  }

  #holder(): { readonly pid: number; readonly startTime: number; readonly term: number; readonly schemaHash: number } {
    return { pid: process.pid, startTime: 0, term: ++this.#term, schemaHash: this.#plant.schemaHash }
  }

  #fail(): void {
    this.hasFailed = true
  }
}

/** Plain memory, as mappings give it. */
function ownBus(schemaHash: number): BusAccess {
  const memories = new Map<string, ArrayBuffer>()
  for (const { name, capacityBytes } of planChannels(SHAPE, SIZES)) {
    const buffer = new ArrayBuffer(channelBytes(capacityBytes))
    createChannel(buffer, { capacityBytes, schemaHash, name, hasChecksums: true })
    memories.set(name, buffer)
  }
  return { memory: (channel) => memories.get(channel) as ArrayBuffer, peer: () => NO_PEER }
}
