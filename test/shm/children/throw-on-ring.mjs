// Hears a bell with a listener that throws.
import { constants, openSync } from 'node:fs'
import { createRequire } from 'node:module'

const [addonPath, path] = process.argv.slice(2)
const addon = createRequire(import.meta.url)(addonPath)

const bell = new addon.Bell(openSync(path, constants.O_RDWR | constants.O_NONBLOCK), () => {
  throw new Error('out of tune')
})
process.on('uncaughtException', (error, origin) => {
  process.stdout.write(`${origin}: ${error.message}\n`)
  bell.close()
  process.stdin.destroy()
})
process.stdin.resume()
process.stdout.write('listening\n')
