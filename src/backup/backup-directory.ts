import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { type BackupList, readBackupList } from './backup-list.js'
import { backupWriteFailed } from './copy-log.js'

/** Says that a directory is for backups, from before the first one is whole. */
const MARK = '.millrace-backup'
export const LOCK_NAME = 'backup.lock'
/** What backups make, beside the list. */
const OURS = /^((format|catalog|source|plant|\d{12,}\.active)-.*|.*\.segment(\..*\.part)?|backup\.json\.part)$/
const SUBFOLDERS = ['.', 'segments']

/**
 * Makes a directory one for backups, or finds that it is; the list of the backup in it, if it has one. Throws ERR_BACKUP_TARGET when it has other things,
 * ERR_BACKUP_WRITE, and what reading the list throws.
 */
export function openBackupDirectory(directory: string): BackupList | undefined {
  if (existsSync(directory) && readdirSync(directory).length > 0) {
    const list = readBackupList(directory)
    if (list === undefined && !existsSync(join(directory, MARK))) {
      throw new MillraceError('ERR_BACKUP_TARGET', {
        fact: 'the directory has something in it that is no backup',
        action: 'operator',
        values: { directory },
        next: 'name an empty or a new directory, or one that has an earlier backup of the same log',
      })
    }
    return list
  }
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    writeFileSync(join(directory, MARK), '', { mode: 0o600 })
  } catch (cause) {
    throw backupWriteFailed(directory, cause)
  }
  return undefined
}

/** Throws ERR_BACKUP_TARGET unless the list, if any, is of this log. */
export function checkSameLog(directory: string, list: BackupList | undefined, log: string): void {
  if (list === undefined || list.log === log) return
  throw new MillraceError('ERR_BACKUP_TARGET', {
    fact: 'the directory has a backup of another log',
    action: 'operator',
    values: { directory, has: list.log, log },
    next: 'name a directory of its own for each log',
  })
}

/** Removes what backups made and the list does not name: what an interruption left, and what only the backup before needed. */
export function removeUnlisted(directory: string, list: BackupList | undefined): void {
  const listed = new Set(list?.files.map(({ path }) => join(path)))
  for (const folder of SUBFOLDERS) {
    const path = join(directory, folder)
    if (!existsSync(path)) continue
    for (const name of readdirSync(path)) {
      if (OURS.test(name) && !listed.has(join(folder, name))) rmSync(join(path, name), { force: true, recursive: true })
    }
  }
}
