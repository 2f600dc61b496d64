import { fstatSync, ftruncateSync, readFileSync, readSync, writeSync } from 'node:fs'
import { isAlive, ownProcess, type ProcessIdentity } from './liveness.js'

const RECORD_BYTES_MAX = 200

/** Who holds a lock, as the lock file says it: `pid startTime boot`, one line of text. */
export interface LockRecord extends ProcessIdentity {
  /** Which boot of the machine the start time counts from; empty where the system does not tell. */
  readonly boot: string
}

export function ownRecord(): LockRecord {
  return { ...ownProcess(), boot: bootId() }
}

/** The record in the file, or undefined when there is none that can be read. */
export function readRecord(fd: number): LockRecord | undefined {
  const bytes = Buffer.alloc(RECORD_BYTES_MAX)
  const text = bytes.toString('latin1', 0, readSync(fd, bytes, 0, RECORD_BYTES_MAX, 0))
  const match = /^([1-9]\d{0,6}) (\d{1,15}) ([\w-]*)\n$/.exec(text)
  return match === null ? undefined : { pid: Number(match[1]), startTime: Number(match[2]), boot: match[3] as string }
}

export function writeRecord(fd: number, record: LockRecord): void {
  ftruncateSync(fd, 0)
  writeSync(fd, `${record.pid} ${record.startTime} ${record.boot}\n`, 0)
}

export function clearRecord(fd: number): void {
  if (fstatSync(fd).size > 0) ftruncateSync(fd, 0)
}

export function isHolderAlive(record: LockRecord): boolean {
  return record.boot === bootId() && isAlive(record)
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return ''
  }
}
