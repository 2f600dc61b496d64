import { lstatSync, mkdirSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { sha256Hex } from '#base/hash.js'
import { checkPath, checkWhole } from './argument.js'
import { explain } from './failure.js'
import { checkRoom } from './room.js'

/** Where shared memory lives on Linux: a file system in memory, emptied at boot. */
export const RUNTIME_ROOT = '/dev/shm'

const HASH_LETTERS = 16

export interface RuntimeDirectoryOptions {
  /** What the plant is going to allocate there. */
  readonly neededBytes: number
  /** Default RUNTIME_ROOT. */
  readonly root?: string
}

/**
 * The place of a plant's shared memory: `<root>/millrace-<uid>/<hash of the data directory's real path>`, so that who knows the data
 * directory finds it. Touches nothing but the data directory, which must exist.
 */
export function runtimeDirectoryOf(dataDirectory: string, root = RUNTIME_ROOT): string {
  checkPath('dataDirectory', dataDirectory)
  checkPath('root', root)
  return join(userDirectory(root), sha256Hex(realPath(dataDirectory)).slice(0, HASH_LETTERS))
}

/**
 * Makes the directory, mode 0700, empties it of what an earlier plant left, and returns its path. The caller holds the data directory's lock
 * and has seen the earlier plant's processes dead. ERR_RUNTIME_DIRECTORY when somebody else owns it or may enter it; ERR_SHM_NO_ROOM with
 * the numbers when `neededBytes` are not free.
 */
export function createRuntimeDirectory(dataDirectory: string, options: RuntimeDirectoryOptions): string {
  const { neededBytes, root = RUNTIME_ROOT } = options
  checkWhole('neededBytes', neededBytes, 0, Number.MAX_SAFE_INTEGER)
  const path = runtimeDirectoryOf(dataDirectory, root)
  makePrivate(userDirectory(root))
  makePrivate(path)
  attemptTo('a runtime directory cannot be emptied', path, () => {
    for (const name of readdirSync(path)) rmSync(join(path, name), { recursive: true, force: true })
  })
  checkRoom(path, neededBytes)
  return path
}

/** Path of the directory of a plant that is there, or undefined. Refuses what `createRuntimeDirectory` refuses. */
export function findRuntimeDirectory(dataDirectory: string, root = RUNTIME_ROOT): string | undefined {
  const path = runtimeDirectoryOf(dataDirectory, root)
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return undefined
  checkPrivate(userDirectory(root))
  checkPrivate(path)
  return path
}

/** Removes the directory with all that is in it. Processes that have it mapped keep their memory. */
export function removeRuntimeDirectory(path: string): void {
  checkPath('path', path)
  attemptTo('a runtime directory cannot be removed', path, () => rmSync(path, { recursive: true, force: true }))
}

function userDirectory(root: string): string {
  return join(root, `millrace-${ownUserId()}`)
}

function ownUserId(): number {
  return process.getuid?.() ?? 0
}

function makePrivate(path: string): void {
  attemptTo('a runtime directory cannot be made', path, () => {
    try {
      mkdirSync(path, { mode: 0o700 })
    } catch (error) {
      if ((error as { code?: string }).code !== 'EEXIST') throw error
    }
  })
  checkPrivate(path)
}

/** Not stat: a link that another user put there would lead the plant's memory to a place of his choice. */
function checkPrivate(path: string): void {
  const stats = attemptTo('a runtime directory cannot be looked at', path, () => lstatSync(path))
  const mode = `0${(stats.mode & 0o777).toString(8)}`
  if (!stats.isDirectory()) refuse('the runtime directory is not a directory', { path })
  if (stats.uid !== ownUserId()) refuse('the runtime directory belongs to another user', { path, uid: stats.uid, ownUid: ownUserId() })
  if ((stats.mode & 0o077) !== 0) refuse('the runtime directory lets others in', { path, mode })
  if ((stats.mode & 0o700) !== 0o700) refuse('the runtime directory does not let its owner in', { path, mode })
}

function refuse(fact: string, values: Readonly<Record<string, unknown>>): never {
  throw new MillraceError('ERR_RUNTIME_DIRECTORY', { fact, action: 'operator', values, next: 'remove it, or make it yours with mode 0700' })
}

function realPath(dataDirectory: string): string {
  return attemptTo('the data directory cannot be found', dataDirectory, () => realpathSync(dataDirectory))
}

function attemptTo<Result>(fact: string, path: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw explain(error, { fact, values: { path } })
  }
}
