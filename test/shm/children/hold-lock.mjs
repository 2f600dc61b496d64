// Takes the kernel's lock on a file and holds it until its end; writes the given record into it.
import { constants, openSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'

const [addonPath, path, record] = process.argv.slice(2)
const addon = createRequire(import.meta.url)(addonPath)

const fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
const isTaken = addon.tryLock(fd)
if (isTaken && record !== undefined) writeSync(fd, record.replaceAll('PID', String(process.pid)), 0)
process.stdout.write(isTaken ? 'taken\n' : 'refused\n')
process.stdin.resume()
