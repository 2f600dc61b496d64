import { readdirSync, readFileSync } from 'node:fs'

/** Nanoseconds that all threads of a process have run so far, as the scheduler counts them; 0 when it is gone. */
export function cpuNsOf(pid: number): number {
  try {
    const tasks = readdirSync(`/proc/${pid}/task`)
    return tasks.reduce((sum, task) => sum + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]), 0)
  } catch {
    return 0
  }
}

/** Megabytes of memory that a process has resident; 0 when it is gone. */
export function residentMbOf(pid: number): number {
  try {
    const [, kilobytes = '0'] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    return Number(kilobytes) / 1024
  } catch {
    return 0
  }
}
