/**
 * How many events a second does a plant make durable, end to end, and how long does one wait for its acknowledgement?
 *
 *   devices in the gateway ══▶ worker ══▶ journal ─▶ fsync ─▶ release ══▶ gateway      (the headline: four processes with the supervisor)
 *   this program ─ socket, msgpack ─▶ gateway ══▶ 2 workers ══▶ journal ─▶ fsync      (the stream door, as `millrace ingest` uses it)
 *   this program ─ POST, JSON lines ─▶ gateway …                                      (the HTTP door, 100 commands a request)
 *
 * Every command is one report of one of 10,000 devices, which take turns: four columns, numbered by its device, decided on the state and applied to it;
 * it becomes one event and is acknowledged by itself. Each way in is measured first as fast as it takes commands; then at half that rate on a fixed
 * schedule, each wait counted from when the command was due, so that a slow moment is not left out. For HTTP a wait is that of a request, and for
 * both doors it includes this program's own. A run counts when every command was done and the log has one row for each, those of the devices compared
 * value by value. Processor time per event is what the scheduler counted for each process while it was flooded: it says less about who else used
 * the machine than a rate does. The log stays in its active file: nothing is sealed meanwhile. The reference, in the same run and on the same file system, is a bare LMDB put of one row of 64 bytes, fsynced, one
 * behind the other: the floor for a single acknowledgement. Wants two cores.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { readGatewayDoors } from '#runtime/gateway-doors.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { PlantSession } from '#runtime/plant-session.js'
import { allowedCores } from '#shm/index.js'
import { benchMain } from './harness/bench-main.js'
import { compiledPath } from './harness/compiled.js'
import { type ByRole, FleetPlant, type FleetRun, WITHOUT_SEALING } from './harness/fleet-plant.js'
import { HttpLoad } from './harness/http-load.js'
import { putAndSync } from './harness/lmdb-put.js'
import { percentile } from './harness/samples.js'
import { StreamLoad } from './harness/stream-load.js'

export interface IngestBenchOptions {
  readonly sensors: number
  /** Of the headline; the flood is given so long to warm up, and so long to be measured. */
  readonly warmUpSeconds: number
  readonly fleetSeconds: number
  readonly entities: number
  readonly secondsEach: number
  readonly lmdbPuts: number
}

export const INGEST_FULL: IngestBenchOptions = {
  sensors: 10_000,
  warmUpSeconds: 3,
  fleetSeconds: 10,
  entities: 1000,
  secondsEach: 5,
  lmdbPuts: 500,
}
export const INGEST_SMOKE: IngestBenchOptions = {
  sensors: 500,
  warmUpSeconds: 0.1,
  fleetSeconds: 0.2,
  entities: 200,
  secondsEach: 0.2,
  lmdbPuts: 5,
}

export interface IngestBench {
  readonly bench: 'ingest'
  readonly eventsPerSecond: number
  /** At full load, from when the door took a command; milliseconds. */
  readonly ackP50Ms: number
  readonly ackP99Ms: number
  /** That the plant could use, and of which it was made. */
  readonly cores: number
  readonly processes: number
  readonly halfLoad: { readonly eventsPerSecond: number; readonly ackP50Ms: number; readonly ackP99Ms: number; readonly ackMaxMs: number }
  /** Processor time, all threads; the gateway's has the simulation of the devices in it. */
  readonly nsPerEvent: ByRole
  /** Found in the log of the headline, and compared. */
  readonly events: number
  readonly stream: DoorTimes
  readonly http: DoorTimes & { readonly commandsPerRequest: number }
  readonly reference: { readonly name: 'lmdb put + fsync'; readonly p50Ms: number; readonly p99Ms: number }
  readonly workers: number
  readonly commands: number
}

export interface DoorTimes {
  /** As fast as the door took them. */
  readonly commandsPerSecond: number
  /** The rate of the second part, and how long acknowledgements took there, milliseconds. */
  readonly pacedPerSecond: number
  readonly ackMs: { readonly p50: number; readonly p99: number; readonly max: number }
}

/** A way to send: resolves when all of `count` commands are acknowledged. */
export interface Load {
  /** Sends as fast as it goes for the time; answers how many commands were acknowledged by the end. */
  flood(seconds: number): Promise<number>
  /** Sends at the rate for the time; one wait per acknowledgement, in milliseconds from when it was due. */
  pace(perSecond: number, seconds: number): Promise<Float64Array>
  readonly sentCount: number
  close(): Promise<void>
}

const WORKERS = 2

/** Throws ERR_BENCH_FAILED when a command failed or the log does not have exactly what was sent. */
export async function measureIngest(options: IngestBenchOptions): Promise<IngestBench> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-ingest-'))
  const data = join(folder, 'data')
  try {
    const first = await putAndSync(join(folder, 'before'), options.lmdbPuts)
    const fleet = await measureFleet(join(folder, 'fleet'), options)
    const session = await PlantSession.start({
      dataDirectory: data,
      plantFile: compiledPath('harness/press-plant'),
      env: { MILLRACE_HTTP__PORT: '0', MILLRACE_WORKERS__COUNT: String(WORKERS) },
    })
    try {
      const stream = await StreamLoad.open(data, options.entities)
      const streamTimes = await measureDoor(stream, options.secondsEach)
      const http = new HttpLoad(readGatewayDoors(data)?.http ?? '', options.entities)
      const httpTimes = await measureDoor(http, options.secondsEach)
      const commands = stream.sentCount + http.sentCount
      await checkLog(data, commands)
      const puts = Float64Array.from([...first, ...(await putAndSync(join(folder, 'after'), options.lmdbPuts))])
      return {
        bench: 'ingest',
        ...fleet,
        stream: streamTimes,
        http: { ...httpTimes, commandsPerRequest: HttpLoad.commandsPerRequest },
        reference: { name: 'lmdb put + fsync', p50Ms: rounded(percentile(puts, 0.5)), p99Ms: rounded(percentile(puts, 0.99)) },
        workers: WORKERS,
        commands,
      }
    } finally {
      await session.close()
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** A report for people. */
export function describeIngest(result: IngestBench): string {
  const { stream, http, reference, workers, commands, halfLoad, nsPerEvent } = result
  const line = (name: string, { commandsPerSecond, pacedPerSecond, ackMs }: DoorTimes) =>
    `${name}: ${commandsPerSecond.toLocaleString('en')} commands/s; at ${pacedPerSecond.toLocaleString('en')}/s acknowledged after p50 ${ackMs.p50} ms, p99 ${ackMs.p99} ms, max ${ackMs.max} ms`
  const spent = Object.entries(nsPerEvent).map(([role, ns]) => `${role} ${ns}`)
  return [
    `${result.eventsPerSecond.toLocaleString('en')} events/s from devices in the gateway, acknowledged after p50 ${result.ackP50Ms} ms, p99 ${result.ackP99Ms} ms; ${result.processes} processes, ${result.cores} cores; ${result.events.toLocaleString('en')} events found in the log`,
    `at ${halfLoad.eventsPerSecond.toLocaleString('en')}/s acknowledged after p50 ${halfLoad.ackP50Ms} ms, p99 ${halfLoad.ackP99Ms} ms, max ${halfLoad.ackMaxMs} ms`,
    `ns of processor time per event: ${spent.join(', ')}`,
    line('stream door', stream),
    line(`HTTP, ${http.commandsPerRequest} a request`, http),
    `${commands.toLocaleString('en')} commands through ${workers} workers, each found in the log once`,
    `one LMDB put with fsync: p50 ${reference.p50Ms} ms, p99 ${reference.p99Ms} ms`,
  ].join('\n')
}

type FleetPart = Omit<IngestBench, 'bench' | 'stream' | 'http' | 'reference' | 'workers' | 'commands'>

/** The headline: devices in the gateway, one worker. */
async function measureFleet(data: string, { sensors, warmUpSeconds, fleetSeconds }: IngestBenchOptions): Promise<FleetPart> {
  const plant = await FleetPlant.start(data, WITHOUT_SEALING)
  let flood: FleetRun
  let paced: FleetRun
  try {
    await plant.run({ sensors, seconds: warmUpSeconds, perSecond: null })
    flood = await plant.run({ sensors, seconds: fleetSeconds, perSecond: null })
    paced = await plant.run({ sensors, seconds: fleetSeconds, perSecond: Math.max(1, Math.round(flood.eventsPerSecond / 2)) })
  } finally {
    await plant.close()
  }
  return {
    eventsPerSecond: flood.eventsPerSecond,
    ackP50Ms: rounded(flood.ackMs.p50),
    ackP99Ms: rounded(flood.ackMs.p99),
    cores: allowedCores().length,
    processes: plant.processCount,
    halfLoad: {
      eventsPerSecond: paced.eventsPerSecond,
      ackP50Ms: rounded(paced.ackMs.p50),
      ackP99Ms: rounded(paced.ackMs.p99),
      ackMaxMs: rounded(paced.ackMs.max),
    },
    nsPerEvent: flood.nsPerEvent,
    events: await plant.check(),
  }
}

async function measureDoor(load: Load, seconds: number): Promise<DoorTimes> {
  try {
    // What runs first pays for the compiler of every process on the path.
    await load.flood(seconds / 2)
    const startedMs = performance.now()
    const acked = await load.flood(seconds)
    const commandsPerSecond = Math.round(acked / ((performance.now() - startedMs) / 1000))
    const pacedPerSecond = Math.max(1, Math.round(commandsPerSecond / 2))
    const waits = await load.pace(pacedPerSecond, seconds)
    const at = (share: number) => rounded(percentile(waits, share))
    return { commandsPerSecond, pacedPerSecond, ackMs: { p50: at(0.5), p99: at(0.99), max: at(1) } }
  } finally {
    await load.close()
  }
}

async function checkLog(data: string, commands: number): Promise<void> {
  const access = await JournalAccess.open(data)
  try {
    const { endPosition } = await access.summary()
    if (endPosition === commands) return
    throw new MillraceError('ERR_BENCH_FAILED', {
      fact: 'the log has another number of rows than commands were acknowledged',
      action: 'operator',
      values: { commands, rows: endPosition },
    })
  } finally {
    await access.close()
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}

benchMain(import.meta.url, { name: 'ingest', full: INGEST_FULL, smoke: INGEST_SMOKE, measure: measureIngest, describe: describeIngest })
