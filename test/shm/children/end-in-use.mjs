// Ends while everything is in use: first in worker threads, of which every other one is terminated, then in the process itself.
import { constants, openSync } from 'node:fs'
import { createRequire } from 'node:module'
import { isMainThread, Worker, workerData } from 'node:worker_threads'

const [addonPath, path, bellPath, ending] = isMainThread ? process.argv.slice(2) : workerData
const addon = createRequire(import.meta.url)(addonPath)

const mapping = new addon.Mapping(openSync(path, 'r+'), 4096, true)
const words = new Int32Array(mapping.buffer)
const inUse = [new addon.Pulse(mapping, 0, 1), new addon.Bell(openSync(bellPath, constants.O_RDWR | constants.O_NONBLOCK), () => {})]

if (isMainThread) {
  for (let round = 1; round <= 4; round++) {
    const worker = new Worker(new URL(import.meta.url), {
      workerData: [addonPath, path, bellPath, round % 2 === 0 ? 'terminated' : 'exits'],
    })
    const exit = new Promise((resolve) => {
      worker.once('exit', resolve)
    })
    while (Atomics.load(words, 1) < round) await new Promise(setImmediate)
    if (round % 2 === 0) await worker.terminate()
    await exit
  }
  process.stdout.write(`4 workers ended, ${inUse.length} things in use\n`)
  process.exit(7)
} else {
  Atomics.add(words, 1, 1)
  if (ending === 'exits') process.exit(0)
}
