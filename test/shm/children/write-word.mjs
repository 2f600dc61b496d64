// Maps a file, waits for word 0 to become the number given, and answers in word 1 with its successor.
import { closeSync, openSync } from 'node:fs'
import { createRequire } from 'node:module'

const [addonPath, path, number] = process.argv.slice(2)
const addon = createRequire(import.meta.url)(addonPath)

const fd = openSync(path, 'r+')
const words = new Int32Array(new addon.Mapping(fd, 4096, true).buffer)
closeSync(fd)
process.stdout.write('mapped\n')
const look = setInterval(() => {
  if (Atomics.load(words, 0) !== Number(number)) return
  Atomics.store(words, 1, Number(number) + 1)
  clearInterval(look)
}, 1)
