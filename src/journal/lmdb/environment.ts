import { chmodSync, closeSync, existsSync, fdatasyncSync, fsyncSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { RootDatabase } from 'lmdb'
import { MillraceError, messageOf } from '#base/errors.js'

/** The file of an environment that holds data; the other one, lock.mdb, holds none. */
export const DATA_FILE = 'data.mdb'

export type Key = Uint8Array
export type Database = RootDatabase<Buffer, Key>

export interface EnvironmentOptions {
  readonly isReadOnly: boolean
  /** Address space taken for the file: how far it can grow. Costs no disk and no memory. */
  readonly mapBytes: number
}

/**
 * Opens an LMDB environment with binary keys and values, without LMDB's caches and without overlapping sync, so that nothing unsynced can
 * ever be seen and a resolved put is on disk. When it is there already, its file is synced before anything in it is looked at: what a
 * killed predecessor wrote may be visible and not durable. Makes directory and files 0700 and 0600; creates nothing when read-only.
 */
export async function openEnvironment(directory: string, options: EnvironmentOptions): Promise<Database> {
  const { isReadOnly, mapBytes } = options
  const file = join(directory, DATA_FILE)
  const isNew = !existsSync(file)
  if (isNew && isReadOnly) throw unreadable(file, 'it is not there')
  if (isNew) mkdirSync(directory, { recursive: true, mode: 0o700 })
  else syncFile(file)
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
      readOnly: isReadOnly,
      mapSize: mapBytes,
      maxReaders: 64,
      maxDbs: 1,
      ...UNDECLARED_OPTIONS,
    })
    if (!isReadOnly) for (const name of [DATA_FILE, 'lock.mdb']) chmodSync(join(directory, name), 0o600)
    if (isNew) for (const path of [directory, dirname(directory)]) syncDirectory(path)
    return database
  } catch (error) {
    throw unreadable(file, messageOf(error), error)
  }
}

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
  return new MillraceError('ERR_JOURNAL_DISK', {
    fact: 'a write to the log failed',
    action: 'restart',
    values: { file, why: messageOf(cause) },
    next: 'look at the disk; the journal recovers from what is on it when it starts again',
    cause,
  })
}

/** LMDB cannot make sense of a file: missing, cut, or damaged in its own pages. */
export function unreadable(file: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError('ERR_SEGMENT_UNREADABLE', {
    fact: 'a file of the log cannot be read',
    action: 'operator',
    values: { file, why },
    next: 'restore the file from a backup, or the whole data directory',
    cause,
  })
}
