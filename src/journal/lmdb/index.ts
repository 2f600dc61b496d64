export { type LmdbJournalOptions, openLmdbJournal } from './lmdb-journal.js'
