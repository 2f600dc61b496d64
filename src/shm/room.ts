import { statfsSync } from 'node:fs'
import { MillraceError } from '#base/errors.js'
import { checkPath, checkWhole } from './argument.js'
import { explain } from './failure.js'

const MIB = 1024 * 1024

/** Bytes that this user may still allocate on the file system of `directory`. */
export function freeBytes(directory: string): number {
  checkPath('directory', directory)
  try {
    const { bavail, bsize } = statfsSync(directory)
    return bavail * bsize
  } catch (error) {
    throw explain(error, { fact: 'free room cannot be asked for', values: { path: directory } })
  }
}

/**
 * Throws ERR_SHM_NO_ROOM with the numbers unless `neededBytes` are free where `directory` lies. A first look before many files are made;
 * another process may take the room meanwhile, so each file's own allocation has the last word.
 */
export function checkRoom(directory: string, neededBytes: number): void {
  checkWhole('neededBytes', neededBytes, 0, Number.MAX_SAFE_INTEGER)
  const free = freeBytes(directory)
  if (free < neededBytes) throw noRoomError(directory, neededBytes, free)
}

export function noRoomError(path: string, neededBytes: number, free: number, cause?: unknown): MillraceError {
  const sizeMiB = Math.ceil(neededBytes / MIB)
  return new MillraceError('ERR_SHM_NO_ROOM', {
    fact: 'there is too little room for shared memory',
    action: 'operator',
    values: { path, neededBytes, freeBytes: free },
    next: `make the file system larger by ${Math.max(1, Math.ceil((neededBytes - free) / MIB))} MiB (docker run --shm-size=${roundUp(sizeMiB, 64)}m, which is 64m unless given), or configure smaller rings`,
    cause,
  })
}

/** Some room beside what was asked for, in steps that a person would write. */
function roundUp(value: number, step: number): number {
  return (Math.floor(value / step) + 1) * step
}
