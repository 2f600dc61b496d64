// Hears a bell, with nothing else to do: only the bell and its input keep it alive.
import { constants, openSync } from 'node:fs'
import { createRequire } from 'node:module'

const [addonPath, path] = process.argv.slice(2)
const addon = createRequire(import.meta.url)(addonPath)

const bell = new addon.Bell(openSync(path, constants.O_RDWR | constants.O_NONBLOCK), () => {
  process.stdout.write('rung\n')
})
process.stdin.on('end', () => bell.close())
process.stdin.resume()
process.stdout.write('listening\n')
