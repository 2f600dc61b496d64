import type { InlinePlant, OpenPlantOptions } from './inline-plant.js'

/** As `openPlant` of inline-plant.ts, which is loaded when it is called: every process of a plant imports the package with its plant module. */
export async function openPlant(options: OpenPlantOptions): Promise<InlinePlant> {
  return (await import('./inline-plant.js')).openPlant(options)
}
