import { readFileSync } from 'node:fs'
import { checkWhole } from './argument.js'

/** Which process, for good: pids are used again, a pid together with its start is not until the machine boots anew. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks between the machine's boot and the process's start, whole and below 2^53. 0 where there is no /proc. */
  readonly startTime: number
}

const PID_MAX = 2 ** 22

// In /proc/<pid>/stat (proc(5)) the name in parentheses is field 2, the state field 3 and the start time field 22.
const STATE_FIELD = 3
const START_TIME_FIELD = 22

let own: ProcessIdentity | undefined

/** This process. */
export function ownProcess(): ProcessIdentity {
  own ??= { pid: process.pid, startTime: processStartTime(process.pid) ?? 0 }
  return own
}

/**
 * When the process started, in clock ticks since boot, or undefined when there is none that lives. A zombie does not: it has ended, only
 * its parent has not looked yet. Undefined for every pid where there is no /proc.
 */
export function processStartTime(pid: number): number | undefined {
  checkWhole('pid', pid, 1, PID_MAX)
  const stat = readIfThere(`/proc/${pid}/stat`)
  return stat === undefined ? undefined : parseStartTime(stat)
}

/** Whether this very process lives. Where there is no /proc, whether any process has the pid. */
export function isAlive(identity: ProcessIdentity): boolean {
  checkWhole('pid', identity.pid, 1, PID_MAX)
  checkWhole('startTime', identity.startTime, 0, Number.MAX_SAFE_INTEGER)
  if (process.platform !== 'linux') return isPidTaken(identity.pid)
  return processStartTime(identity.pid) === identity.startTime
}

/** The start time in the text of /proc/<pid>/stat, or undefined for a process that has ended. The name may hold spaces and parentheses. */
export function parseStartTime(stat: string): number | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[0]
  const startTime = Number(fields[START_TIME_FIELD - STATE_FIELD])
  const hasEnded = state === 'Z' || state === 'X' || state === 'x'
  return hasEnded || !Number.isSafeInteger(startTime) ? undefined : startTime
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    // ENOENT before the read, ESRCH in it when the process ends just then.
    return undefined
  }
}

function isPidTaken(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as { code?: string }).code === 'EPERM'
  }
}
