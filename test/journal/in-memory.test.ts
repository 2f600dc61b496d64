import { createInMemoryJournal, type InMemoryJournal } from '#journal/in-memory/index.js'
import { describeJournal } from '../contracts/journal.contract.js'

describeJournal('in memory', {
  open: async () => createInMemoryJournal(),
  async reopen(journal) {
    await journal.close()
    return createInMemoryJournal({ stored: (journal as InMemoryJournal).stored })
  },
  crash: async (journal) => createInMemoryJournal({ stored: structuredClone((journal as InMemoryJournal).stored) }),
})
