export type { LmdbJournalOptions } from './journal-options.js'
export { openLmdbJournal } from './open-lmdb-journal.js'
export { type LogParts, restoreLog } from './restore-log.js'
export { verifyFiles } from './verify-files.js'
