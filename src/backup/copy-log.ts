import { constants } from 'node:fs'
import { copyFile, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MillraceError, messageOf } from '#base/errors.js'
import { sha256Hex } from '#base/hash.js'
import { BlockReader } from '#journal/block-reader.js'
import type { FrozenFile, FrozenLog, FrozenRecord } from '#journal/frozen-log.js'
import { type BackupFile, syncPath } from './backup-list.js'
import { PairsWriter } from './pairs-file.js'

/** What is told while a log is copied. */
export type CopyStep =
  | { readonly kind: 'begin'; readonly log: string; readonly firstPosition: number; readonly endPosition: number; readonly bytes: number }
  /** Bytes copied, of those of `begin`. */
  | { readonly kind: 'progress'; readonly done: number }
  | { readonly kind: 'damage'; readonly what: string }
  /** The file is there and durable; `isNew` when it was copied now. */
  | { readonly kind: 'file'; readonly file: BackupFile; readonly isNew: boolean }

export interface CopyTarget {
  readonly directory: string
  /** Files that the directory has already, of an earlier backup of the same log. */
  readonly known: readonly BackupFile[]
}

const PROGRESS_EVERY_BYTES = 4 << 20

/**
 * Copies a log into a directory, sealed segments only where they are not there yet. Every file gets a name of its own, so that the files of an earlier backup
 * stay as they are. The files are copies, not links: what happens to one on the disk does not happen to the other. Throws ERR_BACKUP_WRITE.
 */
export async function* copyLog(frozen: FrozenLog, target: CopyTarget): AsyncGenerator<CopyStep> {
  const made: string[] = []
  let isWhole = false
  try {
    for await (const step of copySteps(frozen, target)) {
      if (step.kind === 'file' && step.isNew) made.push(step.file.path)
      yield step
    }
    isWhole = true
  } finally {
    // Whoever asked may be gone, and then nobody else knows of them.
    if (!isWhole) for (const path of made) await rm(join(target.directory, path), { force: true }).catch(() => undefined)
  }
}

async function* copySteps(frozen: FrozenLog, { directory, known }: CopyTarget): AsyncGenerator<CopyStep> {
  const log = (JSON.parse(frozen.format) as { id: string }).id
  const missing = frozen.sealed.filter((file) => knownFile(file, known) === undefined)
  const unsealedBytes = frozen.unsealed.reduce(
    (sum, { firstPosition, endPosition }) => sum + (endPosition - firstPosition) * ROW_BYTES_GUESSED,
    0,
  )
  const bytes = missing.reduce((sum, file) => sum + file.bytes, unsealedBytes)
  const { firstPosition, endPosition } = frozen
  yield { kind: 'begin', log, firstPosition, endPosition, bytes }
  const stamp = `${String(endPosition).padStart(12, '0')}-${Date.now().toString(36)}`

  yield { kind: 'file', isNew: true, file: await writeText(directory, `format-${stamp}.json`, frozen.format) }
  const catalog = yield* copyPairs(frozen.catalog(), directory, `catalog-${stamp}.pairs`, (record) => record.damage)
  yield { kind: 'file', isNew: true, file: { kind: 'catalog', name: 'catalog', ...catalog } }
  let done = 0
  for (const segment of frozen.unsealed) {
    const { name } = segment
    const copied = yield* copyPairs(segment.blocks(), directory, `${name}-${stamp}.pairs`, (record) => damageOf(record, name))
    done += copied.bytes
    yield { kind: 'file', isNew: true, file: { kind: 'active', name, ...copied } }
    yield { kind: 'progress', done }
  }
  for (const sealed of frozen.sealed) {
    const there = knownFile(sealed, known)
    if (there !== undefined) {
      yield { kind: 'file', isNew: false, file: there }
      continue
    }
    const path = join('segments', `${sealed.name.replace(/\.segment$/, '')}-${sealed.fileHash.slice(0, 16)}.segment`)
    await guarded(join(directory, path), () => copyWhole(sealed.path, join(directory, path), stamp))
    yield { kind: 'file', isNew: true, file: { kind: 'segment', name: sealed.name, path, bytes: sealed.bytes, sha256: sealed.fileHash } }
    yield { kind: 'progress', done: (done += sealed.bytes) }
  }
}

/** For the progress bar alone. */
const ROW_BYTES_GUESSED = 32

function knownFile({ name, fileHash }: FrozenFile, known: readonly BackupFile[]): BackupFile | undefined {
  return known.find((file) => file.kind === 'segment' && file.name === name && file.sha256 === fileHash)
}

type Copied = Pick<BackupFile, 'path' | 'bytes' | 'sha256'>

async function* copyPairs(
  records: AsyncIterable<FrozenRecord>,
  directory: string,
  path: string,
  damageIn: (record: FrozenRecord) => string | undefined,
): AsyncGenerator<CopyStep, Copied> {
  const file = join(directory, path)
  const writer = await guarded(file, () => PairsWriter.create(file))
  let isWhole = false
  try {
    let untold = 0
    for await (const record of records) {
      const what = damageIn(record)
      if (what !== undefined) yield { kind: 'damage', what }
      await guarded(file, () => writer.write(record))
      untold += record.value.length
      if (untold < PROGRESS_EVERY_BYTES) continue
      untold = 0
      // So that others get a turn, and whoever asked can say that he has gone.
      yield { kind: 'progress', done: 0 }
    }
    isWhole = true
  } finally {
    if (!isWhole) {
      await writer.abandon().catch(() => undefined)
      await rm(file, { force: true })
    }
  }
  return { path, ...(await guarded(file, () => writer.close())) }
}

function damageOf({ key, value, damage }: FrozenRecord, segment: string): string | undefined {
  const base = Number(Buffer.from(key).readBigUInt64BE(0))
  if (damage !== undefined) return damage
  try {
    new BlockReader(value, segment, base).check()
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

async function writeText(directory: string, path: string, text: string): Promise<BackupFile> {
  const file = join(directory, path)
  return guarded(file, async () => {
    const handle = await open(file, 'w', 0o600)
    try {
      await handle.writeFile(text)
      await handle.sync()
    } finally {
      await handle.close()
    }
    return { kind: 'format' as const, name: 'format.json', path, bytes: Buffer.byteLength(text), sha256: sha256Hex(text) }
  })
}

/** A crash leaves at most a file that ends in `.part`. Where the file system can, the copy shares what nobody writes to. */
async function copyWhole(from: string, to: string, stamp: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o700 })
  const part = `${to}.${stamp}.part`
  try {
    await copyFile(from, part, constants.COPYFILE_FICLONE)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  await syncPath(part)
  await rename(part, to)
  await syncPath(dirname(to))
}

async function guarded<T>(path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (cause) {
    throw backupWriteFailed(path, cause)
  }
}

export function backupWriteFailed(path: string, cause: unknown): MillraceError {
  const { code } = cause as NodeJS.ErrnoException
  const isFull = code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
  return new MillraceError('ERR_BACKUP_WRITE', {
    fact: isFull ? 'the disk of the backup is full' : 'a file of the backup cannot be written',
    action: 'operator',
    values: { path, why: messageOf(cause) },
    next: 'the backup that was there before, if any, is as it was; make room or look at the directory, then do it again',
    cause,
  })
}
