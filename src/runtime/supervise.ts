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

export interface SuperviseOptions {
  /** Where an upgrade has superseded it, what it was upgraded to is run: whoever starts the plant again need not know of that. */
  readonly plantFile: string
  /** Run the named module all the same. */
  readonly isAsNamed?: boolean
  readonly dataDirectory: string
  readonly configFile?: string
  /** Variables that override the configuration. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly hasLogFiles: boolean
  readonly onEvent?: (event: SupervisionEvent) => void
}

export interface SupervisedPlant {
  /** The module that is run. */
  readonly plantFile: string
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
  const { config } = loadConfig({ plantFile, ...configFile, env: options.env })
  let giveUp: (error: Error) => void = () => undefined
  const hopeless = new Promise<never>((_, reject) => {
    giveUp = reject
  })
  dropBallast(options.dataDirectory)
  const supervisor = await startPlant({
    plantFile,
    dataDirectory: options.dataDirectory,
    config,
    hasLogFiles: options.hasLogFiles,
    onEvent: (event) => {
      const failure = failureIn(event)
      if (failure?.action === 'operator') giveUp(errorOfPlain(failure))
      options.onEvent?.(event)
    },
  })
  const { version } = await importPlant(plantFile)
  const before = readPlantRecord(options.dataDirectory)
  const supersedes = plantFile === before?.plantFile ? before.supersedes : undefined
  const { abandonedEvents } = before ?? {}
  writePlantRecord(options.dataDirectory, { plantFile, configFile: configFile.configFile, version, supersedes, abandonedEvents })
  layBallast(options.dataDirectory)
  return { plantFile, supervisor, started: Promise.race([supervisor.whenReady(), hopeless]) }
}
