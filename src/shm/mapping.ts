import { closeSync, constants, fchmodSync, fstatSync, openSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { argumentError, checkPath, checkWhole } from './argument.js'
import { closedError, explain } from './failure.js'
import { addon, type NativeMapping } from './native.js'
import { freeBytes, noRoomError } from './room.js'

/** The longest mapping. Positions of 32 bits cannot use more. */
export const MAPPING_BYTES_MAX = 2 ** 31

export type MappingAccess = 'write' | 'read'

let readNative: (mapping: Mapping) => NativeMapping

/**
 * A file in the memory of several processes. Views on `buffer` see each other's writes across processes, Atomics included (but Atomics.wait
 * and notify, which need a SharedArrayBuffer). Posting the buffer to a worker thread copies it: open the file there once more.
 *
 * Never truncate a mapped file. Touching memory beyond its new end is SIGBUS, which kills the process and cannot be caught; nothing here
 * does, and the runtime directory keeps other users out.
 */
export class Mapping {
  static {
    readNative = (mapping) => mapping.#native
  }

  readonly path: string
  readonly access: MappingAccess
  readonly byteLength: number
  readonly #native: NativeMapping
  #isClosed = false

  /**
   * Creates a file of `bytes` zeros, mode 0600, and maps it for writing. Every block is allocated, so that no later store meets a full disk
   * (that would be SIGBUS too). Others that open it see length 0 until it is whole, never a part. ERR_SHM_EXISTS when something has that name;
   * ERR_SHM_NO_ROOM with the numbers, and nothing left behind, when it does not fit.
   */
  static create(path: string, bytes: number): Mapping {
    checkPath('path', path)
    checkWhole('bytes', bytes, 1, MAPPING_BYTES_MAX)
    const native = addon()
    const attempt = { fact: 'a file for shared memory cannot be created', values: { path, bytes } }
    const { O_CREAT, O_EXCL, O_RDWR } = constants
    const fd = attemptTo(attempt, () => openSync(path, O_CREAT | O_EXCL | O_RDWR, 0o600))
    try {
      fchmodSync(fd, 0o600)
      native.allocate(fd, bytes)
      return new Mapping(path, 'write', bytes, new native.Mapping(fd, bytes, true))
    } catch (error) {
      unlinkSync(path)
      if (isNoRoom(error)) throw noRoomError(path, bytes, freeBytes(dirname(path)), error)
      throw explain(error, attempt)
    } finally {
      closeSync(fd)
    }
  }

  /** Maps a file that exists. ERR_SHM_MISSING, ERR_SHM_ACCESS, ERR_SHM_NOT_A_FILE and those named above. */
  static open(path: string, options: MappingOptions = {}): Mapping {
    const { access = 'write', bytes } = options
    checkPath('path', path)
    if (access !== 'write' && access !== 'read') throw argumentError('access', "'write' or 'read'", access)
    if (bytes !== undefined) checkWhole('bytes', bytes, 1, MAPPING_BYTES_MAX)
    const native = addon()
    const attempt = { fact: 'shared memory cannot be opened', values: { path, access, ...(bytes === undefined ? {} : { bytes }) } }
    // Without O_NONBLOCK a FIFO of that name would block until somebody writes.
    const flags = (access === 'write' ? constants.O_RDWR : constants.O_RDONLY) | constants.O_NONBLOCK
    const fd = attemptTo(attempt, () => openSync(path, flags))
    try {
      const byteLength = mappableBytes(fd, path, access, bytes)
      return new Mapping(path, access, byteLength, new native.Mapping(fd, byteLength, access === 'write'))
    } catch (error) {
      throw explain(error, attempt)
    } finally {
      closeSync(fd)
    }
  }

  private constructor(path: string, access: MappingAccess, byteLength: number, native: NativeMapping) {
    this.path = path
    this.access = access
    this.byteLength = byteLength
    this.#native = native
  }

  /** Always the same buffer, page-aligned. Keeps the memory mapped as long as any view on it lives. ERR_SHM_CLOSED after `close`. */
  get buffer(): ArrayBuffer {
    if (this.#isClosed) throw closedError('mapping', this.path)
    return this.#native.buffer
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /**
   * Unmaps at once (or when the last pulse in it stops) and leaves every view on the buffer with length 0, where reads are undefined and
   * Atomics throw. The file stays. ERR_SHM_CLOSED when called again.
   */
  close(): void {
    if (this.#isClosed) throw closedError('mapping', this.path)
    this.#isClosed = true
    this.#native.close()
  }
}

export interface MappingOptions {
  /**
   * `write`, the default: shared both ways. ERR_SHM_READ_ONLY for a file without its owner's write permission, to root as well. `read`: needs the right
   * to read only and follows what others write; a write to it stays in this process and freezes that page of 4 KiB there. (A mapping
   * without write permission would make the same mistake a crash.)
   */
  readonly access?: MappingAccess
  /** How much to map from the start; ERR_SHM_SHORT when the file has less. Default: all of it. */
  readonly bytes?: number
}

/** The addon's side of a mapping, for the rest of this room. */
export function nativeOf(mapping: Mapping): NativeMapping {
  if (!(mapping instanceof Mapping)) throw argumentError('mapping', 'a Mapping', mapping)
  if (mapping.isClosed) throw closedError('mapping', mapping.path)
  return readNative(mapping)
}

function mappableBytes(fd: number, path: string, access: MappingAccess, bytes: number | undefined): number {
  const stats = fstatSync(fd)
  if (!stats.isFile()) {
    throw new MillraceError('ERR_SHM_NOT_A_FILE', { fact: 'shared memory must be a regular file', action: 'operator', values: { path } })
  }
  if (access === 'write' && (stats.mode & 0o200) === 0) {
    throw new MillraceError('ERR_SHM_READ_ONLY', {
      fact: 'shared memory cannot be opened for writing, since the file is marked read-only',
      action: 'operator',
      values: { path, mode: `0${(stats.mode & 0o777).toString(8)}` },
      next: 'chmod u+w, or open it for reading',
    })
  }
  const wanted = bytes ?? stats.size
  if (wanted > stats.size || wanted === 0 || wanted > MAPPING_BYTES_MAX) {
    throw new MillraceError(wanted > MAPPING_BYTES_MAX ? 'ERR_SHM_TOO_LONG' : 'ERR_SHM_SHORT', {
      fact: wanted > MAPPING_BYTES_MAX ? 'the file is longer than a mapping may be' : 'the file is shorter than what is to be mapped',
      action: 'operator',
      values: { path, bytes: Math.max(1, wanted), fileBytes: stats.size, bytesMax: MAPPING_BYTES_MAX },
    })
  }
  return wanted
}

function isNoRoom(error: unknown): boolean {
  const { code } = error as { code?: string }
  return code === 'ENOSPC' || code === 'EDQUOT'
}

function attemptTo<Result>(attempt: Parameters<typeof explain>[1], work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw explain(error, attempt)
  }
}
