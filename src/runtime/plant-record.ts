import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { replaceFileSync } from '#processes/durable-file.js'
import type { KeptWorkers } from './worker-slots.js'

/** What a data directory says of the plant that runs or last ran on it, so that `--data` is all that tools need. */
export interface PlantRecord {
  /** Absolute path of the plant module. */
  readonly plantFile: string
  readonly configFile: string | undefined
  /** Of the plant's code. */
  readonly version?: string | undefined
  /** Modules that the plant ran before it was upgraded while it ran, to `plantFile` at last. */
  readonly supersedes?: readonly string[] | undefined
  /** The code that the plant was changing to when it last wrote this: until that is done it runs `plantFile`. */
  readonly upgrade?: { readonly plantFile: string; readonly version: string } | undefined
  /** How many workers the plant was changed to while it ran. */
  readonly workers?: KeptWorkers | undefined
  /** Events that the log was told of for code that was given up perhaps: `type.Event` and the fields as `fieldsKey` has them. */
  readonly abandonedEvents?: readonly string[] | undefined
}

export const PLANT_RECORD_NAME = 'plant.json'

export function writePlantRecord(dataDirectory: string, record: PlantRecord): void {
  replaceFileSync(join(dataDirectory, PLANT_RECORD_NAME), `${JSON.stringify(record)}\n`)
}

/** Undefined when no plant ran there yet. Throws ERR_PLANT_RECORD when the file is damaged. */
export function readPlantRecord(dataDirectory: string): PlantRecord | undefined {
  const path = join(dataDirectory, PLANT_RECORD_NAME)
  if (!existsSync(path)) return undefined
  try {
    const record = JSON.parse(readFileSync(path, 'utf8')) as PlantRecord
    if (typeof record.plantFile === 'string') return record
  } catch (cause) {
    throw damaged(path, cause)
  }
  throw damaged(path, undefined)
}

function damaged(path: string, cause: unknown): MillraceError {
  return new MillraceError('ERR_PLANT_RECORD', {
    fact: 'the record of the plant in this data directory cannot be read',
    action: 'operator',
    values: { path },
    next: 'remove the file and name the plant module with --plant',
    cause,
  })
}
