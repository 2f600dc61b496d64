import { existsSync } from 'node:fs'
import { compareVersions } from '#base/version.js'
import { importPlant } from './plant-module.js'
import { readPlantRecord } from './plant-record.js'

/**
 * The module to run where one is named, an absolute path: the one that the plant on the data directory was upgraded to since it ran the named one, unless what is there by
 * now is newer. Throws ERR_PLANT_RECORD and what importing the named module throws.
 */
export async function upgradedModule(named: string, dataDirectory: string): Promise<string> {
  const record = readPlantRecord(dataDirectory)
  if (record?.version === undefined || record.supersedes?.includes(named) !== true || !existsSync(record.plantFile)) return named
  if (!existsSync(named)) return record.plantFile
  const { version } = await importPlant(named)
  return compareVersions(version, record.version) < 0 ? record.plantFile : named
}
