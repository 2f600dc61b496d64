import { join } from 'node:path'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { FileLock } from '#shm/index.js'

export const PLANT_LOCK_NAME = 'plant.lock'

/**
 * Takes a data directory, which must exist, for one plant: of many processes or inline, needs no addon for the latter. Held until closed or until
 * this process ends. Throws ERR_PLANT_RUNNING naming the pid of the holder.
 */
export function takeDataDirectory(dataDirectory: string): FileLock {
  const path = join(dataDirectory, PLANT_LOCK_NAME)
  try {
    return FileLock.acquire(path)
  } catch (error) {
    if (!isMillraceError(error, 'ERR_LOCK_HELD')) throw error
    throw new MillraceError('ERR_PLANT_RUNNING', {
      fact: 'a plant runs on this data directory already',
      action: 'operator',
      values: { data: dataDirectory, pid: error.values.pid },
      next: 'stop it with `millrace down`, or choose another directory with --data',
      cause: error,
    })
  }
}
