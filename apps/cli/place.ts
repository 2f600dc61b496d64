import type { BusPlace } from '#runtime/bus-view.js'
import type { PlantPlace } from '#runtime/plant-session.js'
import type { Options } from './command.js'

export const DATA_DIRECTORY = './data'

/** The options by which commands find a plant. */
export const DATA_OPTION = ['--data <dir>', 'data directory of the plant', DATA_DIRECTORY] as const
export const PLANT_OPTION = ['--plant <file>', 'the plant module, when no plant has run on the data directory yet'] as const
export const CONFIG_OPTION = ['--config <file>', 'read this file instead of the millrace.yaml beside the plant file'] as const

export const DIRECTORY_OPTION = ['--directory <dir>', 'of channels that openChannel made, instead of a plant'] as const

export function dataDirectoryOf(options: Options): string {
  return textOption(options, 'data') ?? DATA_DIRECTORY
}

export function placeOf(options: Options): PlantPlace {
  return { dataDirectory: dataDirectoryOf(options), plantFile: textOption(options, 'plant'), configFile: textOption(options, 'config') }
}

export function busPlaceOf(options: Options): BusPlace {
  const directory = textOption(options, 'directory')
  return directory === undefined ? { dataDirectory: dataDirectoryOf(options) } : { directory }
}

/** The values of an option that may be given several times. */
export function listOption(options: Options, name: string): readonly string[] {
  const value = options[name]
  return typeof value === 'string' ? [value] : Array.isArray(value) ? value : []
}

export function textOption(options: Options, name: string): string | undefined {
  const value = options[name]
  return typeof value === 'string' ? value : undefined
}
