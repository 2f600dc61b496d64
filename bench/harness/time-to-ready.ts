import { spawn } from 'node:child_process'
import { MillraceError } from '#base/errors.js'

const READY_WITHIN_MS = 60_000
const STOPPED_WITHIN_MS = 30_000

/**
 * Starts `node ARGS`, a `millrace up --json`, and answers the milliseconds from the spawn to its line that says ready; then stops it and
 * waits until it has ended with exit code 0. Throws ERR_BENCH_FAILED with what it said.
 */
export async function timeToReady(args: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const startedMs = performance.now()
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const ended = new Promise<number | string>((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal ?? 'gone')))
  const ready = new Promise<number>((resolve, reject) => {
    let printed = ''
    child.stdout.on('data', (chunk: Buffer) => {
      printed += chunk.toString()
      if (/"ready":true/.test(printed)) resolve(performance.now() - startedMs)
    })
    void ended.then((end) => reject(failed(`it ended with ${end} before it was ready`, said)))
  })
  try {
    const readyMs = await within(ready, READY_WITHIN_MS, () => failed('it was not ready in time', said))
    child.kill('SIGTERM')
    const end = await within(ended, STOPPED_WITHIN_MS, () => failed('it did not stop in time', said))
    if (end !== 0) throw failed(`it ended with ${end}`, said)
    return readyMs
  } finally {
    child.kill('SIGKILL')
  }
}

async function within<T>(promise: Promise<T>, ms: number, error: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(error()), ms)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
  }
}

function failed(how: string, said: string): MillraceError {
  return new MillraceError('ERR_BENCH_FAILED', {
    fact: 'a plant could not be timed',
    action: 'operator',
    values: { how, said: said.trim().slice(-500) },
  })
}
