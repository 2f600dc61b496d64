import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { Clock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import { isAlive } from '#shm/index.js'
import { replaceFileSync } from './durable-file.js'
import type { LivingProcess } from './supervision-options.js'

const KILL_WITHIN_MS = 5000
const LOOK_EVERY_MS = 2

/**
 * Makes the plant's living processes known to the next supervisor of the data directory: durable when it returns. Written before any of them
 * is given a seat, so that whoever may act for the plant stands in it.
 */
export function recordProcessesSync(path: string, processes: readonly LivingProcess[]): void {
  replaceFileSync(path, `${JSON.stringify({ boot: bootId(), processes })}\n`)
}

/**
 * SIGKILLs whatever still lives of the processes recorded by an earlier supervisor, and waits until they are gone; resolves to those it found
 * alive. A pid that meanwhile belongs to another process is left alone: the start time tells. The caller holds the data directory's lock.
 * Rejects with ERR_PROCESS_RECORD when the record is damaged, ERR_LEFTOVER when one cannot be killed.
 */
export async function fenceLeftovers(path: string, clock: Clock, withinMs = KILL_WITHIN_MS): Promise<readonly LivingProcess[]> {
  const leftovers = readRecord(path).filter(isAlive)
  for (const leftover of leftovers) kill(leftover)
  const deadlineMs = clock.monotonicMs() + withinMs
  for (;;) {
    const alive = leftovers.find(isAlive)
    if (alive === undefined) return leftovers
    if (clock.monotonicMs() > deadlineMs) throw cannotKill(alive, undefined)
    // Not the clock's timer: that would let the process end here, where nothing else keeps it.
    await setTimeout(LOOK_EVERY_MS)
  }
}

function readRecord(path: string): readonly LivingProcess[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw damaged(path, error)
  }
  try {
    const record = JSON.parse(text) as { readonly boot: string; readonly processes: readonly LivingProcess[] }
    if (typeof record.boot !== 'string' || !record.processes.every(isOne)) throw new TypeError('not a process record')
    return record.boot === bootId() ? record.processes : []
  } catch (error) {
    throw damaged(path, error)
  }
}

function isOne({ pid, startTime }: LivingProcess): boolean {
  return Number.isInteger(pid) && pid > 1 && Number.isInteger(startTime)
}

function kill(leftover: LivingProcess): void {
  try {
    process.kill(leftover.pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw cannotKill(leftover, error)
  }
}

/** Pids and start times mean something within one boot of the machine only. */
function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}

function damaged(path: string, cause: unknown): MillraceError {
  return new MillraceError('ERR_PROCESS_RECORD', {
    fact: 'the record of the last run of this plant cannot be read',
    action: 'operator',
    values: { path },
    next: 'make sure that no process of this plant lives (`pgrep -af millrace`), then remove the file',
    cause,
  })
}

function cannotKill(leftover: LivingProcess, cause: unknown): MillraceError {
  return new MillraceError('ERR_LEFTOVER', {
    fact: 'a process of an earlier run of this plant lives and cannot be killed',
    action: 'operator',
    values: { role: leftover.role, pid: leftover.pid },
    next: 'kill it as the user that started it, or restart the machine if it hangs in a disk',
    cause,
  })
}
