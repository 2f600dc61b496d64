import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInMemoryJournal } from '#journal/in-memory/index.js'
import type { Journal } from '#journal/index.js'
import { takeDataDirectory } from '#processes/plant-lock.js'
import { TermCounter } from '#processes/term-counter.js'
import { dataPaths, hasLog, openLog } from './data-directory.js'

/** What an inline plant stands on: a log, and terms that no other plant on it ever had. */
export interface InlineStorage {
  readonly journal: Journal
  nextTerm(): number
  /** Where sources keep their checkpoints: as lasting as the log, since a source that remembers more than the log would skip. */
  sourceDirectory(): string
  close(): Promise<void>
}

/** Gone with the process. */
export function inMemoryStorage(): InlineStorage {
  const journal = createInMemoryJournal()
  let term = 0
  let directory: string | undefined
  return {
    journal,
    nextTerm: () => ++term,
    sourceDirectory: () => (directory ??= mkdtempSync(join(tmpdir(), 'millrace-inline-'))),
    close: async () => {
      await journal.close()
      if (directory !== undefined) rmSync(directory, { recursive: true, force: true })
    },
  }
}

/**
 * A data directory, made when it is not there, taken for this plant and locked against any other. Throws ERR_PLANT_RUNNING, and what keeps the log from
 * being opened.
 */
export async function openStorage(dataDirectory: string): Promise<InlineStorage> {
  mkdirSync(dataDirectory, { recursive: true, mode: 0o700 })
  const lock = takeDataDirectory(dataDirectory)
  try {
    const terms = TermCounter.openSync(dataDirectory, !hasLog(dataDirectory))
    const journal = await openLog(dataDirectory)
    return {
      journal,
      nextTerm: () => terms.next(),
      sourceDirectory: () => dataPaths(dataDirectory).ingest,
      close: async () => {
        await journal.close()
        lock.close()
      },
    }
  } catch (error) {
    lock.close()
    throw error
  }
}
