/**
 * How many commands a second does a plant take, end to end and fsynced, and how long does one wait for its acknowledgement?
 *
 *   this program ─ socket, msgpack ─▶ gateway ══▶ 2 workers ══▶ journal ─▶ fsync      (the stream door, as `millrace ingest` uses it)
 *   this program ─ POST, JSON lines ─▶ gateway …                                      (the HTTP door, 100 commands a request)
 *
 * First as fast as the door takes them, which gives commands a second; then at half that rate on a fixed schedule, each wait counted from
 * when the command was due, so that a slow moment is not left out. For HTTP a wait is that of a request. Waiting times include this program's
 * own. All processes and this one share the machine. A run counts when every command was done and the log has one row for each. The
 * reference, in the same run and on the same file system, is a bare LMDB put of one row of 64 bytes, fsynced, one behind the other: the
 * floor for a single acknowledgement. Wants four cores; with two, processes take turns, and it says how many there were.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { readGatewayDoors } from '#runtime/gateway-doors.js'
import { JournalAccess } from '#runtime/journal-access.js'
import { PlantSession } from '#runtime/plant-session.js'
import { benchMain } from './harness/bench-main.js'
import { compiledPath } from './harness/compiled.js'
import { HttpLoad } from './harness/http-load.js'
import { putAndSync } from './harness/lmdb-put.js'
import { percentile } from './harness/samples.js'
import { StreamLoad } from './harness/stream-load.js'

export interface IngestBenchOptions {
  readonly entities: number
  readonly secondsEach: number
  readonly lmdbPuts: number
}

export const INGEST_FULL: IngestBenchOptions = { entities: 1000, secondsEach: 5, lmdbPuts: 500 }
export const INGEST_SMOKE: IngestBenchOptions = { entities: 200, secondsEach: 0.2, lmdbPuts: 5 }

export interface IngestBench {
  readonly bench: 'ingest'
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
export function describeIngest({ stream, http, reference, workers, commands }: IngestBench): string {
  const line = (name: string, { commandsPerSecond, pacedPerSecond, ackMs }: DoorTimes) =>
    `${name}: ${commandsPerSecond.toLocaleString('en')} commands/s; at ${pacedPerSecond.toLocaleString('en')}/s acknowledged after p50 ${ackMs.p50} ms, p99 ${ackMs.p99} ms, max ${ackMs.max} ms`
  return [
    line('stream door', stream),
    line(`HTTP, ${http.commandsPerRequest} a request`, http),
    `${commands.toLocaleString('en')} commands through ${workers} workers, each found in the log once`,
    `one LMDB put with fsync: p50 ${reference.p50Ms} ms, p99 ${reference.p99Ms} ms`,
  ].join('\n')
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
