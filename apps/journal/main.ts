import { runJournalProcess } from '#runtime/journal-process.js'

await runJournalProcess()
