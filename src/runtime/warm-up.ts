import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises'
import { Worker } from '#actors/worker.js'
import { systemClock } from '#base/clock.js'
import { Prng } from '#base/prng.js'
import { channelBytes, createChannel, NO_PEER } from '#bus/index.js'
import { defineEntity, f64, i32, label, PlantModel } from '#entity/index.js'
import { BusDoor } from '#ingest/bus-door.js'
import { JournalServer } from '#serving/journal-server.js'
import { Placement } from '#shards/placement.js'
import { planChannels } from './channel-plan.js'
import { MADE_UP_SOURCE, type MadeUpEntity, makeUpData, makeUpLog, type MadeUpLog } from './made-up-log.js'
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
/** The same, new ones; and how often in one round. */
const NEW_COMMANDS_EACH = 16
const NEW_COMMANDS_TIMES = 8
const OTHER_SOURCE = 'made-up, too'

/** Decides on new commands as the plant's own types would, which must not be asked. */
const StandIn = defineEntity({
  name: 'stand-in',
  events: { Measured: { value: f64(), count: i32(), by: label() }, Noted: { count: i32() } },
  commands: { measure: { value: f64(), by: label() }, note: { count: i32() } },
  initial: () => ({ value: 0, count: 0, by: '' }),
  decide: {
    measure(state, { value, by }, { emit, refuse }) {
      if (value < 0) return refuse('BELOW_ZERO', { value })
      emit.Measured({ value, count: state.count + 1, by })
      return undefined
    },
    note(state, { count }, { emit }) {
      emit.Noted({ count })
      if (count > state.count) emit.Noted({ count: state.count })
      return { count }
    },
  },
  apply: {
    Measured(state, { value, count, by }) {
      state.value = value
      state.count = count
      state.by = by
    },
    Noted(state) {
      state.count++
    },
  },
})

/**
 * Runs what a worker does when it takes a seat, on a log that is made up, so that the code is compiled by the time that counts: read for the first time it
 * takes many times as long. A worker loads the entities, again and again, and answers commands that were all done before: so no `decide` of the plant is called; new
 * commands go to a type that stands in, in a plant of its own.
 * Works in short slices and ends early when something goes wrong, which only means less speed later.
 */
export async function warmUp(plant: PlantModel, { isOver, cpuMsMax }: WarmUpOptions): Promise<void> {
  const startCpu = process.cpuUsage()
  const isDone = (): boolean => {
    const { user, system } = process.cpuUsage(startCpu)
    return isOver() || (user + system) / 1000 >= cpuMsMax
  }
  const rest = resting()
  const other = new PlantModel([StandIn])
  const logs = await makeUpLogs(plant, other, async () => {
    await rest()
    if (isDone()) throw OVER
  })
  if (logs === undefined) return
  const standIn = new WarmUpRig(other, logs.ofStandIn)
  const rig = logs.ofPlant.entities.length === 0 ? undefined : new WarmUpRig(plant, logs.ofPlant)
  const run = async (one: WarmUpRig, send: () => void, times: number): Promise<void> => {
    one.startWorker()
    // As in a recovery, where commands wait for who is to execute them.
    send()
    for (let left = times; !isDone() && !one.hasFailed; await rest()) {
      one.step()
      if (!one.isSettled) continue
      if (left-- === 0) break
      send()
    }
  }
  while (!isDone() && !standIn.hasFailed && rig?.hasFailed !== true) {
    if (rig !== undefined) await run(rig, () => rig.sendAgain(), 1)
    await run(standIn, () => standIn.sendNew(), NEW_COMMANDS_TIMES)
  }
}

const OVER = new Error('there is something better to do')

/** Undefined when `rest` has ended it: whoever takes a seat then must not wait for it, nor share the processor with it. */
async function makeUpLogs(plant: PlantModel, other: PlantModel, rest: () => Promise<void>) {
  const prng = new Prng('warm-up')
  try {
    return { ofPlant: await makeUpLog(plant, prng, { rest }), ofStandIn: await makeUpLog(other, prng, { crowd: 0, rest }) }
  } catch (error) {
    if (error === OVER) return undefined
    throw error
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
  /** Of the new ones, by source. */
  readonly #sentUpTo = [0, 0]
  #sentTimes = 0
  #worker: Worker | undefined
  #term = 1

  constructor(plant: PlantModel, log: MadeUpLog) {
    this.#plant = plant
    this.#log = log
    this.#access = ownBus(plant.schemaHash, log.journal.shardCount)
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
      placement: this.#access.placement,
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
      shards: this.#access.placement.shardsOf(0),
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
    for (const entity of this.#log.entities) this.#send(entity, Math.max(1, entity.version - COMMANDS_EACH + 1), entity.version)
  }

  /** Commands that none of them has seen, of two sources in turn. */
  sendNew(): void {
    const turn = this.#sentTimes++ % 2
    const first = (this.#sentUpTo[turn] as number) + 1
    const last = (this.#sentUpTo[turn] = first - 1 + NEW_COMMANDS_EACH)
    const source = turn === 0 ? MADE_UP_SOURCE : OTHER_SOURCE
    for (const entity of this.#log.entities) this.#send(entity, entity.version + first, entity.version + last, source)
  }

  #send({ id, model }: MadeUpEntity, first: number, last: number, source = MADE_UP_SOURCE): void {
    if (model.commandNames.length === 0) return
    const commandIndex = this.#prng.below(model.commandNames.length)
    const command = model.commandNames[commandIndex] as string
    const data = makeUpData(model.commandCodec(commandIndex).fields, this.#prng)
    for (let sequence = first; sequence <= last; sequence++)
      this.#door.offer({ source, sequence, entity: id, command, data, at: undefined }, 'always', () => {})
  }

  #holder(): { readonly pid: number; readonly startTime: number; readonly term: number; readonly schemaHash: number } {
    return { pid: process.pid, startTime: 0, term: ++this.#term, schemaHash: this.#plant.schemaHash }
  }

  #fail(): void {
    this.hasFailed = true
  }
}

/** Plain memory, as mappings give it. */
function ownBus(schemaHash: number, shardCount: number): BusAccess {
  const memories = new Map<string, ArrayBuffer>()
  for (const { name, capacityBytes } of planChannels(SHAPE, SIZES)) {
    const buffer = new ArrayBuffer(channelBytes(capacityBytes))
    createChannel(buffer, { capacityBytes, schemaHash, name, hasChecksums: true })
    memories.set(name, buffer)
  }
  return {
    memory: (channel) => memories.get(channel) as ArrayBuffer,
    peer: () => NO_PEER,
    placement: Placement.even(shardCount, SHAPE.workers),
  }
}
