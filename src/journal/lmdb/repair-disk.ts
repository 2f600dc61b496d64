import { constants } from 'node:os'
import { isMillraceError, MillraceError, messageOf } from '#base/errors.js'
import { isOutOfRoom } from './environment.js'

/**
 * What repair has just done. Sealed files one after the other: its new file is whole, under the name of a draft; it has its own name, and the damaged one a second in the attic;
 * the manifest has it, which puts it in the other's place; the other is gone. Then what is not sealed, together: the new files are whole; it is decided (pending-repair.ts); heads are
 * forgotten; the manifest tells; one file has taken the place of the damaged one; it is over.
 */
export type RepairStep = 'written' | 'kept' | 'listed' | 'unlinked' | 'drafted' | 'decided' | 'forgotten' | 'told' | 'swapped' | 'over'

/**
 * Does something with the disk for repair. Throws ERR_DISK_FULL without room and ERR_REPAIR_DISK for anything else that the disk refuses: both leave a log that repair can be run
 * on again.
 */
export async function onDisk<T>(file: string, work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const cause = await reasonOf(error)
    if (isMillraceError(cause) || !(cause instanceof Error) || !('code' in cause)) throw error
    throw isOutOfRoom(cause) || OUT_OF_ROOM.has(cause.code) ? noRoom(file, cause) : diskRefused(file, cause)
  }
}

/** As LMDB says it. */
const OUT_OF_ROOM: ReadonlySet<unknown> = new Set([constants.errno.ENOSPC, constants.errno.EDQUOT])

/** What the disk said: a journal that runs words it for itself, and LMDB hands it in by a promise. */
async function reasonOf(failure: unknown): Promise<unknown> {
  if (isMillraceError(failure)) return isMillraceError(failure, 'ERR_JOURNAL_DISK') ? reasonOf(failure.cause) : failure
  if (!(failure instanceof Error) || !('commitError' in failure)) return failure
  return Promise.resolve(failure.commitError).catch((reason: unknown) => reason)
}

function noRoom(file: string, cause: unknown): MillraceError {
  return new MillraceError('ERR_DISK_FULL', {
    fact: 'the disk has no room for what repair writes',
    action: 'operator',
    values: { file },
    next: 'free some space, then run millrace log repair again; nothing more of the log is lost',
    cause,
  })
}

function diskRefused(file: string, cause: unknown): MillraceError {
  return new MillraceError('ERR_REPAIR_DISK', {
    fact: 'repair could not read or write a file',
    action: 'operator',
    values: { file, why: messageOf(cause) },
    next: 'look at the disk, then run millrace log repair again, on a copy of the data directory on another disk if this one fails; nothing more of the log is lost',
    cause,
  })
}
