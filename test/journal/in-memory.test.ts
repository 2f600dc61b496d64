import { createInMemoryJournal, type InMemoryJournal } from '#journal/in-memory/index.js'
import type { JournalAdapter } from '../contracts/journal-adapter.js'
import { describeJournal } from '../contracts/journal.contract.js'
import { describeSealedJournal } from '../contracts/sealed-journal.contract.js'

const adapter: JournalAdapter = {
  open: async () => createInMemoryJournal(),
  async reopen(journal) {
    await journal.close()
    return createInMemoryJournal({ stored: (journal as InMemoryJournal).stored })
  },
  crash: async (journal) => createInMemoryJournal({ stored: structuredClone((journal as InMemoryJournal).stored) }),
}

describeJournal('in memory', adapter)
describeSealedJournal('in memory', adapter)
