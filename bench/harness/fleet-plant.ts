import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { callControl } from '#processes/control-client.js'
import { dataPaths, openLog } from '#runtime/data-directory.js'
import { PlantSession } from '#runtime/plant-session.js'
import { compiledPath } from './compiled.js'
import { cpuNsOf, residentMbOf } from './process-cpu.js'
import { FLEET, FLEET_SOCKET, type FleetOrder, type FleetReport } from './sensor-fleet.js'
import { checkSensorLog } from './sensor-log.js'

const ROLES = ['supervisor', 'gateway', 'worker', 'journal'] as const
export type FleetRole = (typeof ROLES)[number]
export type ByRole = Readonly<Record<FleetRole, number>>

/** What the measured processes did in one order. */
export interface FleetRun extends FleetReport {
  readonly eventsPerSecond: number
  /** Processor time of each process, all its threads, per command sent. */
  readonly nsPerEvent: ByRole
}

const ORDER_MS_MAX = 3_600_000

/** Holds the log in its active file for as long as a benchmark takes: sealing, which rewrites it in the background, is another question. */
export const WITHOUT_SEALING = { MILLRACE_JOURNAL__SEGMENT_ROWS_MAX: '100000000', MILLRACE_JOURNAL__SEGMENT_BYTES_MAX: '12GiB' }

/** A plant of four processes, one of each role and no spare, whose gateway simulates devices. */
export class FleetPlant {
  readonly #data: string
  readonly #session: PlantSession
  readonly #pids: ByRole
  #sent = 0

  private constructor(data: string, session: PlantSession, pids: ByRole) {
    this.#data = data
    this.#session = session
    this.#pids = pids
  }

  /** `plant`: the compiled module of a plant that has the fleet among its sources. */
  static async start(data: string, env: Readonly<Record<string, string>> = {}, plant = 'harness/sensor-plant'): Promise<FleetPlant> {
    const session = await PlantSession.start({
      dataDirectory: data,
      plantFile: compiledPath(plant),
      env: { MILLRACE_HTTP__PORT: '0', MILLRACE_WORKERS__COUNT: '1', MILLRACE_PROCESSES__SPARES: '0', ...env },
    })
    const { processes } = await session.status()
    const pidOf = (role: FleetRole) => processes.find((one) => one.role === role)?.pid ?? 0
    return new FleetPlant(data, session, byRole(pidOf))
  }

  get processCount(): number {
    return ROLES.length
  }

  async run(order: FleetOrder): Promise<FleetRun> {
    const before = byRole((role) => cpuNsOf(this.#pids[role]))
    const socket = join(dataPaths(this.#data).ingest, FLEET, FLEET_SOCKET)
    const report = (await callControl(socket, 'run', order, ORDER_MS_MAX)) as FleetReport
    this.#sent += report.sent
    return {
      ...report,
      eventsPerSecond: Math.round((report.sent / report.elapsedMs) * 1000),
      nsPerEvent: byRole((role) => Math.round((cpuNsOf(this.#pids[role]) - before[role]) / Math.max(1, report.sent))),
    }
  }

  /** What the worker has counted. */
  async workerCounts(): Promise<{ readonly activations: number; readonly passivations: number }> {
    return (await this.#session.call('worker', 0, 'counters')) as { readonly activations: number; readonly passivations: number }
  }

  residentMb(): ByRole {
    return byRole((role) => residentMbOf(this.#pids[role]))
  }

  /** Stops the plant. */
  async close(): Promise<void> {
    await this.#session.close()
  }

  /** After `close`: throws ERR_BENCH_FAILED unless the log has exactly what was sent, each row as its sensor reported it. Answers how many rows. */
  async check(): Promise<number> {
    const journal = await openLog(this.#data, { isReadOnly: true })
    try {
      const rows = await checkSensorLog(journal)
      if (rows === this.#sent) return rows
      const fact = 'the log has another number of rows than commands were acknowledged'
      throw new MillraceError('ERR_BENCH_FAILED', { fact, action: 'operator', values: { commands: this.#sent, rows } })
    } finally {
      await journal.close()
    }
  }
}

function byRole(of: (role: FleetRole) => number): ByRole {
  return { supervisor: of('supervisor'), gateway: of('gateway'), worker: of('worker'), journal: of('journal') }
}
