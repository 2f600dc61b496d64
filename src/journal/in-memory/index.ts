export { createInMemoryJournal, type InMemoryJournal, type InMemoryJournalOptions, type StoredLog } from './in-memory-journal.js'
