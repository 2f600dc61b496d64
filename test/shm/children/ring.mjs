// Rings a bell for every line that it reads.
import { constants, openSync, writeSync } from 'node:fs'

const [, path] = process.argv.slice(2)
const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)

process.stdin.on('data', () => {
  writeSync(fd, 'r')
})
