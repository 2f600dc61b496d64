import { isPlantRunning } from '#runtime/journal-access.js'
import type { Output } from './output.js'

/** Says that a subscription waits for the plant to run, when it does. */
export async function noteAbsence(dataDirectory: string, output: Output): Promise<void> {
  if (await isPlantRunning(dataDirectory)) return
  output.note('No plant runs on this data directory: waits for it, since its journal keeps how far this came.')
}
