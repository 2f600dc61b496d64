import { Worker } from 'node:worker_threads'

const LOOK_EVERY_MS = 500

/**
 * Ends this process with SIGKILL soon after its parent has ended, from a thread of its own: for a process that runs code which may never return, so that it would not see its
 * lifeline close.
 */
export function endWithParent(): void {
  const { ppid } = process
  const watch = `setInterval(() => process.ppid === ${ppid} || process.kill(process.pid, 'SIGKILL'), ${LOOK_EVERY_MS})`
  new Worker(watch, { eval: true, env: {} }).unref()
}
