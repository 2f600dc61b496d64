import { resolve } from 'node:path'
import type { SupervisionEvent } from '#processes/supervision-event.js'
import type { PlantSupervisor } from '#recovery/plant-supervisor.js'
import { loadConfig } from './config.js'
import { startPlant } from './plant-process.js'
import { writePlantRecord } from './plant-record.js'

export interface SuperviseOptions {
  readonly plantFile: string
  readonly dataDirectory: string
  readonly configFile?: string
  /** Variables that override the configuration. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly hasLogFiles: boolean
  readonly onEvent?: (event: SupervisionEvent) => void
}

/** Reads the configuration and starts the plant with this process as its supervisor; see startPlant. */
export async function supervise(options: SuperviseOptions): Promise<PlantSupervisor> {
  const plantFile = resolve(options.plantFile)
  const configFile = options.configFile === undefined ? {} : { configFile: resolve(options.configFile) }
  const { config } = loadConfig({ plantFile, ...configFile, env: options.env })
  const supervisor = await startPlant({
    plantFile,
    dataDirectory: options.dataDirectory,
    config,
    hasLogFiles: options.hasLogFiles,
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
  })
  writePlantRecord(options.dataDirectory, { plantFile, configFile: configFile.configFile })
  return supervisor
}
