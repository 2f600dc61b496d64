// A plant's supervisor as a process of its own: `node supervisor.mjs <data directory> <folder of the children's faults> [workers]`.
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../../dist/src/base/clock.js'
import { stopOnSignals } from '../../../dist/src/processes/stop-on-signals.js'
import { SUPERVISION_LIMITS } from '../../../dist/src/processes/supervision-options.js'
import { PlantSupervisor } from '../../../dist/src/recovery/plant-supervisor.js'

const [dataDirectory, folder, workers = '1'] = process.argv.slice(2)
const entry = fileURLToPath(new URL('./ordinary-child.mjs', import.meta.url))
const settings = { folder }

try {
  const supervisor = await PlantSupervisor.start({
    dataDirectory,
    roles: {
      journal: { entry, count: 1, spares: 0 },
      worker: { entry, count: Number(workers), spares: 1 },
      gateway: { entry, count: 1, spares: 0 },
    },
    limits: { ...SUPERVISION_LIMITS, stopWithinMs: 3000 },
    isNew: () => true,
    neededBytes: 0,
    beforeStart: () => ({ journal: settings, worker: settings, gateway: settings }),
    assign: () => ({}),
    hasLogFiles: true,
    clock: systemClock,
  })
  const ended = stopOnSignals(supervisor)
  await supervisor.whenReady()
  process.stdout.write('ready\n')
  process.exitCode = await ended
} catch (error) {
  process.stderr.write(`${error.code} ${error.message}\n`)
  process.exitCode = 1
}
