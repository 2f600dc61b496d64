import { Prng } from '#base/prng.js'
import { FAULT_KINDS, type Fault, type FaultKind, isFaultKind } from '#drills/fault.js'
import { planChaos, planKills, planScenario } from '#drills/fault-plan.js'
import { faultOfSabotage, isSabotage, type Sabotage, type TrialSabotage } from '#drills/sabotage.js'
import type { Role } from '#processes/process-role.js'
import type { Options, Run } from './command.js'
import { describeOutcome, finishRun, LiveLine, sayKept } from './drill-output.js'
import { DRILL_WORKERS, drillPlant } from './drill-plant.js'
import { numberOption, usageError } from './number-option.js'
import { textOption } from './place.js'
import { drillSabotageOption } from './sabotage-option.js'

const KILLED: readonly Role[] = ['worker', 'journal', 'gateway', 'supervisor']
const TIMES = 5
const MACHINES = 200
const MINUTES = 2
const SHAPE = { workers: DRILL_WORKERS }
/** Devices send at least so long, also when the faults are over sooner. */
const RUN_MS_MIN = 1000

interface Plan {
  /** What runs are compared by. */
  readonly name: string
  readonly faults: readonly Fault[]
  readonly runMs: number
}

/** Breaks a plant under load, again and again, and reports what came of it. */
export const runDrill: Run = async (_args, options, output) => {
  const seed = numberOption(options, 'seed') ?? 1
  const machines = numberOption(options, 'machines', 1) ?? MACHINES
  const dataDirectory = textOption(options, 'data')
  const sabotage = drillSabotageOption(options)
  const { name, faults, runMs } = planOf(options, new Prng(`${seed}/faults`))
  requireFault(sabotage, faults)
  const live = new LiveLine(output)
  live.say('starting a plant to break …')
  const result = await drillPlant({
    dataDirectory,
    machines,
    seed,
    faults,
    runMs,
    sabotage,
    onKept: (directory) => sayKept(directory, output),
    onProgress: (progress) => live.show(progress),
    onFault: (fault, outcome) => {
      if (outcome !== undefined) live.say(describeOutcome(fault, outcome))
    },
  })
  live.close()
  return finishRun(result.report, result, { name, machines, dataDirectory, htmlFile: textOption(options, 'html') }, output)
}

function planOf(options: Options, prng: Prng): Plan {
  const chosen = ['chaos', 'scenario', 'kill'].filter((one) => options[one] !== undefined)
  if (chosen.length > 1) throw usageError('only one of these at a time', { options: chosen.map((one) => `--${one}`).join(' ') })
  const times = numberOption(options, 'times', 1)
  if (options['chaos'] === true) {
    if (times !== undefined) throw usageError('a chaos is told how long it lasts', { '--times': times }, 'use --minutes')
    const runMs = minutesOption(options) * 60_000
    return { name: 'chaos', faults: planChaos(runMs, prng, SHAPE), runMs }
  }
  if (options['minutes'] !== undefined)
    throw usageError('only a chaos lasts for a time', { '--minutes': options['minutes'] }, 'add --chaos')
  const scenario = textOption(options, 'scenario')
  if (scenario !== undefined) {
    const kinds = scenario === 'all' ? FAULT_KINDS : scenario.split(',').map(faultKind)
    return { name: scenario, faults: planScenario(kinds, times ?? kinds.length, prng, SHAPE), runMs: RUN_MS_MIN }
  }
  const kill = textOption(options, 'kill') ?? 'worker'
  return { name: `kill ${kill}`, faults: planKills(kill.split(',').map(killedRole), times ?? TIMES, SHAPE), runMs: RUN_MS_MIN }
}

/** Throws ERR_USAGE where nothing is done that the sabotage could spoil. */
function requireFault(sabotage: Sabotage | TrialSabotage | undefined, faults: readonly Fault[]): void {
  if (sabotage === undefined || isSabotage(sabotage)) return
  const kind = faultOfSabotage(sabotage)
  if (!faults.some((fault) => fault.kind === kind))
    throw usageError('nothing of this drill could be spoilt so', { '--sabotage': sabotage }, `add --scenario ${kind}`)
}

function minutesOption(options: Options): number {
  const text = textOption(options, 'minutes')
  if (text === undefined) return MINUTES
  const minutes = Number(text)
  if (text.trim() === '' || !(minutes > 0) || !Number.isFinite(minutes)) throw usageError('not a number above 0', { '--minutes': text })
  return minutes
}

function faultKind(text: string): FaultKind {
  if (isFaultKind(text)) return text
  throw usageError('no such scenario', { '--scenario': text }, `all, or some of ${FAULT_KINDS.join(', ')}`)
}

function killedRole(text: string): Role {
  const role = KILLED.find((one) => one === text)
  if (role === undefined) throw usageError('no such process', { '--kill': text }, `one of ${KILLED.join(', ')}`)
  return role
}
