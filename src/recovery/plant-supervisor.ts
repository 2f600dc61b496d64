import { mkdirSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import type { Clock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import { Prng } from '#base/prng.js'
import { type Beat, beatAt } from '#processes/beat.js'
import type { Assignment } from '#processes/control-message.js'
import { type ControlServer, serveControl } from '#processes/control-socket.js'
import { takeDataDirectory } from '#processes/plant-lock.js'
import type { Edition } from '#processes/editions.js'
import { fenceLeftovers, recordProcessesSync } from '#processes/process-record.js'
import type { ProcessCounters } from '#processes/process-counters.js'
import type { ChildRole, Seat } from '#processes/process-role.js'
import { PROCESS_TABLE_BYTES, ProcessTable } from '#processes/process-table.js'
import { Supervision } from '#processes/supervision.js'
import type { ProcessStatus, SupervisionEvent } from '#processes/supervision-event.js'
import type { PlantCommands, RoleOptions, SupervisionLimits } from '#processes/supervision-options.js'
import { TermCounter } from '#processes/term-counter.js'
import { createRuntimeDirectory, type FileLock, Mapping, ownProcess, processStartTime, removeRuntimeDirectory } from '#shm/index.js'
import { controlMethods } from './control-methods.js'
import { decide } from './decision.js'
import { EventFeed } from './event-feed.js'
import type { CodeStatus, PlantCode } from './plant-code.js'
import type { PlantWorkers, WorkersStatus } from './plant-workers.js'
import { type LoggedRecovery, RecoveryLog } from './recovery-log.js'

export const PROCESS_TABLE_NAME = 'processes.table'
export const SUPERVISOR_SOCKET_NAME = join('run', 'supervisor.sock')

const PULSE_MS = 50
const RECOVERIES_SHOWN = 200
const ROOM_BYTES_MIN = 1 << 20
/** How long answers on open control connections may take to leave once the plant has stopped. */
const FAREWELL_MS = 50

export interface PlantSupervisorOptions {
  /** Made if need be, mode 0700. */
  readonly dataDirectory: string
  readonly roles: Readonly<Record<ChildRole, Omit<RoleOptions, 'settings'>>>
  readonly limits: SupervisionLimits
  /** Whether the directory has no log yet, asked once its lock is held; only then may terms start from 1. */
  readonly isNew: (dataDirectory: string) => boolean
  /** Shared memory that `beforeStart` is going to allocate. */
  readonly neededBytes: number
  /**
   * Called once, before the first process and after the last one of an earlier run is gone: makes the channels and bells in the runtime
   * directory, and gives each role the settings that its processes are born with.
   */
  readonly beforeStart: (runtimeDirectory: string) => RoleSettings | Promise<RoleSettings>
  readonly assign: (seat: Seat<ChildRole>, term: number, edition: Edition) => Assignment
  /** Undefined for a plant whose code does not change. */
  readonly code?: PlantCode
  /** Undefined for a plant whose number of workers does not change. */
  readonly workers?: PlantWorkers
  readonly onEvent?: (event: SupervisionEvent) => void
  readonly commands?: PlantCommands
  /** Children write to files in `<data>/logs` instead of to this process's output. */
  readonly hasLogFiles?: boolean
  readonly clock: Clock
}

export type RoleSettings = Readonly<Record<ChildRole, Readonly<Record<string, unknown>>>>

/** The answer of `millrace status`. Plain JSON. */
export interface PlantStatus {
  readonly ready: boolean
  readonly stopping: boolean
  readonly dataDirectory: string
  readonly runtimeDirectory: string
  readonly uptimeMs: number
  /** Which code the plant runs; null where that does not change. */
  readonly code: CodeStatus | null
  /** How many workers the plant has; null where that does not change. */
  readonly workers: WorkersStatus | null
  /** The supervisor, the seats, the spares. */
  readonly processes: readonly ProcessStatus[]
  /** Entities that take no commands since damage hit them, as far as workers have loaded them. */
  readonly fencedEntities: number
  /** How many processes were replaced since the start, and the newest of these recoveries, oldest first. */
  readonly recoveryCount: number
  readonly recoveries: readonly LoggedRecovery[]
}

/**
 * The process that holds a data directory and keeps its plant alive. It owns what must exist once per plant: the lock, the terms, the
 * runtime directory with the process table, the record of living processes, the control socket. A crash leaves all of these behind, and the next start takes
 * them over: the lock ends with the process, leftovers are killed, the runtime directory is emptied, the socket replaced.
 */
export class PlantSupervisor {
  readonly #options: PlantSupervisorOptions
  readonly #runtimeDirectory: string
  readonly #recordPath: string
  readonly #lock: FileLock
  readonly #table: ProcessTable
  readonly #counters: ProcessCounters<'supervisor'>
  readonly #recoveryLog: RecoveryLog
  readonly #recoveries: LoggedRecovery[] = []
  readonly #feed = new EventFeed<SupervisionEvent>()
  readonly #supervision: Supervision
  readonly #startedMs: number
  readonly #beat: Beat
  #control: ControlServer | undefined
  #recoveryCount = 0
  #stopped: Promise<void> | undefined
  readonly #stopWaiters: ((stopped: Promise<void>) => void)[] = []

  /** By `start` only. */
  private constructor(
    options: PlantSupervisorOptions,
    lock: FileLock,
    terms: TermCounter,
    runtimeDirectory: string,
    settings: RoleSettings,
  ) {
    const { dataDirectory, clock } = options
    this.#options = options
    this.#lock = lock
    this.#runtimeDirectory = runtimeDirectory
    this.#recordPath = recordPathOf(dataDirectory)
    this.#startedMs = clock.monotonicMs()
    this.#recoveryLog = new RecoveryLog(join(dataDirectory, 'recoveries'))
    const tablePath = join(runtimeDirectory, PROCESS_TABLE_NAME)
    const mapping = Mapping.create(tablePath, PROCESS_TABLE_BYTES)
    const table = ProcessTable.create(mapping.buffer)
    this.#table = table
    const self = ownProcess()
    table.process(0).occupy('supervisor', self.pid, self.startTime)
    table.process(0).take(0, 0)
    table.process(0).setState('ready')
    this.#beat = beatAt(mapping, 0, PULSE_MS)
    this.#counters = table.counters({ role: 'supervisor', slot: 0 })
    this.#supervision = new Supervision({
      roles: {
        journal: { ...options.roles.journal, settings: settings.journal },
        worker: { ...options.roles.worker, settings: settings.worker },
        gateway: { ...options.roles.gateway, settings: settings.gateway },
      },
      limits: options.limits,
      table,
      tablePath,
      terms,
      decide,
      assign: options.assign,
      record: (processes) => recordProcessesSync(this.#recordPath, processes),
      startTimeOf: processStartTime,
      onEvent: (event) => this.#take(event),
      hasRoom: () => hasRoom(dataDirectory),
      commands: options.commands,
      logDirectory: options.hasLogFiles === true ? join(dataDirectory, 'logs') : undefined,
      clock,
      prng: new Prng(`${self.pid}-${self.startTime}`),
    })
    options.code?.bind(this.#supervision, table)
    options.workers?.bind(this.#supervision, table)
  }

  /**
   * Takes the data directory and starts its plant; resolves when the processes are on their way and the control socket answers, `whenReady`
   * when they work. Rejects with ERR_PLANT_RUNNING naming the pid of the supervisor that holds the directory, with the errors of the lock, the terms, the
   * record and the runtime directory, and with whatever `beforeStart` throws; then nothing is held.
   */
  static async start(options: PlantSupervisorOptions): Promise<PlantSupervisor> {
    const { dataDirectory, clock } = options
    for (const path of [dataDirectory, join(dataDirectory, 'run'), join(dataDirectory, 'logs')])
      mkdirSync(path, { recursive: true, mode: 0o700 })
    const lock = takeDataDirectory(dataDirectory)
    let runtimeDirectory: string | undefined
    let supervisor: PlantSupervisor | undefined
    try {
      await fenceLeftovers(recordPathOf(dataDirectory), clock)
      const terms = TermCounter.openSync(dataDirectory, options.isNew(dataDirectory))
      terms.reserve()
      runtimeDirectory = createRuntimeDirectory(dataDirectory, { neededBytes: options.neededBytes + PROCESS_TABLE_BYTES })
      const settings = await options.beforeStart(runtimeDirectory)
      supervisor = new PlantSupervisor(options, lock, terms, runtimeDirectory, settings)
      supervisor.#control = await serveControl(join(dataDirectory, SUPERVISOR_SOCKET_NAME), controlMethods(supervisor))
      supervisor.#supervision.start()
      return supervisor
    } catch (error) {
      if (supervisor !== undefined) supervisor.#beat.stop()
      if (runtimeDirectory !== undefined) removeRuntimeDirectory(runtimeDirectory)
      lock.close()
      throw error
    }
  }

  get isReady(): boolean {
    return this.#supervision.isReady
  }

  /** Resolves when every seat works; never for a plant that stops before. */
  whenReady(): Promise<void> {
    return this.#supervision.whenReady()
  }

  /** At most `recoveryCountMax` of the newest recoveries come along. */
  status(recoveryCountMax = RECOVERIES_SHOWN): PlantStatus {
    const { clock, dataDirectory } = this.#options
    const uptimeMs = clock.monotonicMs() - this.#startedMs
    return {
      ready: this.isReady,
      stopping: this.#stopped !== undefined,
      dataDirectory,
      runtimeDirectory: this.#runtimeDirectory,
      uptimeMs,
      code: this.#options.code?.status ?? null,
      workers: this.#options.workers?.status ?? null,
      processes: [
        {
          role: 'supervisor',
          slot: 0,
          pid: process.pid,
          term: null,
          state: 'ready',
          version: null,
          pulseAgeMs: 0,
          turnAgeMs: 0,
          uptimeMs,
          longTurn: null,
          needs: null,
        },
        ...this.#supervision.processes(),
      ],
      fencedEntities: this.#fencedCount(),
      recoveryCount: this.#recoveryCount,
      recoveries: recoveryCountMax === 0 ? [] : this.#recoveries.slice(-recoveryCountMax),
    }
  }

  #fencedCount(): number {
    const workers = this.#supervision.seats.filter(({ role }) => role === 'worker')
    return workers.reduce((sum, { slot }) => sum + this.#table.counters({ role: 'worker', slot }).get('fencedEntities'), 0)
  }

  /** Events from now on, for any number of readers. */
  events(signal: AbortSignal): AsyncIterable<unknown> {
    return this.#feed.read(signal)
  }

  /** SIGKILLs the seat's holder, this process included, as a fault would; the pid that was hit. */
  kill(seat: Seat): number {
    if (seat.role !== 'supervisor') return this.#supervision.kill({ role: seat.role, slot: seat.slot })
    process.kill(process.pid, 'SIGKILL')
    return process.pid
  }

  /** Undefined where the plant's code does not change. */
  get code(): PlantCode | undefined {
    return this.#options.code
  }

  /** Undefined where the number of the plant's workers does not change. */
  get workers(): PlantWorkers | undefined {
    return this.#options.workers
  }

  call(seat: Seat<ChildRole>, name: string, args: unknown, timeoutMs: number): Promise<unknown> {
    return this.#supervision.call(seat, name, args, timeoutMs)
  }

  /** Drains and stops the plant within its bound and gives the directory back; resolves when another may take it. Safe to call again. */
  stop(): Promise<void> {
    if (this.#stopped === undefined) {
      this.#stopped = this.#finish()
      for (const resolve of this.#stopWaiters) resolve(this.#stopped)
    }
    return this.#stopped
  }

  /** As `stop`, without asking for it. */
  whenStopped(): Promise<void> {
    return this.#stopped ?? new Promise((resolve) => this.#stopWaiters.push(resolve))
  }

  /** SIGKILLs what has not ended yet. What was acknowledged is durable; the rest will be sent again. */
  forceStop(): Promise<void> {
    const stopped = this.stop()
    void this.#supervision.forceStop()
    return stopped
  }

  async #finish(): Promise<void> {
    await this.#supervision.stop()
    this.#feed.close()
    this.#beat.stop()
    this.#control?.stopListening()
    removeRuntimeDirectory(this.#runtimeDirectory)
    this.#lock.close()
    this.#options.clock.after(FAREWELL_MS, () => void this.#control?.close())
  }

  #take(event: SupervisionEvent): void {
    this.#count(event)
    if (event.kind === 'replaced') this.#log(event)
    this.#feed.publish(event)
    this.#options.onEvent?.(event)
  }

  #log(event: SupervisionEvent & { kind: 'replaced' }): void {
    this.#recoveryCount++
    try {
      this.#recoveries.push(this.#recoveryLog.add(event.replacement, event.at))
    } catch (error) {
      this.#take({ kind: 'trouble', at: event.at, code: 'ERR_RECOVERY_LOG', message: messageOf(error) })
    }
    if (this.#recoveries.length > RECOVERIES_SHOWN) this.#recoveries.shift()
  }

  #count(event: SupervisionEvent): void {
    if (event.kind === 'started') this.#counters.add('processesStarted')
    else if (event.kind === 'died') this.#counters.add('deaths')
    else if (event.kind === 'hung') this.#counters.add('hangs')
    else if (event.kind === 'replaced') this.#counters.add('replacements')
    else if (event.kind === 'paused') this.#counters.add('pauses')
    if (event.kind === 'failing' || event.kind === 'ready') this.#counters.set('failingSeats', this.#supervision.failingSeatCount)
  }
}

/** Below that no log can be opened for writing, nor a term made durable. An unknown answer is a yes: trying tells. */
function hasRoom(dataDirectory: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dataDirectory)
    return bavail * bsize >= ROOM_BYTES_MIN
  } catch {
    return true
  }
}

function recordPathOf(dataDirectory: string): string {
  return join(dataDirectory, 'run', 'processes.json')
}
