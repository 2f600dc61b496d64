import { runWorkerProcess } from '#runtime/worker-process.js'

await runWorkerProcess()
