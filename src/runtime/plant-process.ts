import { join, resolve } from 'node:path'
import { systemClock } from '#base/clock.js'
import { messageOf } from '#base/errors.js'
import { PlantModel } from '#entity/index.js'
import { SUPERVISION_LIMITS } from '#processes/supervision-options.js'
import type { ChildRole, Seat } from '#processes/process-role.js'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import { PlantSupervisor } from '#recovery/plant-supervisor.js'
import { entitySchemaToJson } from '#schema/index.js'
import { PLACEMENT_BYTES, Placement } from '#shards/placement.js'
import { allowedCores, Bell, Mapping } from '#shm/index.js'
import { type ChannelSizes, planChannels, type PlantShape } from './channel-plan.js'
import type { Config } from './config.js'
import { hasLog } from './data-directory.js'
import { LostWorkers } from './lost-workers.js'
import { effectTargets } from './effect-targets.js'
import { programEntry } from './package-root.js'
import { createFileLog, type Logger } from './log.js'
import { failureIn, noticeIn } from './notice.js'
import { PlantChannels } from './plant-channels.js'
import { Parking } from './parking.js'
import { importPlant } from './plant-module.js'
import type { PlantSettings } from './plant-settings.js'
import { bellPath, placementPath } from './role-process.js'
import { RunningCode } from './running-code.js'
import { RunningWorkers } from './running-workers.js'
import { workerSlots } from './worker-slots.js'

export interface StartPlantOptions {
  readonly plantFile: string
  readonly dataDirectory: string
  readonly config: Config
  /** The children write into `<data>/logs` instead of to this process's standard error. */
  readonly hasLogFiles: boolean
  readonly onEvent?: (event: SupervisionEvent) => void
  /** Remembers for later starts how many workers the plant has been changed to. */
  readonly keepWorkers: (workers: number) => void
}

/** One gateway: its doors are sockets, of which a port or a path has one holder. */
const GATEWAYS = 1
/** Node's own, however many cores there are. */
const COMPILER_THREADS_MAX = 4

/**
 * Code is compiled in threads beside the main one. A worker that takes a seat has nearly all of its code compiled anew at the same time: as many threads as Node has would take from the main
 * thread, on few cores, what it needs to recover (bench/recovery.ts).
 */
function workerArgv(): readonly string[] {
  return [`--v8-pool-size=${Math.max(1, Math.min(COMPILER_THREADS_MAX, allowedCores().length - 1))}`]
}

/**
 * Makes this process the supervisor of a plant of many processes: the composition root of `millrace up`. Resolves when they are on their way.
 * Throws ERR_PLANT_MODULE, ERR_PLANT_RUNNING, ERR_SHM_NO_ROOM and what else keeps a plant from starting; then nothing is left behind.
 */
export async function startPlant(options: StartPlantOptions): Promise<PlantSupervisor> {
  const plantFile = resolve(options.plantFile)
  const dataDirectory = resolve(options.dataDirectory)
  const { config } = options
  const { version, entities } = await importPlant(plantFile)
  const plant = new PlantModel(entities)
  const shape: PlantShape = { workers: workerSlots(config.workers), gateways: GATEWAYS }
  const sizes: ChannelSizes = { capacityBytes: config.bus.capacityBytes, answerCapacityBytes: Math.max(4096, config.bus.capacityBytes / 4) }
  const channels = new PlantChannels(planChannels(shape, sizes), plant.schemaHash)
  effectTargets(config.effects, plant.effects, process.env)
  let placement: Placement | undefined

  const parking = new Parking({
    plant,
    shape,
    dataDirectory,
    deathsMax: config.workers.parkAfterDeaths,
    onEvent: (event) => options.onEvent?.(event),
  })

  const lost = new LostWorkers()
  const schemas = plant.schemas.map(entitySchemaToJson)
  const code = new RunningCode({
    ...{ plantFile, version, schemas, dataDirectory, slots: shape.workers, clock: systemClock },
    placement: () => placement as Placement,
    mustBeFree: () => workers.mustBeIdle(),
    onChanged: (changed) => (parking.plant = changed),
  })
  const workers: RunningWorkers = new RunningWorkers({
    max: shape.workers,
    clock: systemClock,
    placement: () => placement as Placement,
    mustBeFree: () => code.mustBeIdle(),
    keep: options.keepWorkers,
  })

  const beforeStart = (runtimeDirectory: string) => {
    parking.runtimeDirectory = runtimeDirectory
    channels.make(runtimeDirectory)
    makeBells(runtimeDirectory, shape)
    placement = new Placement(Mapping.create(placementPath(runtimeDirectory), PLACEMENT_BYTES).buffer)
    const settings: PlantSettings = {
      plantFile,
      dataDirectory,
      runtimeDirectory,
      config,
      shape,
      schemaHash: plant.schemaHash,
      schemas,
    }
    code.settings = settings
    const given = settings as unknown as Readonly<Record<string, unknown>>
    return { journal: given, worker: given, gateway: given }
  }

  let logger: Logger | undefined
  const log = (event: SupervisionEvent) => {
    // The directory is there once the first process is.
    logger ??= createFileLog(join(dataDirectory, 'logs', 'supervisor.log'), config.log.level, { role: 'supervisor' })
    logger[isWarning(event) ? 'warn' : 'info']({ event }, noticeIn(event) ?? event.kind)
  }

  const { spares } = config.processes
  return PlantSupervisor.start({
    dataDirectory,
    roles: {
      journal: { entry: programEntry('journal'), count: 1, spares },
      worker: {
        entry: programEntry('worker'),
        execArgv: workerArgv(),
        count: config.workers.count,
        countMax: shape.workers,
        spares,
      },
      gateway: { entry: programEntry('gateway'), count: shape.gateways, spares },
    },
    limits: {
      ...SUPERVISION_LIMITS,
      pulseLimitMs: config.processes.pulseLimitMs,
      longTurnMs: config.processes.longTurnMs,
      turnLimitMs: config.processes.turnLimitMs,
      stopWithinMs: config.stop.drainMs,
      backOff: { ...SUPERVISION_LIMITS.backOff, firstMs: config.processes.backoffMs, delayMsMax: config.processes.backoffMsMax },
    },
    isNew: (directory) => !hasLog(directory),
    neededBytes: channels.bytes + PLACEMENT_BYTES,
    beforeStart,
    // The journal is ready before any other seat is given away.
    code,
    workers,
    assign: (seat, term, edition) => {
      mendChannels(channels, seat, term, options.onEvent)
      if (seat.role === 'journal') return {}
      const given = code.assignment(edition)
      if (seat.role !== 'worker') return given
      return { ...given, parked: parking.of(seat.slot), predecessor: lost.causeOf(seat.slot) }
    },
    onEvent: (event) => {
      if (options.hasLogFiles) log(event)
      if (event.kind === 'ready' && event.role === 'journal')
        placeShards(placement as Placement, event.details.shardCount as number, config.workers.count)
      options.onEvent?.(event)
      parking.take(event)
      lost.take(event)
      code.take(event)
    },
    commands: parking,
    hasLogFiles: options.hasLogFiles,
    clock: systemClock,
  })
}

/** The first journal of the plant says how many there are. */
function placeShards(placement: Placement, shardCount: number, workers: number): void {
  if (placement.shardCount === 0) placement.spread(shardCount, workers)
}

/** Of the events those that somebody should look at. */
function isWarning(event: SupervisionEvent): boolean {
  const { kind } = event
  if (kind === 'died' || kind === 'hung' || kind === 'failing' || kind === 'trouble') return true
  return noticeIn(event) !== undefined || failureIn(event) !== undefined
}

/** What cannot be mended now, for want of room, is tried again for the successor of the process that then fails. */
function mendChannels(channels: PlantChannels, seat: Seat<ChildRole>, term: number, onEvent: StartPlantOptions['onEvent']): void {
  const tell = (code: string, message: string) => onEvent?.({ at: systemClock.nowMicros(), kind: 'trouble', code, message })
  try {
    for (const { name, error } of channels.makeDamagedAnew(seat, term)) tell(error.code, `${error.message}; ${name} is made anew`)
  } catch (error) {
    tell('ERR_CHANNEL_CORRUPT', `a damaged channel could not be made anew: ${messageOf(error)}`)
  }
}

/** The FIFOs are there before anybody rings; they belong to the seats and outlive the processes. */
function makeBells(runtimeDirectory: string, shape: PlantShape): void {
  const settings = { runtimeDirectory }
  Bell.open(bellPath(settings, 'journal', 0)).close()
  for (let slot = 0; slot < shape.workers; slot++) Bell.open(bellPath(settings, 'worker', slot)).close()
  for (let slot = 0; slot < shape.gateways; slot++) Bell.open(bellPath(settings, 'gateway', slot)).close()
}
