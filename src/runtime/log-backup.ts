import { copyFile } from 'node:fs/promises'
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { isMillraceError, MillraceError } from '#base/errors.js'
import { sha256Hex } from '#base/hash.js'
import { checkSameLog, LOCK_NAME, openBackupDirectory, removeUnlisted } from '#backup/backup-directory.js'
import { BACKUP_FORMAT, type BackupFile, type BackupList, checkFiles, syncPath, writeBackupList } from '#backup/backup-list.js'
import { backupWriteFailed, type CopyStep } from '#backup/copy-log.js'
import { TermCounter } from '#processes/term-counter.js'
import { streamControl } from '#processes/control-client.js'
import { FileLock } from '#shm/index.js'
import { readFileSync } from 'node:fs'
import { dataPaths } from './data-directory.js'
import { JournalAccess, requireLog } from './journal-access.js'
import { PLANT_RECORD_NAME } from './plant-record.js'

export interface BackupOptions {
  readonly dataDirectory: string
  /** Where the backup goes: a new or empty directory, or that of an earlier backup of the same log, which is brought up to date. */
  readonly directory: string
  /** Makes a backup of a damaged log as it is. */
  readonly acceptsDamage?: boolean
  /** Bytes done, of how many: of copying, then of reading back. */
  readonly onProgress?: (what: 'copied' | 'checked', done: number, total: number) => void
  readonly signal?: AbortSignal
}

export interface BackupReport {
  readonly directory: string
  readonly log: string
  readonly firstPosition: number
  readonly endPosition: number
  readonly bytes: number
  /** Of that, copied now; the rest was there from an earlier backup. */
  readonly copiedBytes: number
  readonly files: number
  readonly damage: readonly string[]
}

/**
 * Makes a backup of a log, of a plant that runs or not: all rows up to a position that is durable when it begins or later, event types, snapshots,
 * subscriptions, and how far sources had come. What was written is read back and compared before the backup counts. Interrupted, the directory has what it
 * had. Throws ERR_NO_JOURNAL, ERR_BACKUP_TARGET, ERR_BACKUP_WRITE, ERR_BACKUP_DAMAGED, ERR_LOG_DAMAGED unless damage is accepted, the signal's reason.
 */
export async function backupLog(options: BackupOptions): Promise<BackupReport> {
  const directory = resolve(options.directory)
  requireLog(options.dataDirectory)
  checkPlace(directory, resolve(options.dataDirectory))
  const before = openBackupDirectory(directory)
  const lock = takeDirectory(directory)
  const access = await JournalAccess.open(options.dataDirectory).catch((error: unknown) => {
    lock.close()
    throw error
  })
  let inForce = before
  try {
    const list = await makeBackup(options, access.socket, directory, before)
    await writeBackupList(directory, list.list)
    inForce = list.list
    return list.report
  } finally {
    // First whoever may still write there, when it is one of ours.
    await access.close()
    removeUnlisted(directory, inForce)
    lock.close()
  }
}

/** One disk or one `rm -r` would take both. */
function checkPlace(directory: string, data: string): void {
  if (!`${directory}/`.startsWith(`${data}/`)) return
  throw new MillraceError('ERR_BACKUP_TARGET', {
    fact: 'the directory for the backup is in the data directory',
    action: 'operator',
    values: { directory, data },
    next: 'name one outside of it, best on another disk',
  })
}

interface Made {
  readonly list: BackupList
  readonly report: BackupReport
}

async function makeBackup(options: BackupOptions, socket: string, directory: string, before: BackupList | undefined): Promise<Made> {
  const { dataDirectory, acceptsDamage = false, onProgress = () => undefined, signal } = options
  // Before the log: a source that remembers more than the log would skip what the log does not have.
  const beside = await copyBeside(dataDirectory, directory)
  const files: BackupFile[] = [...beside]
  const fresh: BackupFile[] = [...beside]
  const damage: string[] = []
  let begin: Extract<CopyStep, { kind: 'begin' }> | undefined
  for await (const item of streamControl(socket, 'copyLog', { directory, known: before?.files ?? [] })) {
    signal?.throwIfAborted()
    const step = item as CopyStep
    if (step.kind === 'begin') {
      begin = step
      checkSameLog(directory, before, step.log)
    } else if (step.kind === 'damage') {
      damage.push(step.what)
      if (!acceptsDamage) throw logDamaged(dataDirectory, step.what)
    } else if (step.kind === 'file') {
      files.push(step.file)
      if (step.isNew) fresh.push(step.file)
    } else if (step.done > 0) onProgress('copied', step.done, Math.max(begin?.bytes ?? 0, step.done))
  }
  if (begin === undefined) throw new MillraceError('ERR_CONTROL_LOST', { fact: 'the journal ended before the copy began', action: 'retry' })
  await syncPath(directory)
  const copiedBytes = bytesOf(fresh)
  try {
    await checkFiles(directory, fresh, (done) => {
      signal?.throwIfAborted()
      onProgress('checked', done, copiedBytes)
    })
  } catch (error) {
    // The segment was damaged where it came from: its hash is that of the file as it was sealed.
    if (!acceptsDamage || !isMillraceError(error, 'ERR_BACKUP_DAMAGED')) throw error
    damage.push(error.message)
  }
  const { log, firstPosition, endPosition } = begin
  const term = TermCounter.highestSync(dataDirectory)
  const list: BackupList = {
    format: BACKUP_FORMAT,
    created: new Date().toISOString(),
    log,
    firstPosition,
    endPosition,
    term,
    files,
    damage,
  }
  const report = { directory, log, firstPosition, endPosition, bytes: bytesOf(files), copiedBytes, files: files.length, damage }
  return { list, report }
}

/** The checkpoints of sources, and which plant it is: small files beside the log. */
async function copyBeside(dataDirectory: string, directory: string): Promise<BackupFile[]> {
  const { ingest } = dataPaths(dataDirectory)
  const stamp = Date.now().toString(36)
  const files: BackupFile[] = []
  const copy = async (kind: 'source' | 'plant', from: string, name: string) => {
    const path = `${kind}-${stamp}-${files.length}.json`
    try {
      await copyFile(from, join(directory, path))
      await syncPath(join(directory, path))
    } catch (cause) {
      throw backupWriteFailed(join(directory, path), cause)
    }
    const content = readFileSync(join(directory, path))
    files.push({ kind, name, path, bytes: content.length, sha256: sha256Hex(content) })
  }
  const names = existsSync(ingest) ? readdirSync(ingest).filter((name) => name.endsWith('.json')) : []
  for (const name of names) await copy('source', join(ingest, name), name)
  const record = join(dataDirectory, PLANT_RECORD_NAME)
  if (existsSync(record)) await copy('plant', record, PLANT_RECORD_NAME)
  return files
}

function takeDirectory(directory: string): FileLock {
  try {
    return FileLock.acquire(join(directory, LOCK_NAME))
  } catch (cause) {
    if (!isMillraceError(cause, 'ERR_LOCK_HELD')) throw cause
    throw new MillraceError('ERR_BACKUP_TARGET', {
      fact: 'another backup into this directory is under way',
      action: 'retry',
      values: { directory, pid: cause.values['pid'] },
      next: 'wait for its end',
      cause,
    })
  }
}

function bytesOf(files: readonly BackupFile[]): number {
  return files.reduce((sum, { bytes }) => sum + bytes, 0)
}

function logDamaged(data: string, what: string): MillraceError {
  return new MillraceError('ERR_LOG_DAMAGED', {
    fact: `the log is damaged, so that a backup of it would be: ${what}`,
    action: 'operator',
    values: { data },
    next: 'run millrace log verify for all of it and millrace log repair; or keep what there is with --accept-damage',
  })
}
