import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import type { Journal } from '#journal/journal.js'
import { openLmdbJournal } from '#journal/lmdb/index.js'
import type { JournalAdapter } from '../contracts/journal-adapter.js'
import { describeJournal } from '../contracts/journal.contract.js'
import { describeSealedJournal } from '../contracts/sealed-journal.contract.js'

const root = mkdtempSync(join(tmpdir(), 'millrace-journal-'))
const directories = new WeakMap<Journal, string>()
let count = 0

async function open(directory: string): Promise<Journal> {
  const journal = await openLmdbJournal({ directory })
  directories.set(journal, directory)
  return journal
}

afterAll(() => rmSync(root, { recursive: true, force: true }))

const adapter: JournalAdapter = {
  open: () => open(join(root, `log-${count++}`)),
  async reopen(journal) {
    await journal.close()
    return open(directories.get(journal) as string)
  },
  async crash(journal) {
    const copy = join(root, `log-${count++}`)
    cpSync(directories.get(journal) as string, copy, { recursive: true })
    const opened = await open(copy)
    await journal.close()
    return opened
  },
}

describeJournal('on LMDB', adapter)
describeSealedJournal('on LMDB', adapter)
