import { closeSync, constants, openSync, statSync, unlinkSync } from 'node:fs'
import { MillraceError } from '#base/errors.js'
import { checkPath } from './argument.js'
import { closedError, explain } from './failure.js'
import { clearRecord, isHolderAlive, type LockRecord, ownRecord, readRecord, writeRecord } from './lock-record.js'
import { addon, hasAddon } from './native.js'

/** How old the mark of a taker may be before it must have died in the act, which takes well under a millisecond. */
const TAKING_MS_MAX = 10_000

/** A lock that this process holds. */
export class FileLock {
  readonly path: string
  readonly #fd: number
  #isClosed = false

  /**
   * Takes the exclusive lock that the file at `path` stands for, made with mode 0600 if need be; never waits. It ends with `close` or with the
   * process, however that ends, and children do not inherit it. ERR_LOCK_HELD, with the holder's pid where it is known, when somebody has it,
   * this process included. Never remove the file: a lock on a removed file keeps nobody out.
   *
   * With the addon the kernel keeps the lock (fcntl F_OFD_SETLK) and the record in the file is there to name the holder. Without it, for
   * inline plants, the record is the lock: it holds as long as the process that it names lives. Both forms respect each other. The second one
   * cannot see holders in other containers or on other machines.
   */
  static acquire(path: string): FileLock {
    checkPath('path', path)
    const attempt = { fact: 'a file lock cannot be taken', values: { path } }
    let fd: number | undefined
    try {
      fd = openSync(path, constants.O_RDWR | constants.O_CREAT, 0o600)
      if (hasAddon()) takeFromKernel(path, fd)
      else takeByRecord(path, fd)
      return new FileLock(path, fd)
    } catch (error) {
      if (fd !== undefined) closeSync(fd)
      throw explain(error, attempt)
    }
  }

  private constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }

  /** Lets others have it. The file stays, and names nobody. ERR_SHM_CLOSED when called again. */
  close(): void {
    if (this.#isClosed) throw closedError('file lock', this.path)
    this.#isClosed = true
    try {
      clearRecord(this.#fd)
    } finally {
      closeSync(this.#fd)
    }
  }
}

function takeFromKernel(path: string, fd: number): void {
  if (!addon().tryLock(fd)) throw heldError(path, readRecord(fd))
  recordUnlessHeld(path, fd)
}

/** The mark beside the lock file keeps two takers from finding the same dead holder. */
export function takeByRecord(path: string, fd: number): void {
  const mark = `${path}.taking`
  closeSync(openMark(path, mark))
  try {
    recordUnlessHeld(path, fd)
  } finally {
    unlinkSync(mark)
  }
}

function recordUnlessHeld(path: string, fd: number): void {
  const holder = readRecord(fd)
  if (holder !== undefined && isHolderAlive(holder)) throw heldError(path, holder)
  writeRecord(fd, ownRecord())
}

function openMark(path: string, mark: string): number {
  const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY
  try {
    return openSync(mark, flags, 0o600)
  } catch (error) {
    if ((error as { code?: string }).code !== 'EEXIST') throw error
  }
  const made = statSync(mark, { throwIfNoEntry: false })?.mtimeMs
  if (made !== undefined && Date.now() - made < TAKING_MS_MAX) throw heldError(path, undefined)
  if (made !== undefined) unlinkSync(mark)
  return openSync(mark, flags, 0o600)
}

function heldError(path: string, holder: LockRecord | undefined): MillraceError {
  const pid = holder !== undefined && isHolderAlive(holder) ? holder.pid : undefined
  return new MillraceError('ERR_LOCK_HELD', {
    fact: pid === process.pid ? 'this process holds the lock already' : 'another process holds the lock',
    action: 'operator',
    values: { path, pid: pid ?? 'unknown' },
    next: pid === process.pid ? 'close it first' : 'end that process first',
  })
}
