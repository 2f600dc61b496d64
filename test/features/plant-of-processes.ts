import { systemClock } from '#base/clock.js'
import { DiskPressure } from '#drills/disk-pressure.js'
import type { StreamDoorClient } from '#ingest/stream-client.js'
import { PlantModel } from '#entity/index.js'
import { connectDoor } from '#runtime/door-access.js'
import { readGatewayDoors } from '#runtime/gateway-doors.js'
import { PlantSession, WITHOUT_SPARES } from '#runtime/plant-session.js'
import { reserveOf, SessionUnderTest } from '#runtime/session-under-test.js'
import { processStartTime } from '#shm/index.js'
import { PlantFolder } from '../apps/plant-folder.js'
import { run, type Said } from '../apps/program-under-test.js'
import { Counter } from '../faults/counter.js'
import { type MachinesOptions, PlantAtWork } from './plant-at-work.js'

export interface ProcessesOptions {
  /** As many as an operator has asked for; 2 unless said otherwise. */
  readonly workers?: number
  /** The plant's module; counters unless said otherwise. */
  readonly plantText?: string
  /** The disk is to be filled while the plant runs. */
  readonly canDiskFill?: boolean
  readonly env?: Readonly<Record<string, string>>
  /** What is to be in its folder before it starts. */
  readonly prepare?: (folder: PlantFolder) => Promise<void>
}

const WORKERS = 2
const MOMENT_MS = 2
const PATIENCE_MS = 60_000

let runCount = 0

/** A plant of processes in a folder of its own, which outlives the machines that report to it. */
export class PlantOfProcesses {
  readonly folder: PlantFolder
  readonly session: PlantSession
  readonly workers: number
  readonly disk: DiskPressure | string

  static async start(options: ProcessesOptions = {}): Promise<PlantOfProcesses> {
    const { workers = WORKERS, plantText, canDiskFill = false, env = {}, prepare } = options
    const folder = new PlantFolder(plantText)
    const disk = canDiskFill ? DiskPressure.open(folder.path) : 'it was not to be filled'
    try {
      await prepare?.(folder)
      const session = await PlantSession.start({
        dataDirectory: folder.data,
        plantFile: folder.plantFile,
        env: {
          MILLRACE_HTTP__PORT: '0',
          ...WITHOUT_SPARES,
          MILLRACE_WORKERS__COUNT: String(workers),
          ...reserveOf(disk),
          ...env,
        },
      })
      return new PlantOfProcesses(folder, session, workers, disk)
    } catch (error) {
      if (typeof disk !== 'string') disk.close()
      folder.remove()
      throw error
    }
  }

  private constructor(folder: PlantFolder, session: PlantSession, workers: number, disk: DiskPressure | string) {
    this.folder = folder
    this.session = session
    this.workers = workers
    this.disk = disk
  }

  /** What a command of the line says that is given the plant's data directory. */
  run(...words: readonly string[]): Promise<Said> {
    return run(this.folder, words)
  }

  /** Stops it, kills what is left, and removes the folder. Rejects when somebody was left. */
  async end(): Promise<void> {
    let left: unknown[] = []
    try {
      await this.session.close()
    } finally {
      if (typeof this.disk !== 'string') this.disk.close()
      left = this.folder.remove()
    }
    if (left.length > 0) throw new Error(`the plant left processes behind: ${JSON.stringify(left)}`)
  }
}

/** Tier 1: machines at the socket of a plant of processes. */
export class ProcessesAtWork extends PlantAtWork {
  readonly #running: PlantOfProcesses
  readonly #session: SessionUnderTest
  readonly #door: StreamDoorClient

  static async open(running: PlantOfProcesses, machines: MachinesOptions): Promise<ProcessesAtWork> {
    const { session, folder, disk } = running
    const plant = await SessionUnderTest.open({ session, plant: new PlantModel([Counter]), plantFile: folder.plantFile, disk })
    try {
      return new ProcessesAtWork(running, plant, await connectDoor(session.dataDirectory), machines)
    } catch (error) {
      await plant.close()
      throw error
    }
  }

  private constructor(running: PlantOfProcesses, plant: SessionUnderTest, door: StreamDoorClient, machines: MachinesOptions) {
    super({ ...machines, plant, door, clock: systemClock, run: `run-${++runCount}`, patienceMs: PATIENCE_MS })
    this.#running = running
    this.#session = plant
    this.#door = door
  }

  async complaint(): Promise<string> {
    const url = readGatewayDoors(this.#running.folder.data)?.http
    if (url === undefined) return 'nobody answers'
    const answer = await fetch(`${url}/v1/commands`, { method: 'POST', body: '{}' })
    return answer.status === 503 ? ((await answer.json()) as { error: string }).error : ''
  }

  async readReports(machine: number): Promise<number> {
    const { code, lines, stderr } = await this.#running.run('query', '--entity', `counter/machine-${machine}`, '--json')
    if (code !== 0) throw new Error(stderr)
    return lines.length
  }

  canWrite({ pid }: { readonly pid: number }): boolean {
    return processStartTime(pid) !== undefined
  }

  override async close(): Promise<void> {
    await super.close()
    await this.#door.close()
    await this.#session.close()
  }

  protected moment(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, MOMENT_MS))
  }
}
