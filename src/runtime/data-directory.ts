import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { MillraceError } from '#base/errors.js'
import type { openLmdbJournal, restoreLog } from '#journal/lmdb/index.js'
import type { Journal } from '#journal/journal.js'

/** Where things lie below a plant's data directory. Everything is 0700 and 0600. */
export function dataPaths(directory: string): {
  readonly journal: string
  readonly run: string
  readonly supervisorSocket: string
  readonly journalSocket: string
  readonly doorSocket: string
  readonly gatewaySocket: string
  readonly ingest: string
  readonly logs: string
  readonly reports: string
  readonly drills: string
} {
  const run = join(directory, 'run')
  return {
    journal: join(directory, 'journal'),
    run,
    supervisorSocket: join(run, 'supervisor.sock'),
    journalSocket: join(run, 'journal.sock'),
    doorSocket: join(run, 'door.sock'),
    gatewaySocket: join(run, 'gateway.sock'),
    ingest: join(directory, 'ingest'),
    logs: join(directory, 'logs'),
    reports: join(directory, 'recoveries'),
    drills: join(directory, 'drills'),
  }
}

export interface OpenLogOptions {
  readonly isReadOnly?: boolean
  readonly reserveBytes?: number
  readonly mapBytes?: number
  readonly segmentRowsMax?: number
  readonly segmentBytesMax?: number
  readonly segmentAgeMs?: number
  readonly onUnsealedMax?: () => void
  readonly onSealFailed?: (error: unknown) => void
}

/** Loads the code of the store, which `openLog` needs and no other process may have. A journal that stands by has done so before it is given the seat. */
export async function loadStore(): Promise<Store> {
  return await import('#journal/lmdb/index.js')
}

interface Store {
  readonly openLmdbJournal: typeof openLmdbJournal
  readonly restoreLog: typeof restoreLog
}

/** Where a restore builds what it has not finished. */
export const RESTORING = '.restoring'

/** Opens the log of a data directory in this process. Throws ERR_RESTORE_UNFINISHED where a restore was interrupted. */
export async function openLog(dataDirectory: string, options: OpenLogOptions = {}): Promise<Journal> {
  if (!hasLog(dataDirectory) && existsSync(join(dataDirectory, RESTORING))) {
    throw new MillraceError('ERR_RESTORE_UNFINISHED', {
      fact: 'a restore into this data directory was interrupted, and there is no log yet',
      action: 'operator',
      values: { data: dataDirectory },
      next: 'run `millrace log restore` again, or remove the directory',
    })
  }
  const { openLmdbJournal } = await loadStore()
  return openLmdbJournal({ directory: dataPaths(dataDirectory).journal, ...options })
}

/** Whether there is a log; only without one may terms start from 1. */
export function hasLog(dataDirectory: string): boolean {
  return existsSync(join(dataPaths(dataDirectory).journal, 'format.json'))
}
