/**
 * What does sleeping cost: how long does a message of 32 bytes and its answer take between two processes that sleep while they wait, and what
 * does a process use while it sleeps?
 *
 *   initiator (core A) ══ ping ══▶ responder (core B)      both ends park; a publish rings the FIFO of the one that sleeps
 *   initiator          ◀══ pong ══ responder
 *
 * TypeScript at both ends through openChannel, idle strategy `park`. The reference is reference/parked-ping-pong.c: the same rings, parked
 * words and FIFOs, with epoll_wait instead of Node's event loop. Both are pinned to the same two cores, and are measured in turns with each other
 * and with the rivals, which are pinned there too: process.send, a MessagePort between two threads, a Unix socket. Every trip is timed by
 * itself and the next one begins when it has ended. On two cores most of a trip is the machine's own way out of sleep, which differs from
 * machine to machine; `oneCore` is the same with both processes on one core, where nothing but the work and the switching counts. Each flood is one way, its
 * order checked at the other end. Then a consumer of 32 silent channels, and one that drains a flood while timers and a socket
 * go on. Needs two cores for less than a minute.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { join } from 'node:path'
import type { IdleStrategy } from '#bus/index.js'
import { BUS_RTT_FULL, measureBusRtt } from './bus-rtt.js'
import { benchMain } from './harness/bench-main.js'
import { type CProgram, compileC } from './harness/c-program.js'
import type { EchoOrder, EchoReport, FloodReport } from './harness/echo-initiator.js'
import type { EchoSetup, Way } from './harness/echo-responder.js'
import { ringFolder, twoCores } from './harness/ground.js'
import { MeasuringProcess } from './harness/measuring-process.js'
import { type ConsumerOrder, type ConsumerSetup, type DrainReport, echoSocketPath, type IdleReport } from './harness/parked-consumer.js'
import { median } from './harness/samples.js'
import { describeBusWake, isBusWakeGood, RIVAL_NAMES, type BusWake, type RivalFigures } from './harness/wake-report.js'

interface BusWakeOptions {
  /** How often ours, the reference and the rivals are measured in turns. */
  readonly rounds: number
  readonly trips: number
  readonly warmUpTrips: number
  readonly floodRounds: number
  /** Messages of a rival's flood and of ours. */
  readonly floodMessages: number
  readonly busFloodMessages: number
  readonly spinRounds: number
  readonly idleMs: number
  readonly drainMs: number
}

const BUS_WAKE_FULL: BusWakeOptions = {
  rounds: 5,
  trips: 4_000,
  warmUpTrips: 3_000,
  floodRounds: 3,
  floodMessages: 40_000,
  busFloodMessages: 2_000_000,
  spinRounds: 5,
  idleMs: 5_000,
  drainMs: 4_000,
}

const BUS_WAKE_SMOKE: BusWakeOptions = {
  rounds: 1,
  trips: 300,
  warmUpTrips: 100,
  floodRounds: 1,
  floodMessages: 2_000,
  busFloodMessages: 50_000,
  spinRounds: 1,
  idleMs: 300,
  drainMs: 300,
}

const IDLE_CHANNELS = 32
const FLOODS = [
  { bytes: 32, batch: 1 },
  { bytes: 32, batch: 64 },
  { bytes: 1024, batch: 1 },
  { bytes: 1024, batch: 64 },
] as const
/** Rivals that can hand over many messages at once do. */
const RIVAL_BATCH = 64
const SPIN_BATCHES = 40
/** For the trips of one way in one round, where other work slows them down. */
const ECHO_MS_MAX = 600
const REFERENCE_MS_MAX = 30_000

/**
 * Runs the measurement in processes of its own, which are gone when it resolves. Throws ERR_BENCH_CORES where this process may use one core
 * only, ERR_BENCH_FAILED when a process ended or a message was lost, doubled or out of order.
 */
async function measureBusWake(options: BusWakeOptions): Promise<BusWake> {
  const [firstCore, secondCore] = twoCores()
  const folder = ringFolder('wake')
  const reference = await compileC('parked-ping-pong.c')
  const bench = new WakeBench(folder, options, [firstCore, secondCore])
  try {
    const spin = await measureBusRtt({ ...BUS_RTT_FULL, rounds: options.spinRounds, batches: SPIN_BATCHES, withReference: false })
    const trips = await bench.trips(reference)
    const floods = await bench.floods()
    const idle = await bench.idle()
    const drain = await bench.drain()
    return summary({
      spinP50Us: spin.p50Ns / 1000,
      trips,
      floods,
      idle,
      drain,
      referenceMissing: typeof reference === 'string' ? reference : undefined,
    })
  } finally {
    bench.end()
    if (typeof reference !== 'string') reference.remove()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface TwinReport {
  readonly p50Us: number
  readonly p99Us: number
}

interface Trips {
  readonly ours: readonly EchoReport[]
  readonly oursOnOneCore: readonly EchoReport[]
  readonly twin: readonly TwinReport[]
  readonly twinOnOneCore: readonly TwinReport[]
  readonly rivals: ReadonlyMap<Way, readonly EchoReport[]>
}

interface Found {
  readonly spinP50Us: number
  readonly trips: Trips
  /** Messages per second, by way, bytes and batch. */
  readonly floods: ReadonlyMap<string, readonly number[]>
  readonly idle: IdleReport
  readonly drain: DrainReport
  readonly referenceMissing: string | undefined
}

class WakeBench {
  readonly #folder: string
  readonly #options: BusWakeOptions
  readonly #cores: readonly [number, number]
  readonly #processes: { kill(): void }[] = []
  readonly #initiators = new Map<string, MeasuringProcess<EchoSetup, EchoOrder, EchoReport | FloodReport>>()

  constructor(folder: string, options: BusWakeOptions, cores: readonly [number, number]) {
    this.#folder = folder
    this.#options = options
    this.#cores = cores
  }

  async trips(reference: CProgram | string): Promise<Trips> {
    const { warmUpTrips, trips, rounds } = this.#options
    const [apart, together] = [this.#cores, [this.#cores[0], this.#cores[0]]] as const
    const rivals = new Map<Way, EchoReport[]>(RIVAL_NAMES.map((name) => [name, []]))
    const found = {
      ours: [] as EchoReport[],
      oursOnOneCore: [] as EchoReport[],
      twin: [] as TwinReport[],
      twinOnOneCore: [] as TwinReport[],
      rivals,
    }
    const echo = (way: Way, cores: readonly [number, number]) =>
      this.#initiator(way, 'park').order({ order: 'echo', cores, warmUpTrips, trips, msMax: ECHO_MS_MAX }) as Promise<EchoReport>
    for (let round = 0; round < rounds; round++) {
      found.ours.push(await echo('bus', apart))
      if (typeof reference !== 'string') found.twin.push(await this.#twin(reference, apart))
      found.oursOnOneCore.push(await echo('bus', together))
      if (typeof reference !== 'string') found.twinOnOneCore.push(await this.#twin(reference, together))
      for (const [way, reports] of rivals) reports.push(await echo(way, apart))
    }
    return found
  }

  async floods(): Promise<Map<string, number[]>> {
    const { floodRounds, floodMessages, busFloodMessages } = this.#options
    const found = new Map<string, number[]>()
    const flood = async (way: Way, strategy: IdleStrategy, order: Omit<Extract<EchoOrder, { order: 'flood' }>, 'order'>) => {
      const report = (await this.#initiator(way, strategy).order({ order: 'flood', ...order })) as FloodReport
      const key = floodKey(way, order.bytes, order.batch)
      found.set(key, [...(found.get(key) ?? []), report.messagesPerSecond])
    }
    for (let round = 0; round < floodRounds; round++) {
      for (const shape of FLOODS) await flood('bus', 'adaptive', { ...shape, count: busFloodMessages })
      for (const way of RIVAL_NAMES)
        for (const bytes of [32, 1024]) await flood(way, 'park', { bytes, batch: RIVAL_BATCH, count: floodMessages })
    }
    return found
  }

  async idle(): Promise<IdleReport> {
    const consumer = this.#consumer('idle')
    return (await consumer.order({ order: 'idle', channels: IDLE_CHANNELS, ms: this.#options.idleMs })) as IdleReport
  }

  async drain(): Promise<DrainReport> {
    const consumer = this.#consumer('drain')
    const drained = consumer.order({ order: 'drain', ms: this.#options.drainMs }) as Promise<DrainReport>
    const stopAsking = keepAsking(echoSocketPath(join(this.#folder, 'drain')))
    return drained.finally(stopAsking)
  }

  end(): void {
    for (const process of this.#processes) process.kill()
  }

  /** Started when it is first needed and kept: the same code, as warm as it gets, for every round. */
  #initiator(way: Way, strategy: IdleStrategy): MeasuringProcess<EchoSetup, EchoOrder, EchoReport | FloodReport> {
    const name = `${way}.${strategy}`
    const existing = this.#initiators.get(name)
    if (existing !== undefined) return existing
    const initiator = new MeasuringProcess<EchoSetup, EchoOrder, EchoReport | FloodReport>('harness/echo-initiator', {
      way,
      folder: this.#subfolder(name),
      strategy,
    })
    this.#initiators.set(name, initiator)
    this.#processes.push(initiator)
    return initiator
  }

  #consumer(name: string): MeasuringProcess<ConsumerSetup, ConsumerOrder, IdleReport | DrainReport> {
    const setup = { folder: this.#subfolder(name) }
    const consumer = new MeasuringProcess<ConsumerSetup, ConsumerOrder, IdleReport | DrainReport>('harness/parked-consumer', setup)
    this.#processes.push(consumer)
    return consumer
  }

  async #twin(program: CProgram, cores: readonly [number, number]): Promise<TwinReport> {
    const folder = mkdtempSync(join(this.#folder, 'twin-'))
    return (await program.run([...cores, this.#options.trips, folder], REFERENCE_MS_MAX)) as TwinReport
  }

  #subfolder(name: string): string {
    const folder = join(this.#folder, name)
    mkdirSync(folder, { mode: 0o700 })
    return folder
  }
}

/** A client that asks a socket again whenever it has its answer, from when there is one. The answer ends it. */
function keepAsking(path: string): () => void {
  let isEnded = false
  const question = Buffer.alloc(64)
  const connect = () => {
    if (isEnded) return
    const socket = createConnection(path, () => socket.write(question))
    socket.on('data', () => (isEnded ? socket.destroy() : socket.write(question)))
    socket.on('error', () => setTimeout(connect, 20))
  }
  connect()
  return () => {
    isEnded = true
  }
}

function floodKey(way: Way, bytes: number, batch: number): string {
  return `${way} ${bytes} ${batch}`
}

function summary({ spinP50Us, trips, floods, idle, drain, referenceMissing }: Found): BusWake {
  const middle = <Report>(reports: readonly Report[], pick: (report: Report) => number) => rounded(median(reports.map(pick)), 100)
  const ratioOf = (ours: number, theirs: number | null) => (theirs === null ? null : rounded(ours / theirs, 100))
  const [p50Us, p99Us] = [middle(trips.ours, (report) => report.p50Us), middle(trips.ours, (report) => report.p99Us)]
  const hasTwin = trips.twin.length > 0
  const twinP50Us = hasTwin ? middle(trips.twin, (report) => report.p50Us) : null
  const twinOnOneCoreUs = hasTwin ? middle(trips.twinOnOneCore, (report) => report.p50Us) : null
  const onOneCoreUs = middle(trips.oursOnOneCore, (report) => report.p50Us)
  const perSecond = (way: Way, bytes: number, batch: number) => rounded(median(floods.get(floodKey(way, bytes, batch)) ?? []), 1)
  const rivals = RIVAL_NAMES.map((name): RivalFigures => {
    const reports = trips.rivals.get(name) ?? []
    const rivalP50Us = middle(reports, (report) => report.p50Us)
    return {
      name,
      p50Us: rivalP50Us,
      p99Us: middle(reports, (report) => report.p99Us),
      messagesPerSecond32: perSecond(name, 32, RIVAL_BATCH),
      messagesPerSecond1024: perSecond(name, 1024, RIVAL_BATCH),
      timesOursSpinning: rounded(rivalP50Us / spinP50Us, 10),
      timesOursParked: rounded(rivalP50Us / p50Us, 100),
    }
  })
  return {
    bench: 'bus-wake',
    p50Us,
    p99Us,
    reference: twinP50Us === null ? null : { name: 'c-twin-parked', p50Us: twinP50Us, p99Us: middle(trips.twin, (report) => report.p99Us) },
    ...(referenceMissing === undefined ? {} : { referenceMissing }),
    ratio: ratioOf(p50Us, twinP50Us),
    parksPerTrip: middle(trips.ours, (report) => report.parksPerTrip ?? 0),
    oneCore: {
      p50Us: onOneCoreUs,
      p99Us: middle(trips.oursOnOneCore, (report) => report.p99Us),
      referenceP50Us: twinOnOneCoreUs,
      ratio: ratioOf(onOneCoreUs, twinOnOneCoreUs),
    },
    spinP50Us: rounded(spinP50Us, 1000),
    idleChannels: IDLE_CHANNELS,
    idleCpuPercent: rounded(idle.cpuPercent, 1000),
    loopDelayP99Ms: rounded(drain.loopDelayP99Ms, 100),
    loopDelayMaxMs: rounded(drain.loopDelayMaxMs, 100),
    draining: {
      frames: rounded(drain.framesPerSecond, 1),
      timers: rounded(drain.timersPerSecond, 1),
      echoes: rounded(drain.echoesPerSecond, 1),
    },
    throughput: FLOODS.map((shape) => ({ ...shape, messagesPerSecond: perSecond('bus', shape.bytes, shape.batch) })),
    rivals,
    rounds: trips.ours.length,
  }
}

function rounded(value: number, parts: number): number {
  return Math.round(value * parts) / parts
}

benchMain(import.meta.url, {
  name: 'bus-wake',
  full: BUS_WAKE_FULL,
  smoke: BUS_WAKE_SMOKE,
  measure: measureBusWake,
  describe: describeBusWake,
  isGood: isBusWakeGood,
})
