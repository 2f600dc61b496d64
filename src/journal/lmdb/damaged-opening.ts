import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { MillraceError, messageOf } from '#base/errors.js'
import { logPaths } from './directory.js'
import { DATA_FILE } from './environment.js'

/** Why a log in a directory, which is in its plant's data directory, is not opened: damage of which it is not known whom it hit. The code is that of the damage. */
export function notLearnt(damage: MillraceError, directory: string): MillraceError {
  const { segment } = damage.values
  const data = dirname(directory)
  return new MillraceError(damage.code, {
    fact: `the log is not opened, since nothing tells which entities were hit where it is damaged, ${messageOf(damage.cause ?? damage)}`,
    action: 'operator',
    values: { ...damage.values, ...(typeof segment === 'string' ? { file: fileOf(directory, segment) } : {}) },
    next: `look with \`millrace log verify --data ${data}\`, then give up what is gone with \`millrace log repair --data ${data}\`, or restore a backup`,
    cause: damage,
  })
}

/** Why no segment is dropped. */
export function headsInDoubt(segment: string, entityCount: number): MillraceError {
  return new MillraceError('ERR_BLOCK_DAMAGED', {
    fact: 'no segment is dropped while damage leaves open where some entities stand: the log has to tell at each opening',
    action: 'operator',
    values: { segment, entities: entityCount },
    next: 'stop the plant and run millrace log repair, or restore a backup',
  })
}

function fileOf(directory: string, segment: string): string {
  const path = join(logPaths(directory).log, segment)
  return existsSync(join(path, DATA_FILE)) ? join(path, DATA_FILE) : path
}
