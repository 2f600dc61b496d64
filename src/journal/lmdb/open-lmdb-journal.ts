import { realpathSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { systemClock } from '#base/clock.js'
import { MillraceError } from '#base/errors.js'
import type { Journal } from '#journal/journal.js'
import { Catalog } from './catalog.js'
import { createFormat, freeBytesOf, logPaths, noJournal, readFormat } from './directory.js'
import { DATA_FILE, openEnvironment } from './environment.js'
import type { LmdbJournalOptions } from './journal-options.js'
import { LmdbJournal } from './lmdb-journal.js'
import { finishRepair, pendingRepair, repairUnfinished } from './pending-repair.js'

export const MAP_BYTES_DEFAULT = 256 * 2 ** 30
export const CATALOG_BYTES_MAX = 64 * 2 ** 30

/** Directories open in this process: LMDB loses its file locks when an environment is opened twice. */
const openDirectories = new Set<string>()

/**
 * Opens the log in a directory. Throws ERR_NO_JOURNAL (read-only, nothing there), ERR_JOURNAL_OPEN (open in this process already),
 * ERR_LOG_FORMAT, ERR_FORMAT_NEWER, ERR_SEGMENT_UNREADABLE, ERR_CATALOG_DAMAGED, ERR_BLOCK_DAMAGED where what it must read is damaged, and ERR_REPAIR_UNFINISHED (read-only, where a repair was ended
 * on the way; otherwise it is finished).
 */
export async function openLmdbJournal(options: LmdbJournalOptions): Promise<Journal> {
  const { isReadOnly = false } = options
  const directory = resolve(options.directory)
  const found = readFormat(directory)
  if (found === undefined && isReadOnly) throw noJournal(directory)
  if (isReadOnly && pendingRepair(directory) !== undefined) throw repairUnfinished(directory)
  const format =
    found ??
    createFormat(directory, {
      nowMicros: (options.clock ?? systemClock).nowMicros(),
      ...(options.shardCount === undefined ? {} : { shardCount: options.shardCount }),
    })
  const held = realpathSync(directory)
  if (openDirectories.has(held)) {
    throw new MillraceError('ERR_JOURNAL_OPEN', {
      fact: 'the log is open in this process already',
      action: 'operator',
      values: { directory },
      next: 'close it first',
    })
  }
  openDirectories.add(held)
  const opened: { close(): Promise<void> }[] = []
  const release = async () => {
    for (const one of opened.reverse()) await one.close()
    openDirectories.delete(held)
  }
  try {
    const paths = logPaths(directory)
    const catalogDatabase = await openEnvironment(paths.catalog, { isReadOnly, mapBytes: CATALOG_BYTES_MAX })
    opened.push(catalogDatabase)
    const { freeBytes = freeBytesOf } = options
    const catalog = new Catalog(catalogDatabase, join(paths.catalog, DATA_FILE), () => freeBytes(directory))
    if (!isReadOnly) await finishRepair(directory, catalogDatabase, catalog)
    const mapBytes = options.mapBytes ?? MAP_BYTES_DEFAULT
    const journal = new LmdbJournal({ ...options, directory, isReadOnly, mapBytes, format, catalog, release })
    opened.push(await journal.open())
    if (!isReadOnly) journal.learn()
    return journal
  } catch (error) {
    await release()
    throw error
  }
}
