import { isMillraceError, messageOf } from '#base/errors.js'
import { openToolLifeline } from '#processes/tool-process.js'
import { supervise } from '#runtime/supervise.js'

/**
 * A supervisor for a tool: demo, drill, or a command that needs a plant for a moment. Its one argument is JSON: plantFile, dataDirectory,
 * configFile. Says that it is ready when the plant is, and stops the plant when the tool is gone. When the plant cannot start, it says why in
 * one line on standard error.
 */
const { plantFile, dataDirectory, configFile } = JSON.parse(process.argv[2] ?? '{}') as {
  plantFile: string
  dataDirectory: string
  configFile?: string
}
const { supervisor, started } = await supervise({
  plantFile,
  dataDirectory,
  ...(configFile === undefined ? {} : { configFile }),
  env: process.env,
  hasLogFiles: true,
}).catch(fail)
const stop = () => void supervisor.stop().finally(() => process.exit(0))
process.on('SIGTERM', stop)
process.on('SIGINT', () => {})
await started.catch(async (error: unknown) => {
  await supervisor.stop()
  fail(error)
})
openToolLifeline(stop)

function fail(error: unknown): never {
  process.stderr.write(`${isMillraceError(error) || !(error instanceof Error) ? messageOf(error) : error.stack}\n`)
  process.exit(1)
}
