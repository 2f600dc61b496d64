import { fstatSync, ftruncateSync, readFileSync, readSync, writeSync } from 'node:fs'
import { isAlive, ownProcess, type ProcessIdentity } from './liveness.js'

/**
 * A record always takes that much, and a lock that is given back leaves a blank one: what is written over in place needs no room, so that a plant starts also when the last byte of
 * the disk is gone.
 */
const RECORD_BYTES = 64

/** Who holds a lock, as the lock file says it: `pid startTime boot`, one line of text, padded with blanks. */
export interface LockRecord extends ProcessIdentity {
  /** Which boot of the machine the start time counts from; empty where the system does not tell. */
  readonly boot: string
}

export function ownRecord(): LockRecord {
  return { ...ownProcess(), boot: bootId() }
}

/** The record in the file, or undefined when there is none that can be read. */
export function readRecord(fd: number): LockRecord | undefined {
  const bytes = Buffer.alloc(RECORD_BYTES)
  const text = bytes.toString('latin1', 0, readSync(fd, bytes, 0, RECORD_BYTES, 0))
  const match = /^([1-9]\d{0,6}) (\d{1,15}) ([\w-]*) *\n$/.exec(text)
  return match === null ? undefined : { pid: Number(match[1]), startTime: Number(match[2]), boot: match[3] as string }
}

export function writeRecord(fd: number, record: LockRecord): void {
  writeLine(fd, `${record.pid} ${record.startTime} ${record.boot}`)
}

export function clearRecord(fd: number): void {
  if (fstatSync(fd).size > 0) writeLine(fd, '')
}

function writeLine(fd: number, text: string): void {
  writeSync(fd, `${text.padEnd(RECORD_BYTES - 1)}\n`, 0, 'latin1')
  if (fstatSync(fd).size > RECORD_BYTES) ftruncateSync(fd, RECORD_BYTES)
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
