import type { Role } from '#processes/process-role.js'
import type { Run } from './command.js'
import { drillPlant } from './drill-plant.js'
import { LiveLine, printReport } from './drill-output.js'
import { numberOption, usageError } from './number-option.js'
import { textOption } from './place.js'

const KILLED: readonly Role[] = ['worker', 'journal', 'gateway', 'supervisor']
const TIMES = 5
const MACHINES = 200
const WORKERS = 2

/** Kills processes of a plant under load, again and again, and reports what came of it. */
export const runDrill: Run = async (_args, options, output) => {
  const kill = textOption(options, 'kill') ?? 'worker'
  const roles = kill.split(',').map((role) => {
    if (!(KILLED as readonly string[]).includes(role))
      throw usageError('no such process', { '--kill': role }, `one of ${KILLED.join(', ')}`)
    return role as Role
  })
  const times = numberOption(options, 'times', 1) ?? TIMES
  const live = new LiveLine(output)
  live.say('starting a plant to break …')
  const result = await drillPlant({
    dataDirectory: textOption(options, 'data'),
    machines: numberOption(options, 'machines', 1) ?? MACHINES,
    seed: numberOption(options, 'seed') ?? 1,
    faults: Array.from({ length: times }, (_, index) => {
      const role = roles[index % roles.length] as Role
      return { role, slot: role === 'worker' ? index % WORKERS : 0 }
    }),
    runMs: 1000,
    onProgress: (progress) => live.show(progress),
    onFault: ({ role, slot }, recovery) => {
      if (recovery !== undefined) live.say(`${role}/${slot} killed and back after ${recovery.rtoMs.toFixed(1)} ms`)
    },
  })
  live.close()
  return printReport(result.report, result, output)
}
