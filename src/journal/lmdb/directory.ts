import { randomUUID } from 'node:crypto'
import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statfsSync, writeSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { MillraceError, messageOf } from '#base/errors.js'
import { crc32 } from '#base/hash.js'
import { SHARD_COUNT_DEFAULT, SHARD_HASH_NAME } from '#base/ids.js'
import { syncDirectory } from './environment.js'

/**
 * A log directory:
 *
 *   format.json                     what can never change: LogFormat. Written first, and atomically: without it there is no log
 *   log/<first position>.active/    LMDB environment of a segment that is not sealed; base position of a block, u64 big-endian →
 *                                   the block (block-format.ts). The last of them is being written
 *   log/<first position>.segment    a sealed segment (segments/segment-format.ts); with a number before `.segment` one that repair wrote anew
 *   log/….new                       what a crash left of either
 *   repair.json                     a repair that was ended on the way (pending-repair.ts)
 *   damaged/                        files as they were before repair
 *   catalog/                        LMDB environment of what is small and overwritten (catalog.ts)
 */
export interface LogFormat {
  readonly format: typeof LOG_FORMAT
  readonly id: string
  readonly shardCount: number
  readonly shardHash: typeof SHARD_HASH_NAME
  /** ISO 8601. */
  readonly created: string
}

export const LOG_FORMAT = 1

const SHARD_COUNT_MAX = 65_536

export function logPaths(directory: string): { readonly format: string; readonly log: string; readonly catalog: string } {
  return { format: join(directory, 'format.json'), log: join(directory, 'log'), catalog: join(directory, 'catalog') }
}

/** Reads the format of the log in a directory, or undefined when there is no log. Throws ERR_FORMAT_NEWER, ERR_LOG_FORMAT. */
export function readFormat(directory: string): LogFormat | undefined {
  const path = logPaths(directory).format
  if (!existsSync(path)) {
    if (existsSync(logPaths(directory).log)) throw badFormat(path, 'it is missing, though there is a log')
    return undefined
  }
  let format: Partial<Record<keyof LogFormat | 'check', unknown>>
  try {
    format = JSON.parse(readFileSync(path, 'utf8')) as typeof format
  } catch (error) {
    throw badFormat(path, messageOf(error))
  }
  if (typeof format.format === 'number' && format.format > LOG_FORMAT) {
    throw new MillraceError('ERR_FORMAT_NEWER', {
      fact: 'the log was written by a later version of millrace',
      action: 'operator',
      values: { file: path, format: format.format, known: LOG_FORMAT },
      next: 'update millrace, then try again',
    })
  }
  const { shardCount } = format
  if (format.format !== LOG_FORMAT || typeof format.id !== 'string') throw badFormat(path, 'it is not the format file of a log')
  if (format.shardHash !== SHARD_HASH_NAME) throw badFormat(path, `it names the hash ${String(format.shardHash)}`)
  if (!Number.isInteger(shardCount) || (shardCount as number) < 1 || (shardCount as number) > SHARD_COUNT_MAX)
    throw badFormat(path, 'its shard count is wrong')
  // Logs of before it was written have none.
  if (format.check !== undefined && format.check !== checkOf(format as LogFormat)) throw badFormat(path, 'its checksum is wrong')
  return format as LogFormat
}

/** Makes the directory a log. A crash leaves either no log or a whole one. */
export function createFormat(directory: string, options: { readonly shardCount?: number; readonly nowMicros: number }): LogFormat {
  const format: LogFormat = {
    format: LOG_FORMAT,
    id: randomUUID(),
    shardCount: options.shardCount ?? SHARD_COUNT_DEFAULT,
    shardHash: SHARD_HASH_NAME,
    created: new Date(options.nowMicros / 1000).toISOString(),
  }
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  chmodSync(directory, 0o700)
  const path = logPaths(directory).format
  const draft = `${path}.new`
  const descriptor = openSync(draft, 'w', 0o600)
  writeSync(descriptor, `${JSON.stringify({ ...format, check: checkOf(format) }, null, 2)}\n`)
  fsyncSync(descriptor)
  closeSync(descriptor)
  renameSync(draft, path)
  // Whoever made the directory, and the one that it lies in, may not have made their names durable.
  for (const named of [directory, dirname(directory), dirname(dirname(directory))]) trySyncDirectory(named)
  return format
}

/** Of what must never be read wrong. */
function checkOf({ format, id, shardCount, shardHash }: LogFormat): string {
  return crc32(Buffer.from(`${format} ${id} ${shardCount} ${shardHash}`))
    .toString(16)
    .padStart(8, '0')
}

/** A directory that may not be read cannot be synced, and was not made by us. */
function trySyncDirectory(path: string): void {
  try {
    syncDirectory(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
  }
}

/** Bytes that an unprivileged process may still write in the file system of the directory. */
export function freeBytesOf(directory: string): number {
  const { bavail, bsize } = statfsSync(directory)
  return bavail * bsize
}

export function noJournal(directory: string): MillraceError {
  return new MillraceError('ERR_NO_JOURNAL', {
    fact: 'there is no log in the directory',
    action: 'operator',
    values: { directory },
    next: 'name the data directory of a plant, or start one there with millrace up',
  })
}

function badFormat(file: string, why: string): MillraceError {
  return new MillraceError('ERR_LOG_FORMAT', {
    fact: 'the format file of the log cannot be used',
    action: 'operator',
    values: { file, why },
    next: 'restore it from a backup of the data directory',
  })
}
