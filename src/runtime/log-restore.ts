import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { MillraceError } from '#base/errors.js'
import { type BackupFile, type BackupList, checkFiles, readBackupList, syncPath } from '#backup/backup-list.js'
import type { Finding } from '#journal/index.js'
import { streamControl } from '#processes/control-client.js'
import { takeDataDirectory } from '#processes/plant-lock.js'
import { TERM_FILE_NAME, TERM_MAX, TermCounter } from '#processes/term-counter.js'
import { startToolProcess } from '#processes/tool-process.js'
import { dataPaths, RESTORING } from './data-directory.js'
import { programEntry } from './package-root.js'
import type { RestoreItem } from './restore-service.js'

export interface RestoreOptions {
  /** A directory that `backupLog` made. */
  readonly backup: string
  /** A new or empty directory, or one in which a restore was interrupted. */
  readonly dataDirectory: string
  /** Restores a backup of a damaged log as it is. */
  readonly acceptsDamage?: boolean
  readonly onProgress?: (what: 'checked' | 'restored' | 'verified', done: number, total: number) => void
}

export interface RestoreReport {
  readonly data: string
  readonly log: string
  readonly created: string
  readonly firstPosition: number
  readonly endPosition: number
  readonly bytes: number
  readonly findings: readonly Finding[]
}

/**
 * The terms of a restored log begin so far above those of the backup that no row of it can be taken for one that was written after the backup, by the plant that
 * the backup is of.
 */
const TERMS_SKIPPED = 65_536

/**
 * Makes a data directory of a backup: checks every file of it, builds the log anew, verifies that, and only then gives it its name. Interrupted, the directory holds
 * no log, and no plant starts on it. Throws ERR_NO_BACKUP, ERR_BACKUP_DAMAGED, ERR_RESTORE_TARGET, ERR_LOG_DAMAGED when the restored log does not pass, ERR_PLANT_RUNNING.
 */
export async function restoreLog(options: RestoreOptions): Promise<RestoreReport> {
  const { acceptsDamage = false, onProgress = () => undefined } = options
  const backup = resolve(options.backup)
  const data = resolve(options.dataDirectory)
  const list = readBackupList(backup)
  if (list === undefined) throw noBackup(backup)
  if (list.damage.length > 0 && !acceptsDamage) throw damagedThen(backup, list.damage)
  checkTarget(data)
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const lock = takeDataDirectory(data)
  try {
    const draft = join(data, RESTORING)
    rmSync(draft, { recursive: true, force: true })
    mkdirSync(draft, { mode: 0o700 })
    const bytes = list.files.reduce((sum, file) => sum + file.bytes, 0)
    const sound = acceptsDamage && list.damage.length > 0 ? list.files.filter(({ kind }) => kind !== 'segment') : list.files
    await checkFiles(backup, sound, (done) => onProgress('checked', done, bytes))
    const { findings, term } = await build(backup, data, onProgress)
    const damaged = findings.filter(({ severity }) => severity === 'damaged')
    if (damaged.length > 0 && !acceptsDamage) throw restoredDamaged(data, damaged)
    await settle(backup, data, list, Math.max(term, list.term))
    const { log, created, firstPosition, endPosition } = list
    return { data, log, created, firstPosition, endPosition, bytes, findings }
  } finally {
    lock.close()
  }
}

/** The log itself is made and read by a process that may load the store. */
async function build(
  backup: string,
  data: string,
  onProgress: NonNullable<RestoreOptions['onProgress']>,
): Promise<{ readonly findings: readonly Finding[]; readonly term: number }> {
  const socket = join(data, RESTORING, 'restore.sock')
  const builder = await startToolProcess({ entry: programEntry('journal', 'restore'), args: [backup, join(data, RESTORING), socket] })
  try {
    const findings: Finding[] = []
    for await (const item of streamControl(socket, 'restore')) {
      const step = item as RestoreItem
      if (step.kind === 'finding') findings.push(step.finding)
      else if (step.kind === 'progress') onProgress(step.what, step.done, step.total)
      else return { findings, term: step.term }
    }
    throw new MillraceError('ERR_CONTROL_LOST', { fact: 'the process that restores ended before it was done', action: 'retry' })
  } finally {
    await builder.close()
  }
}

/** What lies beside the log, then the log: with it the directory is whole, and a plant may start once the draft is gone. */
async function settle(backup: string, data: string, { files }: BackupList, term: number): Promise<void> {
  const draft = join(data, RESTORING)
  if (term > TERM_MAX - 2 * TERMS_SKIPPED) throw termsUsedUp(term)
  TermCounter.repairSync(draft, term + TERMS_SKIPPED)
  renameSync(join(draft, TERM_FILE_NAME), join(data, TERM_FILE_NAME))
  const { ingest, journal } = dataPaths(data)
  for (const file of files) {
    if (file.kind === 'source') copyTo(backup, file, ingest)
    else if (file.kind === 'plant') copyTo(backup, file, data)
  }
  if (existsSync(ingest)) await syncPath(ingest)
  // The log comes last: where it is, the rest is.
  await syncPath(data)
  renameSync(dataPaths(draft).journal, journal)
  await syncPath(data)
  rmSync(join(draft, 'restore.sock'), { force: true })
  rmSync(dataPaths(draft).run, { recursive: true, force: true })
  rmdirSync(draft)
  await syncPath(data)
}

function copyTo(backup: string, file: BackupFile, directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  copyFileSync(join(backup, file.path), join(directory, file.name))
}

function checkTarget(data: string): void {
  if (!existsSync(data)) return
  const names = readdirSync(data)
  const isInterrupted = names.includes(RESTORING) && !existsSync(dataPaths(data).journal)
  if (isInterrupted || names.every((name) => name === 'plant.lock')) return
  throw new MillraceError('ERR_RESTORE_TARGET', {
    fact: 'the directory to restore into is not empty',
    action: 'operator',
    values: { data },
    next: 'name a new directory with --data; a log is never written over another',
  })
}

function noBackup(backup: string): MillraceError {
  return new MillraceError('ERR_NO_BACKUP', {
    fact: existsSync(backup) ? 'there is no whole backup in this directory' : 'there is no such directory',
    action: 'operator',
    values: { backup },
    next: 'name a directory that `millrace log backup` has finished',
  })
}

function damagedThen(backup: string, damage: readonly string[]): MillraceError {
  return new MillraceError('ERR_BACKUP_DAMAGED', {
    fact: `the backup is of a log that was damaged: ${damage[0]}`,
    action: 'operator',
    values: { backup, places: damage.length },
    next: 'use an older backup, or restore what there is with --accept-damage',
  })
}

function restoredDamaged(data: string, damaged: readonly Finding[]): MillraceError {
  const [first] = damaged as readonly [Finding, ...Finding[]]
  return new MillraceError('ERR_LOG_DAMAGED', {
    fact: `the restored log does not pass verification: ${first.what}`,
    action: 'operator',
    values: { data, segment: first.segment, places: damaged.length },
    next: 'use another backup; nothing was restored',
  })
}

function termsUsedUp(term: number): MillraceError {
  return new MillraceError('ERR_TERM_EXHAUSTED', {
    fact: 'the log of the backup has used up its terms',
    action: 'operator',
    values: { term },
    next: 'export the log instead',
  })
}
