import { existsSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { MillraceError, messageOf } from '#base/errors.js'
import { isEntity } from '#entity/index.js'
import { definePlant, isPlantDefinition, type PlantDefinition } from './plant-definition.js'

/**
 * Imports a plant module: ESM, plain JavaScript or compiled TypeScript, whose default export is what definePlant returned. A module that only exports
 * entity types is a plant of these, so that one file is enough to take data in. Throws ERR_PLANT_MODULE.
 */
export async function importPlant(file: string): Promise<PlantDefinition> {
  const path = resolve(file)
  if (!existsSync(path)) throw plantError('there is no plant module', path, 'name the file that exports definePlant(...) by default')
  let module: { readonly default?: unknown }
  try {
    module = (await import(pathToFileURL(path).href)) as typeof module
  } catch (error) {
    if (extname(path) === '.ts' && isUnknownExtension(error)) {
      throw plantError(
        `this Node (${process.version}) does not load TypeScript`,
        path,
        'compile it with tsc and name the .js file, or run Node 24 or later, which strips types by itself',
        error,
      )
    }
    if (isMissingMillrace(error)) {
      throw plantError(
        "the plant module imports 'millrace', which is not installed where it lies",
        path,
        'run npm install millrace in its folder',
        error,
      )
    }
    throw plantError(
      `the plant module could not be loaded: ${messageOf(error)}`,
      path,
      'mend the module; its stack is behind --debug',
      error,
    )
  }
  if (!isPlantDefinition(module.default)) {
    const entities = Object.values(module).filter(isEntity)
    if (entities.length > 0) return definePlant({ entities: [...new Set(entities)] })
    throw plantError('the default export of the plant module is not a plant', path, 'export default definePlant({ entities: [...] })')
  }
  return module.default
}

function isUnknownExtension(error: unknown): boolean {
  return (error as { code?: string }).code === 'ERR_UNKNOWN_FILE_EXTENSION'
}

function isMissingMillrace(error: unknown): boolean {
  return (error as { code?: string }).code === 'ERR_MODULE_NOT_FOUND' && /package 'millrace'/.test(messageOf(error))
}

function plantError(fact: string, file: string, next: string, cause?: unknown): MillraceError {
  return new MillraceError('ERR_PLANT_MODULE', { fact, action: 'operator', values: { file }, next, cause })
}
