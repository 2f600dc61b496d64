// Beats in an int32 of a file.
import { closeSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'

const [addonPath, path, byteOffset] = process.argv.slice(2)
const addon = createRequire(import.meta.url)(addonPath)

const fd = openSync(path, 'r+')
const mapping = new addon.Mapping(fd, 4096, true)
closeSync(fd)
const pulse = new addon.Pulse(mapping, Number(byteOffset), 1)
process.stdin.on('end', () => pulse.stop())
process.stdout.write('beating\n')
process.stdin.resume()
