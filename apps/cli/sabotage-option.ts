import { isSabotage, SABOTAGES, type Sabotage } from '#drills/sabotage.js'
import type { Options } from './command.js'
import { usageError } from './number-option.js'
import { textOption } from './place.js'

/** What the check of a drill is to find, or undefined. Throws ERR_USAGE. */
export function sabotageOption(options: Options): Sabotage | undefined {
  const sabotage = textOption(options, 'sabotage')
  if (sabotage === undefined || isSabotage(sabotage)) return sabotage
  throw usageError('no such sabotage', { sabotage }, `one of ${SABOTAGES.join(', ')}`)
}
