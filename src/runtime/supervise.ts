import { resolve } from 'node:path'
import { dropBallast, layBallast } from '#processes/ballast.js'
import { errorOfPlain } from '#processes/control-message.js'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import type { PlantSupervisor } from '#recovery/plant-supervisor.js'
import { loadConfig } from './config.js'
import { startPlant } from './plant-process.js'
import { importPlant } from './plant-module.js'
import { readPlantRecord, writePlantRecord } from './plant-record.js'
import { upgradedModule } from './upgraded-module.js'
import { failureIn } from './notice.js'
import { withKeptWorkers } from './worker-slots.js'

const COUNT_VARIABLE = 'MILLRACE_WORKERS__COUNT'

export interface SuperviseOptions {
  /** Where an upgrade has superseded it, what it was upgraded to is run: whoever starts the plant again need not know of that. */
  readonly plantFile: string
  /** Run the named module all the same. */
  readonly isAsNamed?: boolean
  readonly dataDirectory: string
  readonly configFile?: string
  /** So many, whatever the configuration says and the plant was changed to. */
  readonly workers?: number | undefined
  /** Variables that override the configuration. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly hasLogFiles: boolean
  readonly onEvent?: (event: SupervisionEvent) => void
}

export interface SupervisedPlant {
  /** The module that is run. */
  readonly plantFile: string
  /** That it starts with, and that the configuration says: another number where it was changed while the plant ran. */
  readonly workers: number
  readonly configuredWorkers: number
  readonly supervisor: PlantSupervisor
  /**
   * Resolves when the plant is ready for the first time. Rejects with the error of a process that ends before that over something that only a person can
   * change, such as a port that is taken: stop the plant then. Never settles for a plant that is stopped before.
   */
  readonly started: Promise<void>
}

/** Reads the configuration and starts the plant with this process as its supervisor; see startPlant. */
export async function supervise(options: SuperviseOptions): Promise<SupervisedPlant> {
  const named = resolve(options.plantFile)
  const plantFile = options.isAsNamed === true ? named : await upgradedModule(named, options.dataDirectory)
  const configFile = options.configFile === undefined ? {} : { configFile: resolve(options.configFile) }
  const { dataDirectory, workers } = options
  const env = workers === undefined ? options.env : { ...options.env, [COUNT_VARIABLE]: String(workers) }
  const loaded = loadConfig({ plantFile, ...configFile, env }).config
  const keptWorkers = workers === undefined ? readPlantRecord(dataDirectory)?.workers : undefined
  const config = withKeptWorkers(loaded, keptWorkers)
  let giveUp: (error: Error) => void = () => undefined
  const hopeless = new Promise<never>((_, reject) => {
    giveUp = reject
  })
  dropBallast(dataDirectory)
  const configured = loaded.workers.count
  const supervisor = await startPlant({
    plantFile,
    dataDirectory,
    config,
    keepWorkers: (count) => {
      const record = readPlantRecord(dataDirectory)
      if (record !== undefined) writePlantRecord(dataDirectory, { ...record, workers: { count, configured } })
    },
    hasLogFiles: options.hasLogFiles,
    onEvent: (event) => {
      const failure = failureIn(event)
      if (failure?.action === 'operator') giveUp(errorOfPlain(failure))
      options.onEvent?.(event)
    },
  })
  const { version } = await importPlant(plantFile)
  const before = readPlantRecord(dataDirectory)
  const supersedes = plantFile === before?.plantFile ? before.supersedes : undefined
  const { abandonedEvents } = before ?? {}
  const kept = config === loaded ? {} : { workers: keptWorkers }
  writePlantRecord(dataDirectory, { plantFile, configFile: configFile.configFile, version, supersedes, abandonedEvents, ...kept })
  layBallast(dataDirectory)
  return {
    plantFile,
    workers: config.workers.count,
    configuredWorkers: configured,
    supervisor,
    started: Promise.race([supervisor.whenReady(), hopeless]),
  }
}
