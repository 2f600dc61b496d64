import { askSupervisor } from './ask-supervisor.js'
import type { Run } from './command.js'
import { dataDirectoryOf } from './place.js'

const STOP_WITHIN_MS = 60_000

/** Stops the plant that runs on a data directory and waits until the directory is free. */
export const runDown: Run = async (_args, options, output) => {
  const { ms } = (await askSupervisor(dataDirectoryOf(options), 'stop', { force: options['force'] === true }, STOP_WITHIN_MS)) as {
    ms: number
  }
  if (output.isJson) output.json({ stopped: true, ms })
  else output.line(`The plant has stopped within ${Math.round(ms)} ms.`)
  return 0
}
