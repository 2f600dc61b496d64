// Two processes and one channel in shared memory between them: npm run example -- bus
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const directory = mkdtempSync('/dev/shm/millrace-example-')
const ends = ['receiver.js', 'sender.js'].map((file) => fork(fileURLToPath(new URL(file, import.meta.url)), [directory]))
const codes = await Promise.all(ends.map((end) => once(end, 'exit').then(([code]) => code)))
rmSync(directory, { recursive: true })
process.exitCode = codes.every((code) => code === 0) ? 0 : 1
