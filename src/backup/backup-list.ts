import { createReadStream, existsSync, readFileSync } from 'node:fs'
import { open, rename, stat } from 'node:fs/promises'
import { createHash } from 'node:crypto'
import { pipeline } from 'node:stream/promises'
import { join } from 'node:path'
import { MillraceError, messageOf } from '#base/errors.js'
import { sha256Hex } from '#base/hash.js'

/**
 * What a backup is made of: `backup.json` in its directory. The list is replaced as a whole, and only once every file in it is there, whole and durable; so a
 * directory that has one is a backup, and one that was interrupted is the backup that it was before, or none.
 */
export interface BackupList {
  readonly format: typeof BACKUP_FORMAT
  /** ISO 8601. */
  readonly created: string
  /** Of the log: `id` in its format.json. */
  readonly log: string
  /** Rows from here up to and without `endPosition`. */
  readonly firstPosition: number
  readonly endPosition: number
  /** No row of the log has a higher one. */
  readonly term: number
  readonly files: readonly BackupFile[]
  /** What was found wrong in the log when damage was accepted. */
  readonly damage: readonly string[]
}

/** `catalog` and `active` are pairs (pairs-file.ts), `segment` is a sealed segment, `format` is format.json; `source` and `plant` lie beside the log. */
export interface BackupFile {
  readonly kind: 'format' | 'catalog' | 'active' | 'segment' | 'source' | 'plant'
  /** Below the backup's directory. */
  readonly path: string
  /** What it is called where it comes from. */
  readonly name: string
  readonly bytes: number
  readonly sha256: string
}

export const BACKUP_FORMAT = 1
const LIST_NAME = 'backup.json'

/** The list in a directory, or undefined when there is none. Throws ERR_BACKUP_DAMAGED, ERR_FORMAT_NEWER. */
export function readBackupList(directory: string): BackupList | undefined {
  const file = join(directory, LIST_NAME)
  if (!existsSync(file)) return undefined
  let checked: { readonly list: BackupList; readonly sha256: string }
  try {
    checked = JSON.parse(readFileSync(file, 'utf8')) as typeof checked
  } catch (cause) {
    throw backupDamaged(file, 'it is not JSON', cause)
  }
  const format: unknown = checked.list?.format
  if (typeof format === 'number' && format > BACKUP_FORMAT) {
    throw new MillraceError('ERR_FORMAT_NEWER', {
      fact: 'the backup was made by a later version of millrace',
      action: 'operator',
      values: { file, format, known: BACKUP_FORMAT },
      next: 'update millrace, then try again',
    })
  }
  if (format !== BACKUP_FORMAT || sha256Hex(JSON.stringify(checked.list)) !== checked.sha256)
    throw backupDamaged(file, 'its checksum is wrong')
  return checked.list
}

/** Puts the list in force. Durable when it resolves. */
export async function writeBackupList(directory: string, list: BackupList): Promise<void> {
  const file = join(directory, LIST_NAME)
  const draft = `${file}.part`
  const handle = await open(draft, 'w', 0o600)
  try {
    await handle.writeFile(`${JSON.stringify({ list, sha256: sha256Hex(JSON.stringify(list)) }, undefined, 1)}\n`)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, file)
  await syncPath(directory)
}

/** Reads the files again and compares them with what the list says. Throws ERR_BACKUP_DAMAGED naming the first that is another. */
export async function checkFiles(directory: string, files: readonly BackupFile[], progress: (bytes: number) => void): Promise<void> {
  let done = 0
  for (const { path, bytes, sha256 } of files) {
    const file = join(directory, path)
    const found = await stat(file).catch(() => undefined)
    if (found === undefined) throw backupDamaged(file, 'it is missing')
    if (found.size !== bytes) throw backupDamaged(file, `it has ${found.size} bytes, and had ${bytes}`)
    const hash = createHash('sha256')
    const counted = async function* (pieces: AsyncIterable<Buffer>) {
      for await (const piece of pieces) {
        progress((done += piece.length))
        yield piece
      }
    }
    try {
      await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), counted, hash)
    } catch (error) {
      // Of the disk; whatever else ends the reading is the caller's.
      throw (error as NodeJS.ErrnoException).syscall === undefined ? error : backupDamaged(file, messageOf(error), error)
    }
    if (hash.digest('hex') !== sha256) throw backupDamaged(file, 'its content is another than was written')
  }
}

export async function syncPath(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export function backupDamaged(file: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError('ERR_BACKUP_DAMAGED', {
    fact: 'a file of the backup cannot be used',
    action: 'operator',
    values: { file, why },
    next: 'use another backup',
    cause,
  })
}
