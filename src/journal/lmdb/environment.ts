import {
  chmodSync,
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { MillraceError, messageOf } from '#base/errors.js'
import { walkPages } from './page-check.js'
import { PlainDatabase } from './plain-database.js'

/** The file of an environment that holds data; the other one, lock.mdb, holds none. */
export const DATA_FILE = 'data.mdb'

export type Key = Uint8Array

/** As much of LMDB's database as a log uses. */
export interface Database {
  getBinary(key: Key): Buffer | undefined
  getKeys(range: { readonly start?: Key; readonly end?: Key; readonly reverse?: boolean; readonly limit?: number }): Iterable<Key>
  put(key: Key, value: Buffer): Promise<boolean>
  remove(key: Key): Promise<boolean>
  resetReadTxn(): void
  close(): Promise<void>
}

export interface EnvironmentOptions {
  readonly isReadOnly: boolean
  /** Address space taken for the file: how far it can grow. Costs no disk and no memory. */
  readonly mapBytes: number
}

/**
 * Opens an LMDB environment with binary keys and values, without LMDB's caches and without overlapping sync, so that nothing unsynced can
 * ever be seen and a resolved put is on disk. When it is there already, its file is synced before anything in it is looked at: what a
 * killed predecessor wrote may be visible and not durable. Then its pages are walked (page-check.ts), since LMDB would die of a wrong one; for reading
 * only, LMDB is left out altogether (plain-database.ts). A new environment appears under its name as a whole, and its name is durable. Makes directory
 * and files 0700 and 0600; creates nothing when read-only. Throws ERR_SEGMENT_UNREADABLE, ERR_JOURNAL_DISK where the sync
 * fails, and ERR_DISK_FULL when there is no room for what it must create.
 */
export async function openEnvironment(directory: string, options: EnvironmentOptions): Promise<Database> {
  const { isReadOnly, mapBytes } = options
  const file = join(directory, DATA_FILE)
  if (!existsSync(directory) && !isReadOnly) await createEnvironment(directory)
  if (!existsSync(file)) throw unreadable(file, 'it is not there')
  try {
    syncFile(file)
  } catch (error) {
    throw diskFailed(error, file)
  }
  if (isReadOnly) return openPlain(file)
  const { wrong } = walkPages(file)
  if (wrong !== undefined) throw unreadable(file, wrong)
  return openWithLmdb(directory, mapBytes)
}

function openPlain(file: string): Database {
  const database = new PlainDatabase(file)
  if (database.wrong === undefined) return database
  void database.close()
  throw unreadable(file, database.wrong)
}

async function openWithLmdb(directory: string, mapBytes: number): Promise<Database> {
  makeLockRoom(directory)
  const { open } = await import('lmdb')
  try {
    const database = open<Buffer, Key>({
      path: directory,
      noSubdir: false,
      encoding: 'binary',
      keyEncoding: 'binary',
      cache: false,
      compression: false,
      overlappingSync: false,
      mapSize: mapBytes,
      maxReaders: READERS_MAX,
      maxDbs: 1,
      ...UNDECLARED_OPTIONS,
    })
    for (const name of [DATA_FILE, LOCK_FILE]) chmodSync(join(directory, name), 0o600)
    return database
  } catch (error) {
    throw unreadable(join(directory, DATA_FILE), messageOf(error), error)
  }
}

/** LMDB does not sync what it makes, so it makes it under another name. A crash leaves that behind, for the next attempt to remove, or the whole. */
async function createEnvironment(directory: string): Promise<void> {
  const draft = `${directory}.new`
  rmSync(draft, { recursive: true, force: true })
  makeDirectory(draft)
  const database = await openWithLmdb(draft, DRAFT_MAP_BYTES)
  await database.close()
  syncFile(join(draft, DATA_FILE))
  syncDirectory(draft)
  renameSync(draft, directory)
  syncDirectory(dirname(directory))
}

/** Makes a directory, and what it lies in, with names that are durable. */
function makeDirectory(path: string): void {
  if (existsSync(path)) return
  makeDirectory(dirname(path))
  mkdirSync(path, { mode: 0o700 })
  syncDirectory(dirname(path))
}

/** LMDB maps its lock file and would be killed where the disk has no room for it, so its room is taken before. It is never given back: a full disk can be opened. */
function makeLockRoom(directory: string): void {
  const path = join(directory, LOCK_FILE)
  if (existsSync(path) && statSync(path).size > 0) return
  try {
    writeFileSync(path, Buffer.alloc(LOCK_BYTES), { mode: 0o600 })
  } catch (error) {
    rmSync(path, { force: true })
    throw new MillraceError('ERR_DISK_FULL', {
      fact: 'the disk has no room for a lock file, without which the log cannot be opened',
      action: 'operator',
      values: { file: path, neededBytes: LOCK_BYTES },
      next: 'free some space, then try again',
      cause: error,
    })
  }
}

const LOCK_FILE = 'lock.mdb'
const READERS_MAX = 64
/** LMDB's header and a cache line per reader, rounded up. It takes as many readers as there is room for. */
const LOCK_BYTES = 8192
const DRAFT_MAP_BYTES = 1 << 20

/** Taken by lmdb, but missing in its types: one put begins one transaction at once. */
const UNDECLARED_OPTIONS = { eventTurnBatching: false, txnStartThreshold: 1 }

/** A value as an array of its own. What lmdb gives out has a `length` property over it that native code does not see. */
export function readValue(database: Database, key: Key): Uint8Array<ArrayBuffer> | undefined {
  const value = database.getBinary(key)
  if (value === undefined) return undefined
  const length = value.length
  if (length >= OWN_BUFFER_BYTES_MIN) return new Uint8Array(value.buffer as ArrayBuffer, value.byteOffset, length)
  const copy = new Uint8Array(length)
  copy.set(value.subarray(0, length))
  return copy
}

/** Above this, lmdb reads into a buffer made for the value alone. */
const OWN_BUFFER_BYTES_MIN = 0x8001

/** On Linux a file opened for reading can be synced too, so that a read-only journal serves nothing that is not durable. */
export function syncFile(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fdatasyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

/** Makes names created in a directory durable. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

export function fileBytes(path: string): number {
  return existsSync(path) ? statSync(path).size : 0
}

/** A write that the disk did not take: what is really there shows only when everything is read again. */
export function diskFailed(cause: unknown, file: string): MillraceError {
  // LMDB tells the same a second time, by a promise that nobody else would listen to: that alone would end the process, without a word of which file.
  if (cause instanceof Error && 'commitError' in cause) Promise.resolve(cause.commitError).catch(() => undefined)
  return new MillraceError('ERR_JOURNAL_DISK', {
    fact: 'a write to the log failed',
    action: 'restart',
    values: { file, why: messageOf(cause) },
    next: 'look at the disk; the journal recovers from what is on it when it starts again',
    cause,
  })
}

/** The disk is full, or a quota is used up: nothing is lost, and later there may be room. */
export function isOutOfRoom(error: unknown): boolean {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'ERR_DISK_FULL'
}

/** LMDB cannot make sense of a file: missing, cut, or damaged in its own pages. */
export function unreadable(file: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError('ERR_SEGMENT_UNREADABLE', {
    fact: 'a file of the log cannot be read',
    action: 'operator',
    values: { file, why },
    next: 'run `millrace log repair --dry-run`, which says what can be mended; or restore the file, or the whole data directory, from a backup',
    cause,
  })
}
