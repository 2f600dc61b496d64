import { dirname, join } from 'node:path'
import { isMillraceError, MillraceError, messageOf } from '#base/errors.js'
import { type BackupFile, type BackupList, backupDamaged, readBackupList } from '#backup/backup-list.js'
import { readPairs } from '#backup/pairs-file.js'
import { readFileSync } from 'node:fs'
import type { Finding, Journal } from '#journal/index.js'
import type { ControlMethod } from '#processes/control-socket.js'
import { dataPaths, loadStore, openLog } from './data-directory.js'

export type RestoreItem =
  | { readonly kind: 'progress'; readonly what: 'restored' | 'verified'; readonly done: number; readonly total: number }
  | { readonly kind: 'finding'; readonly finding: Finding }
  /** No row has a higher term. */
  | { readonly kind: 'done'; readonly term: number }

const PROGRESS_EVERY_MS = 200

/** Builds the log of a backup whose files were checked below `draft`, as in a data directory, reads it back and verifies all of it. */
export function restoreMethods(backup: string, draft: string): Readonly<Record<string, ControlMethod>> {
  return {
    async *restore(): AsyncGenerator<RestoreItem> {
      const list = readBackupList(backup) as BackupList
      const total = list.files.reduce((sum, { bytes }) => sum + bytes, 0)
      let done = 0
      const built = build(backup, draft, list, (bytes) => {
        done += bytes
      })
      yield* progressOf(built, () => ({ kind: 'progress', what: 'restored', done, total }))
      const journal = await openLog(draft, { isReadOnly: true })
      try {
        yield* verify(journal, list, backup)
        yield { kind: 'done', term: highestTerm(journal) }
      } finally {
        await journal.close()
      }
    },
  }
}

/** Tells how far something is until it is done. Rejects as it does. */
async function* progressOf(work: Promise<void>, tell: () => RestoreItem): AsyncGenerator<RestoreItem> {
  let isDone = false
  const ended = work.finally(() => {
    isDone = true
  })
  ended.catch(() => undefined)
  while (!isDone) {
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, PROGRESS_EVERY_MS))])
    yield tell()
  }
  await ended
}

async function build(backup: string, draft: string, { files }: BackupList, onBytes: (bytes: number) => void): Promise<void> {
  const { restoreLog } = await loadStore()
  const of = (kind: BackupFile['kind']) => files.filter((file) => file.kind === kind)
  const pathOf = ({ path }: BackupFile) => join(backup, path)
  const [format] = of('format')
  const [catalog] = of('catalog')
  if (format === undefined || catalog === undefined) throw backupDamaged(backup, 'it lacks a part')
  const parts = {
    format: readFileSync(pathOf(format), 'utf8'),
    catalog: readPairs(pathOf(catalog)),
    unsealed: of('active').map((file) => ({ name: file.name, blocks: readPairs(pathOf(file)) })),
    sealed: of('segment').map((file) => ({ name: file.name, path: pathOf(file), bytes: file.bytes })),
  }
  try {
    await restoreLog(dataPaths(draft).journal, parts, onBytes)
  } catch (cause) {
    if (isMillraceError(cause) && !isMillraceError(cause, 'ERR_JOURNAL_DISK')) throw cause
    throw new MillraceError('ERR_RESTORE_WRITE', {
      fact: 'the log cannot be restored',
      action: 'operator',
      values: { data: dirname(draft), why: messageOf(cause) },
      next: 'make room or look at the directory, then do it again: nothing was restored yet',
      cause,
    })
  }
}

async function* verify(journal: Journal, list: BackupList, backup: string): AsyncGenerator<RestoreItem> {
  const { endPosition } = journal
  if (endPosition !== list.endPosition && list.damage.length === 0)
    throw backupDamaged(backup, `its log ends at ${endPosition}, and should at ${list.endPosition}`)
  let latest: RestoreItem | undefined
  const progress = (done: number, total: number) => {
    latest = { kind: 'progress', what: 'verified', done, total }
  }
  for await (const finding of journal.verify(progress)) {
    if (latest !== undefined) yield latest
    latest = undefined
    yield { kind: 'finding', finding }
  }
  if (latest !== undefined) yield latest
}

/** 0 where a damaged log does not tell: the backup's list does too. */
function highestTerm(journal: Journal): number {
  try {
    let term = 0
    for (let shard = 0; shard < journal.shardCount; shard++) for (const head of journal.heads(shard)) term = Math.max(term, head.term)
    return term
  } catch (error) {
    if (isMillraceError(error)) return 0
    throw error
  }
}
