import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { callControl, streamControl } from '#processes/control-client.js'
import type { Role } from '#processes/process-role.js'
import { startToolProcess, type ToolProcess } from '#processes/tool-process.js'
import type { PlantStatus } from '#recovery/plant-supervisor.js'
import { dataPaths } from './data-directory.js'
import { isPlantRunning } from './journal-access.js'
import { programEntry } from './package-root.js'
import { readPlantRecord } from './plant-record.js'

export interface PlantPlace {
  readonly dataDirectory: string
  /** Undefined: the plant that last ran on the data directory. */
  readonly plantFile?: string | undefined
  readonly configFile?: string | undefined
  /** Variables that override the configuration of a plant that is started here. */
  readonly env?: Readonly<Record<string, string>>
}

const READY_WITHIN_MS = 30_000

/** For a plant that is started for one command and stopped behind it: processes that stand by would cost more than they could save. */
export const WITHOUT_SPARES = { MILLRACE_PROCESSES__SPARES: '0' }

/** A running plant for a tool: the one that runs on the data directory, or one that is started for the tool and stopped by it. */
export class PlantSession {
  readonly dataDirectory: string
  readonly #place: PlantPlace
  #supervisor: ToolProcess | undefined

  private constructor(place: PlantPlace, supervisor: ToolProcess | undefined) {
    this.dataDirectory = resolve(place.dataDirectory)
    this.#place = place
    this.#supervisor = supervisor
  }

  /** Throws ERR_NO_PLANT when no plant runs there and none is named. */
  static async open(place: PlantPlace): Promise<PlantSession> {
    if (await isPlantRunning(place.dataDirectory)) return new PlantSession(place, undefined)
    return PlantSession.start(place)
  }

  /** Starts a plant; throws ERR_TOOL_PROCESS with what the supervisor said when it does not start. */
  static async start(place: PlantPlace): Promise<PlantSession> {
    return new PlantSession(place, await startSupervisor(place))
  }

  /** Whether the plant was started for this session. */
  get isOwn(): boolean {
    return this.#supervisor !== undefined
  }

  get supervisorPid(): number | undefined {
    return this.#supervisor?.pid
  }

  /** Of the sessions's own supervisor: resolves when it has ended. */
  get supervisorEnded(): Promise<number | string> | undefined {
    return this.#supervisor?.ended
  }

  status(): Promise<PlantStatus> {
    return this.#ask('status') as Promise<PlantStatus>
  }

  /** SIGKILLs the holder of a seat; the pid that was hit. */
  async kill(role: Role, slot = 0): Promise<number> {
    return ((await this.#ask('kill', { role, slot })) as { pid: number }).pid
  }

  /** Resolves when every seat works. */
  async ready(withinMs: number): Promise<void> {
    await this.#ask('ready', {}, withinMs)
  }

  /** Of the workers that there are, ascending. */
  async workerSlots(): Promise<number[]> {
    const { processes } = await this.status()
    return processes.flatMap(({ role, slot }) => (role === 'worker' && slot !== null ? [slot] : []))
  }

  /** What the supervisor says from now on, until it ends or `signal` aborts. */
  events(signal: AbortSignal): AsyncIterable<unknown> {
    return streamControl(dataPaths(this.dataDirectory).supervisorSocket, 'events', {}, { signal })
  }

  /** Asks a process of the plant. */
  call(role: Role, slot: number, name: string, args: unknown = {}, timeoutMs = 60_000): Promise<unknown> {
    return this.#ask('call', { role, slot, name, args, timeoutMs }, timeoutMs)
  }

  /** SIGKILLs the session's own supervisor and resolves when it is gone. */
  async killSupervisor(): Promise<void> {
    this.#supervisor?.kill('SIGKILL')
    await this.#supervisor?.ended
  }

  /** Starts a new supervisor in place of the dead one: what an operator's service manager does. `env` overrides what it was given before. */
  async restartSupervisor(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#supervisor = await startSupervisor({ ...this.#place, env: { ...this.#place.env, ...env } })
  }

  /** Stops a plant of the session's own; leaves another one running. */
  async close(): Promise<void> {
    await this.#supervisor?.close()
  }

  #ask(name: string, args: unknown = {}, timeoutMs?: number): Promise<unknown> {
    return callControl(dataPaths(this.dataDirectory).supervisorSocket, name, args, timeoutMs)
  }
}

/** The module of the plant at a place: the one named, or the one that last ran there. Throws ERR_NO_PLANT. */
export function plantFileOf(place: PlantPlace): string {
  const file = place.plantFile ?? readPlantRecord(place.dataDirectory)?.plantFile
  if (file !== undefined && existsSync(file)) return resolve(file)
  throw new MillraceError('ERR_NO_PLANT', {
    fact: file === undefined ? 'no plant has run on this data directory yet' : 'the plant module is not there',
    action: 'operator',
    values: { data: place.dataDirectory, ...(file === undefined ? {} : { file }) },
    next: 'name the plant module with --plant',
  })
}

function startSupervisor(place: PlantPlace): Promise<ToolProcess> {
  const argument = {
    plantFile: plantFileOf(place),
    dataDirectory: resolve(place.dataDirectory),
    configFile: place.configFile ?? readPlantRecord(place.dataDirectory)?.configFile,
  }
  return startToolProcess({
    entry: programEntry('supervisor'),
    args: [JSON.stringify(argument)],
    ...(place.env === undefined ? {} : { env: place.env }),
    readyWithinMs: READY_WITHIN_MS,
  })
}
