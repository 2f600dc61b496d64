import { isSabotage, isTrialSabotage, SABOTAGES, type Sabotage, TRIAL_SABOTAGES, type TrialSabotage } from '#drills/sabotage.js'
import type { Options } from './command.js'
import { usageError } from './number-option.js'
import { textOption } from './place.js'

/** What the check of a demo is to find, or undefined. Throws ERR_USAGE. */
export function sabotageOption(options: Options): Sabotage | undefined {
  const sabotage = textOption(options, 'sabotage')
  if (sabotage === undefined || isSabotage(sabotage)) return sabotage
  throw noSuchSabotage(sabotage, SABOTAGES)
}

/** The same of a drill, which tries out more. */
export function drillSabotageOption(options: Options): Sabotage | TrialSabotage | undefined {
  const sabotage = textOption(options, 'sabotage')
  if (sabotage === undefined || isSabotage(sabotage) || isTrialSabotage(sabotage)) return sabotage
  throw noSuchSabotage(sabotage, [...SABOTAGES, ...TRIAL_SABOTAGES])
}

function noSuchSabotage(sabotage: string, all: readonly string[]): Error {
  return usageError('no such sabotage', { sabotage }, `one of ${all.join(', ')}`)
}
